//! Wrong values are refused with a message, before anything is installed.

use std::fs;

use clap::Parser;
use redistribution_operator::cli::{Action, Command};
use serde_json::{Value, json};

use super::{objects, pod, refusal, render, set};

fn refused(values: &Value) -> String {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), values.to_string()).unwrap();
    refusal(&["--values", file.path().to_str().unwrap()])
}

#[test]
fn wrong_values_are_refused_with_a_message() {
    let refusals = [
        (json!({}), "image.repository is required"),
        (json!({"replica": 1}), "replica"),
        (json!({"image": {"repository": "a", "digest": "sha256:abc"}}), "/image/digest"),
        (json!({"pace": {"concurrency": 0}}), "/pace/concurrency"),
        (json!({"pace": {"requestTimeout": "soon"}}), "/pace/requestTimeout"),
        (json!({"log": {"format": "xml"}}), "/log/format"),
        (json!({"watchNamespaces": "team"}), "/watchNamespaces"),
        (json!({"image": {"repository": "registry.example.com:5000/team/operator:0.1.0"}}), "/image/repository"),
        (json!({"fullnameOverride": "redistribution.operator"}), "/fullnameOverride"),
        (json!({"fullnameOverride": "2nd"}), "/fullnameOverride"),
        (json!({"cloud": {"endpoints": {"lab": "dws.example.com"}}}), "/cloud/endpoints/lab"),
        (json!({"cloud": {"endpoints": {"lab": "http://dws.example.com"}}}), "/cloud/endpoints/lab"),
        (json!({"cloud": {"endpoints": {"lab": "http://127.0.0.1.example.com"}}}), "/cloud/endpoints/lab"),
        (json!({"cloud": {"endpoints": {"lab": "https://dws.example.com/v2"}}}), "/cloud/endpoints/lab"),
        (json!({"cloud": {"iamEndpoints": {"lab": "iam.example.com"}}}), "/cloud/iamEndpoints/lab"),
        (json!({"cloud": {"iamEndpoints": {"lab": "http://localhost.example.com"}}}), "/cloud/iamEndpoints/lab"),
        (json!({"networkPolicy": {"extraPorts": [0]}}), "/networkPolicy/extraPorts/0"),
        (
            json!({"networkPolicy": {"ingress": {"from": [{"ports": [{"port": 8080}]}]}}}),
            "/networkPolicy/ingress/from/0",
        ),
        (json!({"cloud": {"proxy": "https://proxy.example.com"}}), "/cloud/proxy"),
        (
            json!({"image": {"repository": "a"}, "pace": {"requestTimeout": "1m15s"}}),
            "terminationGracePeriodSeconds must be above pace.requestTimeout + 15 s (90)",
        ),
        (
            json!({"image": {"repository": "a"}, "defaultCredentials": {"namespaces": ["team"]}}),
            "defaultCredentials.namespaces needs defaultCredentials.existingSecret: ",
        ),
    ];
    for (values, word) in refusals {
        let said = refused(&values);
        assert!(said.contains(word) || said.replace('.', "/").contains(word), "{values}: {said}");
    }
    // Similar correct values are accepted.
    for (path, value) in [
        ("image.repository", "operator"),
        ("image.repository", "registry.example.com:5000/team/operator"),
        ("fullnameOverride", "redistribution-operator-2"),
        ("cloud.endpoints.lab", "https://dws.example.com:8443/"),
        ("cloud.endpoints.lab", "http://127.0.0.1:8080"),
        ("cloud.iamEndpoints.lab", "http://[::1]:8080"),
    ] {
        render(&["--set-json", &set(path, &value.into())]);
    }
    // A parent chart passes its own values down.
    render(&["--set", "global.anything=1"]);
    let global =
        ["--set", "global.imageRegistry=registry.example.com", "--set", "global.imagePullSecrets[0].name=pull"];
    let deployment = objects(&render(&global)).into_iter().find(|object| object["kind"] == "Deployment").unwrap();
    let pod = &deployment["spec"]["template"]["spec"];
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "pull"}]));
    assert!(pod["containers"][0]["image"].as_str().unwrap().starts_with("registry.example.com/example/operator:"));
}

#[test]
fn values_under_old_names_are_refused_and_the_new_names_are_shown() {
    for (values, words) in [
        (json!({"replicas": 2}), "replicas is called replicaCount: "),
        (
            json!({"containerSecurityContext": {"privileged": false}}),
            "containerSecurityContext is called securityContext: ",
        ),
        (
            json!({"metrics": {"serviceMonitor": {"enabled": true}}}),
            "metrics.serviceMonitor is called serviceMonitor: ",
        ),
        (
            json!({"metrics": {"prometheusRule": {"enabled": false}}}),
            "metrics.prometheusRule is called prometheusRule: ",
        ),
        (json!({"metrics": {"dashboard": {"labels": {}}}}), "metrics.dashboard is called dashboard: "),
        (json!({"metrics": {"service": {"port": 9090}}}), "metrics.service.port is called metrics.port: "),
        (
            json!({"networkPolicy": {"ingress": [{"from": [{"podSelector": {}}]}]}}),
            "networkPolicy.ingress is not a list of rules: list the peers that may reach metrics.port in networkPolicy.ingress.from",
        ),
        (json!({"networkPolicy": {"ingress": []}}), "networkPolicy.ingress is not a list of rules: "),
    ] {
        let said = refused(&values);
        assert!(said.contains(words), "{values}: {said}");
    }
}

