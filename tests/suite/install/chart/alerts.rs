//! Alerts, runbooks and dashboard, as far as reading can judge them: each alert is explained, each reason that needs a
//! person has one, and values change exactly what their names promise. Whether alerts fire is tested by promtool, in
//! `tests/alerts.rs`.

use std::{collections::BTreeSet, fs};

use redistribution_operator::api::{Reason, ReasonClass};
use serde_json::Value;

use super::{directory, helm, objects, render};

const RUNBOOKS: &str = include_str!("../../../../docs/runbooks.md");

/// The groups of the PrometheusRule with these flags.
fn groups(flags: &[&str]) -> Vec<Value> {
    let mut all = vec!["--set", "prometheusRule.enabled=true"];
    all.extend(flags);
    let rule = objects(&render(&all)).into_iter().find(|object| object["kind"] == "PrometheusRule").unwrap();
    rule["spec"]["groups"].as_array().unwrap().clone()
}

/// The chart's own alerts with these flags.
fn alerts(flags: &[&str]) -> Vec<Value> {
    groups(flags)[0]["rules"].as_array().unwrap().clone()
}

fn names(alerts: &[Value]) -> BTreeSet<&str> {
    alerts.iter().map(|alert| alert["alert"].as_str().unwrap()).collect()
}

/// Heading and text of each section of the runbooks.
fn sections() -> Vec<(&'static str, &'static str)> {
    RUNBOOKS.split("\n## ").skip(1).map(|section| section.split_once('\n').unwrap()).collect()
}

/// The result of a Prometheus matcher on a reason, for the patterns that are used here: words, and a word with `.+`.
fn matches(pattern: &str, reason: &str) -> bool {
    pattern.split('|').any(|word| match word.strip_suffix(".+") {
        Some(prefix) => reason.len() > prefix.len() && reason.starts_with(prefix),
        None => reason == word,
    })
}

/// True if this alert selects objects with this reason by this metric.
fn asks(alert: &Value, metric: &str, reason: &str) -> bool {
    let query = alert["expr"].as_str().unwrap();
    let Some(selector) = query.split_once(&format!("{metric}{{")).and_then(|(_, rest)| rest.split('}').next()) else {
        return false;
    };
    let pattern = |operator: &str| {
        let (_, rest) = selector.split_once(&format!("reason{operator}\""))?;
        rest.split('"').next()
    };
    pattern("=~").is_none_or(|pattern| matches(pattern, reason))
        && pattern("!~").is_none_or(|pattern| !matches(pattern, reason))
}

/// The gauges that show an object with this reason.
fn shown_in(reason: Reason) -> &'static [&'static str] {
    const HELD: &str = "dws_redistribution_held_objects";
    const STALLED: &str = "dws_redistribution_stalled";
    match reason.class() {
        ReasonClass::Blocked => &[HELD],
        ReasonClass::Stalled => &[HELD, STALLED],
        ReasonClass::Unknown if reason == Reason::JournalInvalid => &[HELD, STALLED],
        ReasonClass::Refused | ReasonClass::Unknown => &[STALLED],
        ReasonClass::InFlight | ReasonClass::Delivered => &[],
    }
}

#[test]
fn every_alert_has_a_runbook_that_begins_with_a_kubectl_line() {
    let alerts = alerts(&[]);
    let explained: BTreeSet<_> = sections().iter().map(|(heading, _)| *heading).collect();
    assert_eq!(names(&alerts), explained);
    for (heading, text) in sections() {
        assert!(text.starts_with("\n```console\nkubectl "), "{heading} does not begin with a command");
        for part in ["**Meaning.**", "**Look at**", "**Do"] {
            assert!(text.contains(part), "{heading} lacks {part}");
        }
        assert!(text.contains("console"), "{heading} does not say what to check in the cloud's console");
    }
    for alert in &alerts {
        // A relative link is useless where alerts are read.
        assert!(alert["annotations"].get("runbook_url").is_none(), "{alert}");
        assert!(alert["labels"]["severity"] == "warning" || alert["labels"]["severity"] == "critical", "{alert}");
    }
}

#[test]
fn the_runbook_of_an_unknown_outcome_begins_in_the_console() {
    let section = sections().into_iter().find(|(heading, _)| *heading == "RedistributionOutcomeUnknown").unwrap().1;
    let description = alerts(&[])[0]["annotations"]["description"].as_str().unwrap().to_owned();
    for text in [section, &description] {
        let (console, trigger) = (text.find("console first"), text.find("spec.trigger"));
        let console = console.or_else(|| text.find("in the DWS console"));
        assert!(console.unwrap() < trigger.unwrap(), "{text}");
    }
}

