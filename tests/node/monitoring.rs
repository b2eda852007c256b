//! A real Prometheus scrapes the pods as a ServiceMonitor would make it: every query of the dashboard has series, and
//! the alerts name the objects.

use std::{
    fs,
    process::{Child, Command, Stdio},
    time::Duration,
};

use libtest_mimic::Trial;
use serde_json::{Value, json};
use testbed::{eventually, simulator::Script};

use crate::story::{PATIENCE, Story};

const ADDRESS: &str = "127.0.0.1:9090";

pub fn stories() -> Vec<Trial> {
    vec![crate::story("a real Prometheus fills every dashboard panel and fires the alerts", monitored)]
}

struct Prometheus(Child);

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn monitored() {
    let story = Story::new().await;
    story.install(&["dashboard.enabled=true"]);
    let job = format!("{}-redistribution-operator-metrics", story.namespace);
    let directory = tempfile::tempdir().unwrap();
    let rule = ["--show-only", "templates/prometheusrule.yaml", "--set", "prometheusRule.enabled=true"];
    let rule: Value = serde_saphyr::from_str(&story.rendered(&rule)).unwrap();
    fs::write(directory.path().join("rules.yaml"), rule["spec"].to_string()).unwrap();
    fs::write(directory.path().join("prometheus.yaml"), configuration(&story, &job).to_string()).unwrap();
    let _prometheus = Prometheus(
        Command::new("prometheus")
            .current_dir(&directory)
            .args(["--config.file=prometheus.yaml", "--storage.tsdb.path=data", "--log.level=warn"])
            .arg(format!("--web.listen-address={ADDRESS}"))
            .stdin(Stdio::null())
            .spawn()
            .expect("prometheus runs"),
    );

    let [delivered, refused, lost] = [1, 2, 3].map(Story::warehouse);
    story.cloud.script(&refused, [Script::status(400)]);
    story.cloud.script(&lost, [Script::lost_reply()]);
    for (name, warehouse) in [("delivered", &delivered), ("refused", &refused), ("lost", &lost)] {
        story.apply(&story.request(name, warehouse));
    }
    let mut held = story.request("held", &Story::warehouse(4));
    held["metadata"]["annotations"] = json!({"dws.huaweicloud.com/suspend": "true"});
    story.apply(&held);

    let dashboard = story.ok(&["get", "configmaps", "--selector=grafana_dashboard", "--output=json"]);
    let dashboard: Value = serde_json::from_str(&dashboard).unwrap();
    let text = dashboard["items"][0]["data"].as_object().unwrap().values().next().unwrap().as_str().unwrap();
    let dashboard: Value = serde_json::from_str(text).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let targets = panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().into_iter().flatten().map(move |target| (panel, target)));
    let mut asked = 0;
    for (panel, target) in targets {
        let query = target["expr"].as_str().unwrap();
        let query =
            query.replace("$__rate_interval", "1m").replace("$job", &job).replace("$namespace", &story.namespace);
        eventually(PATIENCE, &format!("series for {}: {query}", panel["title"]), async || series(&query).await).await;
        asked += 1;
    }
    assert!(asked > 20, "{asked}");

    for (alert, name) in [("RedistributionOutcomeUnknown", "lost"), ("RedistributionRefused", "refused")] {
        let namespace = &story.namespace;
        let query = format!(
            r#"ALERTS{{alertname="{alert}",alertstate="firing",name="{name}",object_namespace="{namespace}"}}"#
        );
        eventually(PATIENCE, &query, async || series(&query).await).await;
    }
}

/// The endpoints of the metrics' Service, with the labels that a ServiceMonitor gives them. Debian's Prometheus does
/// not find them by itself.
fn configuration(story: &Story, job: &str) -> Value {
    let slices =
        story.ok(&["get", "endpointslices", "--output=json", &format!("--selector=kubernetes.io/service-name={job}")]);
    let slices: Value = serde_json::from_str(&slices).unwrap();
    let endpoints = slices["items"].as_array().unwrap().iter().flat_map(|slice| {
        let port = &slice["ports"][0]["port"];
        slice["endpoints"].as_array().unwrap().iter().map(move |endpoint| {
            json!({
                "targets": [format!("{}:{port}", endpoint["addresses"][0].as_str().unwrap())],
                "labels": {"job": job, "namespace": story.namespace, "pod": endpoint["targetRef"]["name"]},
            })
        })
    });
    let endpoints: Vec<_> = endpoints.collect();
    assert_eq!(endpoints.len(), 2, "{slices:#}");
    json!({
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": ["rules.yaml"],
        "scrape_configs": [{"job_name": "endpoints", "static_configs": endpoints}],
    })
}

/// The present number of series of a query, or an error if there is none.
async fn series(query: &str) -> Result<usize, String> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(10)).build().unwrap();
    let mut url = url::Url::parse(&format!("http://{ADDRESS}/api/v1/query")).unwrap();
    url.query_pairs_mut().append_pair("query", query);
    let answer = client.get(url).send().await.map_err(|error| error.to_string())?;
    let answer: Value = answer.json().await.map_err(|error| error.to_string())?;
    match answer["data"]["result"].as_array().map_or(0, Vec::len) {
        0 => Err(answer.to_string()),
        count => Ok(count),
    }
}