#[test]
fn conflicting_values_are_refused_with_a_message() {
    for (values, words) in [
        ("leaderElection.enabled=false", "several replicas need leaderElection.enabled"),
        ("replicaCount=0", "'/replicaCount': minimum: got 0, want 1"),
        ("image.registry=https://registry.example.com", "image.registry must be a host with or without port and path"),
        ("image.registry=registry.example.com/", "without a scheme and without a / at its end"),
        (
            "metrics.service.enabled=false,serviceMonitor.enabled=true",
            "serviceMonitor.enabled needs metrics.service.enabled",
        ),
        (
            "metrics.service.enabled=false,prometheusRule.enabled=true",
            "prometheusRule.enabled needs metrics.service.enabled",
        ),
        ("serviceMonitor.enabled=true,podMonitor.enabled=true", "have every pod scraped twice"),
        (
            "podMonitor.interval=5s,podMonitor.scrapeTimeout=6s",
            "podMonitor.scrapeTimeout must not be above podMonitor.interval",
        ),
        ("hostNetwork=true,hostUsers=false", "hostNetwork and hostUsers=false exclude each other"),
        ("extraContainers[0].name=operator", "cannot hold a container of the name operator"),
        ("podDisruptionBudget.maxUnavailable=0", "'/podDisruptionBudget/maxUnavailable'"),
        ("podDisruptionBudget.maxUnavailable=0%", "'/podDisruptionBudget/maxUnavailable'"),
        ("prometheusRule.runbookURL=docs/runbooks.md#", "'/prometheusRule/runbookURL'"),
        ("watchNamespaces={team,team}", "'/watchNamespaces': items at 0 and 1 are equal"),
        ("credentials.secretNames={a,a}", "'/credentials/secretNames': items at 0 and 1 are equal"),
        ("cloud.allowedRegions={a,a}", "'/cloud/allowedRegions': items at 0 and 1 are equal"),
        ("networkPolicy.extraPorts={1,1}", "'/networkPolicy/extraPorts': items at 0 and 1 are equal"),
    ] {
        let said = refusal(&["--set", "image.repository=a", "--set", values]);
        assert!(said.contains(words), "{values}: {said}");
    }
    for values in [
        "leaderElection.enabled=false,replicaCount=1",
        "image.registry=registry.example.com:5000/team",
        "metrics.service.enabled=false,podMonitor.enabled=true,prometheusRule.enabled=true",
        "metrics.service.enabled=false,prometheusRule.enabled=true,prometheusRule.job=scraped/otherwise",
        "podDisruptionBudget.maxUnavailable=50%",
    ] {
        render(&["--set", values]);
    }
}

/// Each duration that the operator bounds, with its minimum and maximum in milliseconds.
const DURATIONS: [(&str, u64, u64); 10] = [
    ("leaderElection.leaseDuration", 5_000, 300_000),
    ("checkEvery", 1_000, 3_600_000),
    ("observe.every", 1_000, 3_600_000),
    ("observe.settleTime", 1_000, 3_600_000),
    ("pace.sendBudget", 1_000, 30_000),
    ("pace.requestTimeout", 2_000, 300_000),
    ("pace.connectTimeout", 1_000, 30_000),
    ("pace.graceMargin", 2_000, 60_000),
    ("liveness.staleAfter", 10_000, 3_600_000),
    ("relistEvery", 5_000, 86_400_000),
];

/// The flags of the container with these values, read as the operator reads them.
fn read(args: &Value) -> Result<Command, clap::Error> {
    let args = args.as_array().unwrap().iter().map(|arg| arg.as_str().unwrap().to_owned());
    Command::try_parse_from(std::iter::once("redistribution-operator".to_owned()).chain(args))
}

#[test]
fn the_chart_accepts_a_duration_exactly_if_the_operator_does() {
    let with = "image.repository=a,checkCluster=warn,observe.enabled=true,terminationGracePeriodSeconds=400";
    for (path, least, most) in DURATIONS {
        for wrong in [least - 1, most + 1] {
            let said = refusal(&["--set", with, "--set", &format!("{path}={wrong}ms")]);
            assert!(said.contains(&format!("{path} must be from ")), "{path}={wrong}ms: {said}");
        }
        for right in [least, most] {
            let args = &pod(&["--set", with, "--set", &format!("{path}={right}ms")])["containers"][0]["args"];
            assert!(matches!(read(args).map(|command| command.action), Ok(Action::Run(_))), "{path}={right}ms: {args}");
            // The operator would refuse the same values as the chart.
            for wrong in [least - 1, most + 1] {
                let args = args.to_string().replace(&format!("={right}ms"), &format!("={wrong}ms"));
                assert!(read(&serde_json::from_str(&args).unwrap()).is_err(), "{path}: {args}");
            }
        }
    }
}