#[test]
fn every_blocking_reason_has_one_alert_whose_runbook_names_it() {
    let (alerts, sections) = (alerts(&[]), sections());
    for &reason in Reason::ALL {
        let asking: Vec<_> = shown_in(reason)
            .iter()
            .flat_map(|metric| alerts.iter().filter(|alert| asks(alert, metric, reason.as_str())))
            .map(|alert| alert["alert"].as_str().unwrap())
            .collect();
        // Suspended is the owner's intent; an object in flight or delivered lacks nothing.
        let lacks_nothing = matches!(reason, Reason::Suspended | Reason::RequestInFlight)
            || reason.class() == redistribution_operator::api::ReasonClass::Delivered;
        let wanted = usize::from(!lacks_nothing);
        assert_eq!(asking.len(), wanted, "{reason}: {asking:?}");
        for name in asking {
            let (_, text) = sections.iter().find(|(heading, _)| *heading == name).unwrap();
            assert!(text.contains(&format!("`{reason}`")), "the runbook of {name} does not name {reason}");
        }
    }
}

#[test]
fn refused_and_possibly_accepted_requests_have_different_alerts() {
    let alerts = alerts(&[]);
    let metric = "dws_redistribution_stalled";
    for &reason in Reason::ALL {
        let asked_by =
            |name: &str| asks(alerts.iter().find(|alert| alert["alert"] == name).unwrap(), metric, reason.as_str());
        let is_refused = reason.class() == ReasonClass::Refused && reason != Reason::NotSent;
        assert_eq!(asked_by("RedistributionRefused"), is_refused, "{reason}");
        let is_unknown = matches!(reason, Reason::ServerError | Reason::OutcomeUnknown);
        assert_eq!(asked_by("RedistributionOutcomeUnknown"), is_unknown, "{reason}");
    }
}

#[test]
fn a_stopped_redistribution_has_one_alert_that_asks_for_no_new_spec() {
    let (alerts, (_, text)) =
        (alerts(&[]), sections().into_iter().find(|(heading, _)| *heading == "RedistributionStopped").unwrap());
    for reason in ["Paused", "Failed"] {
        let asking: Vec<_> =
            alerts.iter().filter(|alert| asks(alert, "dws_redistribution_stopped", reason)).cloned().collect();
        assert_eq!(names(&asking), BTreeSet::from(["RedistributionStopped"]), "{reason}");
        assert!(text.contains(&format!("| `{reason}`")), "its runbook does not name {reason}");
    }
}

/// Only the leader exports its objects, so between two leaders no process does.
#[test]
fn alerts_from_the_leader_keep_firing_while_the_leader_changes() {
    for alert in alerts(&[]) {
        let query = alert["expr"].as_str().unwrap();
        let of_leader = ["stalled{", "stopped{", "held_objects{", "reconcile_errors_total{"];
        let goes_on = of_leader.iter().any(|metric| query.contains(metric));
        assert_eq!(alert["keep_firing_for"] == "5m", goes_on, "{alert}");
    }
}

/// A Prometheus that enforces `namespace` sets it to the rule's own namespace: an alert that carried its object's
/// namespace in that label would lose it.
#[test]
fn an_alert_carries_the_releases_namespace_and_beside_it_the_objects() {
    for alert in alerts(&["--set", "namespaceOverride=lab"]) {
        assert_eq!(alert["labels"]["namespace"], "lab", "{alert}");
        let (query, text) = (alert["expr"].as_str().unwrap(), alert["annotations"]["description"].as_str().unwrap());
        assert_eq!(query.contains("name, reason)"), query.contains("max by (job, object_namespace, name, reason)"));
        assert_eq!(text.contains("$labels.name }}"), text.contains("$labels.object_namespace }}/{{ $labels.name }}"));
        assert!(!text.contains("$labels.namespace }}/{{ $labels.name }}"), "{text}");
    }
}

#[test]
fn overrides_change_the_alert_they_name_and_no_other() {
    let before = alerts(&[]);
    let change = r#"prometheusRule.overrides={"RedistributionRefused":{"for":"9m","keepFiringFor":"1h","severity":"info","expr":"up"},"RedistributionNeedsPerson":{"enabled":false}}"#;
    let after = alerts(&["--set-json", change]);
    assert_eq!(after.len() + 1, before.len());
    for alert in &after {
        let old = before.iter().find(|old| old["alert"] == alert["alert"]).unwrap();
        if alert["alert"] == "RedistributionRefused" {
            assert_eq!((&alert["for"], &alert["labels"]["severity"]), (&"9m".into(), &"info".into()));
            assert_eq!((&alert["expr"], &alert["annotations"]), (&"up".into(), &old["annotations"]));
            assert_eq!(alert["keep_firing_for"], "1h");
        } else {
            assert_eq!(alert, old);
        }
    }
    assert!(!names(&after).contains("RedistributionNeedsPerson"));
}

