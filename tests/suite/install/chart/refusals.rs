//! Wrong values are refused with a message, before anything is installed.

use clap::Parser;
use redistribution_operator::cli::{Action, Command};
use serde_json::{Value, json};

use super::{pod, refusal, render};

#[test]
fn wrong_and_conflicting_values_are_refused_with_a_message() {
    assert!(refusal(&[]).contains("image.repository is required"));
    // The place in the schema, or words of a template.
    for (values, words) in [
        ("replica=1", "'replica'"),
        ("replicaCount=0", "'/replicaCount': minimum: got 0, want 1"),
        ("image.digest=sha256:abc", "/image/digest"),
        ("image.repository=registry.example.com:5000/team/operator:0.1.0", "/image/repository"),
        ("image.registry=https://registry.example.com", "image.registry must be a host with or without port and path"),
        ("image.registry=registry.example.com/", "without a scheme and without a / at its end"),
        ("fullnameOverride=redistribution.operator", "/fullnameOverride"),
        ("fullnameOverride=2nd", "/fullnameOverride"),
        ("pace.concurrency=0", "/pace/concurrency"),
        ("pace.requestTimeout=soon", "/pace/requestTimeout"),
        ("pace.requestTimeout=1m15s", "terminationGracePeriodSeconds must be above pace.requestTimeout + 15 s (90)"),
        ("log.format=xml", "/log/format"),
        ("watchNamespaces=team", "/watchNamespaces"),
        ("watchNamespaces={team,team}", "'/watchNamespaces': items at 0 and 1 are equal"),
        ("cloud.endpoints.lab=dws.example.com", "/cloud/endpoints/lab"),
        ("cloud.endpoints.lab=http://dws.example.com", "/cloud/endpoints/lab"),
        ("cloud.endpoints.lab=http://127.0.0.1.example.com", "/cloud/endpoints/lab"),
        ("cloud.endpoints.lab=https://dws.example.com/v2", "/cloud/endpoints/lab"),
        ("cloud.iamEndpoints.lab=iam.example.com", "/cloud/iamEndpoints/lab"),
        ("cloud.iamEndpoints.lab=http://localhost.example.com", "/cloud/iamEndpoints/lab"),
        ("cloud.proxy=https://proxy.example.com", "/cloud/proxy"),
        ("cloud.allowedRegions={a,a}", "'/cloud/allowedRegions': items at 0 and 1 are equal"),
        ("networkPolicy.ingress.from[0].ports[0].port=8080", "/networkPolicy/ingress/from/0"),
        ("networkPolicy.extraPorts={0}", "/networkPolicy/extraPorts/0"),
        ("networkPolicy.extraPorts={1,1}", "'/networkPolicy/extraPorts': items at 0 and 1 are equal"),
        ("credentials.secretNames={a,a}", "'/credentials/secretNames': items at 0 and 1 are equal"),
        ("defaultCredentials.namespaces={team}", "namespaces needs defaultCredentials.existingSecret: "),
        ("leaderElection.enabled=false", "several replicas need leaderElection.enabled"),
        ("metrics.service.enabled=false,serviceMonitor.enabled=true", "serviceMonitor.enabled needs metrics.service"),
        ("metrics.service.enabled=false,prometheusRule.enabled=true", "prometheusRule.enabled needs metrics.service"),
        ("serviceMonitor.enabled=true,podMonitor.enabled=true", "have every pod scraped twice"),
        ("podMonitor.interval=5s,podMonitor.scrapeTimeout=6s", "scrapeTimeout must not be above podMonitor.interval"),
        ("hostNetwork=true,hostUsers=false", "hostNetwork and hostUsers=false exclude each other"),
        ("extraContainers[0].name=operator", "cannot hold a container of the name operator"),
        ("podDisruptionBudget.maxUnavailable=0", "'/podDisruptionBudget/maxUnavailable'"),
        ("podDisruptionBudget.maxUnavailable=0%", "'/podDisruptionBudget/maxUnavailable'"),
        ("prometheusRule.runbookURL=docs/runbooks.md#", "'/prometheusRule/runbookURL'"),
    ] {
        let said = refusal(&["--set", "image.repository=a", "--set", values]);
        assert!(said.contains(words), "{values}: {said}");
    }
    // Similar correct values are accepted, and those that a parent chart passes down.
    for values in [
        "image.repository=operator",
        "image.repository=registry.example.com:5000/team/operator",
        "image.registry=registry.example.com:5000/team",
        "fullnameOverride=redistribution-operator-2",
        "cloud.endpoints.lab=https://dws.example.com:8443/",
        "cloud.endpoints.lab=http://127.0.0.1:8080",
        "cloud.iamEndpoints.lab=http://[::1]:8080",
        "leaderElection.enabled=false,replicaCount=1",
        "metrics.service.enabled=false,podMonitor.enabled=true,prometheusRule.enabled=true",
        "metrics.service.enabled=false,prometheusRule.enabled=true,prometheusRule.job=scraped/otherwise",
        "podDisruptionBudget.maxUnavailable=50%",
        "global.anything=1",
    ] {
        render(&["--set", values]);
    }
    let pod = pod(&["--set", "global.imageRegistry=registry.example.com,global.imagePullSecrets[0].name=pull"]);
    assert_eq!(pod["imagePullSecrets"], json!([{"name": "pull"}]));
    assert!(pod["containers"][0]["image"].as_str().unwrap().starts_with("registry.example.com/example/operator:"));
}

#[test]
fn values_under_old_names_are_refused_and_the_new_names_are_shown() {
    for (values, words) in [
        ("replicas=2", "replicas is called replicaCount: "),
        ("containerSecurityContext.privileged=false", "containerSecurityContext is called securityContext: "),
        ("metrics.serviceMonitor.enabled=true", "metrics.serviceMonitor is called serviceMonitor: "),
        ("metrics.prometheusRule.enabled=false", "metrics.prometheusRule is called prometheusRule: "),
        ("metrics.dashboard.enabled=true", "metrics.dashboard is called dashboard: "),
        ("metrics.service.port=9090", "metrics.service.port is called metrics.port: "),
        (
            "networkPolicy.ingress[0].from[0].ipBlock.cidr=10.0.0.0/8",
            "networkPolicy.ingress is not a list of rules: list the peers that may reach metrics.port in networkPolicy.ingress.from",
        ),
        ("networkPolicy.ingress={}", "networkPolicy.ingress is not a list of rules: "),
    ] {
        let said = refusal(&["--set", values]);
        assert!(said.contains(words), "{values}: {said}");
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