#[test]
fn the_schema_knows_the_alerts_by_name_and_refuses_another() {
    let schema = fs::read_to_string(directory().join("values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let known = &schema["properties"]["prometheusRule"]["properties"]["overrides"];
    let known: BTreeSet<_> =
        known["propertyNames"]["enum"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect();
    assert_eq!(known, names(&alerts(&[])));
    let directory = directory();
    let mut arguments = vec!["template", "dws", directory.to_str().unwrap(), "--set", "image.repository=a"];
    arguments.extend(["--set-json", r#"prometheusRule.overrides={"RedistributionRefuse":{"for":"9m"}}"#]);
    let output = helm(&arguments);
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success() && said.contains("RedistributionRefuse"), "{said}");
}

#[test]
fn alerts_follow_the_values_of_the_release() {
    let query = |flags: &[&str], name: &str| {
        let alerts = alerts(flags);
        let alert = alerts.iter().find(|alert| alert["alert"] == name).unwrap();
        alert["expr"].as_str().unwrap().to_owned()
    };
    let stale = query(&["--set", "liveness.staleAfter=59m20s500ms"], "RedistributionWatchStale");
    assert!(stale.contains("> 1780\n"), "{stale}");
    let moved = ["--set", "fullnameOverride=redis", "--set", "namespaceOverride=lab"];
    let leader = query(&moved, "RedistributionNoLeader");
    assert!(
        leader.contains(r#"absent(leader_election_master_status{job="redis-metrics",namespace="lab"})"#),
        "{leader}"
    );
    for alert in alerts(&["--set", "prometheusRule.job=monitoring/dws"]) {
        let query = alert["expr"].as_str().unwrap();
        assert_eq!(query.matches(r#"job="monitoring/dws""#).count(), query.matches("job=").count(), "{query}");
        assert!(query.contains(r#"namespace="dws-system""#) && !query.contains('@'), "{query}");
    }
    // Without election there is no leader to miss.
    assert!(
        !names(&alerts(&["--set", "leaderElection.enabled=false,replicaCount=1"])).contains("RedistributionNoLeader")
    );
    for alert in alerts(&["--set", "prometheusRule.runbookURL=https://git.example.com/runbooks.md#"]) {
        let link = format!("https://git.example.com/runbooks.md#{}", alert["alert"].as_str().unwrap().to_lowercase());
        assert_eq!(alert["annotations"]["runbook_url"], link);
    }
    // A PodMonitor sets the job's name by itself.
    let pods = query(&["--set", "podMonitor.enabled=true"], "RedistributionNoLeader");
    assert!(pods.contains(r#"job="dws-system/dws-redistribution-operator""#), "{pods}");
    let rule = r#"prometheusRule.additionalRules=[{"alert":"Mine","expr":"up == 0","annotations":{"summary":"{{ $labels.pod }}"}}]"#;
    let more = groups(&["--set-json", rule]);
    assert_eq!(more[1]["rules"][0]["annotations"]["summary"], "{{ $labels.pod }}");
}

#[test]
fn every_panel_of_the_dashboard_shows_the_chosen_release_only() {
    let flags = ["--set", "dashboard.enabled=true", "--set", "dashboard.namespace=monitoring"];
    let map = objects(&render(&flags)).into_iter().find(|object| object["kind"] == "ConfigMap").unwrap();
    assert_eq!(map["metadata"]["labels"]["grafana_dashboard"], "1");
    assert_eq!(map["metadata"]["namespace"], "monitoring");
    let dashboard: Value = serde_json::from_str(map["data"]["redistribution-operator.json"].as_str().unwrap()).unwrap();
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len());
    for panel in panels {
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{panel}");
        assert!(panel["description"].as_str().is_some_and(|text| text.len() > 5), "{panel}");
        for target in panel["targets"].as_array().unwrap() {
            let query = target["expr"].as_str().unwrap();
            assert_eq!(query.matches('{').count(), query.matches(r#"{job="$job""#).count(), "{query}");
            assert!(query.contains(r#"namespace=~"$namespace""#), "{query}");
        }
    }
}

#[test]
fn alerts_and_dashboard_ask_for_documented_metrics_only() {
    let document = include_str!("../../../../docs/metrics.md");
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `"));
    let documented: BTreeSet<_> = rows.filter_map(|row| row.split('`').next()).collect();
    let rules = alerts(&[]).iter().map(|alert| alert["expr"].as_str().unwrap().to_owned()).collect::<String>();
    let dashboard = include_str!("../../../../deploy/chart/files/dashboard.json");
    let prefixes =
        ["dws_redistribution_", "controller_runtime_", "workqueue_", "rest_client_", "leader_election_", "process_"];
    let asked: BTreeSet<&str> = words(dashboard)
        .chain(words(&rules))
        .map(|word| word.trim_end_matches("_bucket").trim_end_matches("_count").trim_end_matches("_sum"))
        .filter(|word| prefixes.iter().any(|prefix| word.starts_with(prefix)))
        .collect();
    assert!(asked.len() > 15, "{asked:?}");
    assert_eq!(asked.difference(&documented).collect::<Vec<_>>(), Vec::<&&str>::new());
}

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '_')
}
