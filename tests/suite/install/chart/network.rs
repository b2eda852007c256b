//! The pod's network and scheduling: one port, the same in all objects that refer to it; policies; replicas on
//! different nodes.

use serde_json::{Value, json};

use super::{objects, only, pod, render};

#[test]
fn the_network_policy_allows_the_ports_of_proxy_and_endpoints() {
    let ports = |flags: &[&str]| -> Vec<i64> {
        let rendered = objects(&render(&[&["--set", "networkPolicy.enabled=true"], flags].concat()));
        let policy = rendered.into_iter().find(|object| object["kind"] == "NetworkPolicy").unwrap();
        let rules = policy["spec"]["egress"].as_array().unwrap().clone();
        rules
            .iter()
            .flat_map(|rule| rule["ports"].as_array().unwrap())
            .map(|port| port["port"].as_i64().unwrap())
            .collect()
    };
    assert_eq!(ports(&[]), [53, 53, 443, 6443]);
    let lab =
        ["--set", "cloud.endpoints.lab=https://dws.example.com:8443", "--set", "cloud.endpoints.other=https://a:443"];
    assert_eq!(ports(&lab), [53, 53, 443, 6443, 8443]);
    let iam = [&lab[..], &["--set", "cloud.iamEndpoints.lab=https://iam.example.com:9443"]].concat();
    assert_eq!(ports(&iam), [53, 53, 443, 6443, 8443, 9443]);
    let both = [&lab[..], &["--set", "cloud.proxy=http://proxy.example.com:3128"]].concat();
    assert_eq!(ports(&both), [53, 53, 443, 6443, 3128, 8443]);
    assert_eq!(ports(&["--set", "cloud.proxy=http://proxy.example.com"]), [53, 53, 443, 6443, 80]);
    // DNS uses both protocols; a port that is already open is not repeated.
    let further = [&lab[..], &["--set", "networkPolicy.extraPorts={53,5353,6443,8443}"]].concat();
    assert_eq!(ports(&further), [53, 53, 443, 6443, 8443, 5353, 5353]);
}

#[test]
fn ingress_can_be_narrowed_and_is_the_metrics_port_by_default() {
    let ingress = |flags: &[&str]| {
        let flags = [&["--set", "networkPolicy.enabled=true"], flags].concat();
        only("NetworkPolicy", &flags)["spec"]["ingress"].clone()
    };
    assert_eq!(ingress(&[]), json!([{"ports": [{"port": 8080, "protocol": "TCP"}]}]));
    let peers =
        r#"networkPolicy.ingress.from=[{"namespaceSelector":{},"podSelector":{}},{"ipBlock":{"cidr":"10.0.0.0/8"}}]"#;
    assert_eq!(
        ingress(&["--set-json", peers, "--set", "metrics.port=9102"]),
        json!([{
            "from": [{"namespaceSelector": {}, "podSelector": {}}, {"ipBlock": {"cidr": "10.0.0.0/8"}}],
            "ports": [{"port": 9102, "protocol": "TCP"}],
        }])
    );
}

#[test]
fn one_value_is_the_port_of_listener_container_probes_service_and_policy() {
    let flags = ["--set", "metrics.port=9102", "--set", "networkPolicy.enabled=true"];
    let container = &pod(&flags)["containers"][0];
    assert!(container["args"].as_array().unwrap().contains(&json!("--listen=[::]:9102")), "{container}");
    assert_eq!(container["ports"], json!([{"name": "http", "containerPort": 9102}]));
    for probe in ["livenessProbe", "readinessProbe"] {
        assert_eq!(container[probe]["httpGet"]["port"], "http");
    }
    assert_eq!(only("Service", &flags)["spec"]["ports"], json!([{"name": "http", "port": 9102, "targetPort": "http"}]));
    assert_eq!(only("NetworkPolicy", &flags)["spec"]["ingress"][0]["ports"][0]["port"], 9102);
    assert!(!render(&flags).contains("8080"), "{}", render(&flags));
}

#[test]
fn a_rollout_can_end_and_names_are_found_in_the_nodes_network() {
    let flags = ["--set", "hostNetwork=true"];
    let (here, host) = (only("Deployment", &[]), only("Deployment", &flags));
    assert_eq!(
        (&here["spec"]["strategy"], &here["spec"]["template"]["spec"]["dnsPolicy"]),
        (&Value::Null, &Value::Null)
    );
    // On nodes whose port is in use, an extra pod could never start.
    let strategy = json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}});
    assert_eq!(host["spec"]["strategy"], strategy);
    assert_eq!(host["spec"]["template"]["spec"]["dnsPolicy"], "ClusterFirstWithHostNet");
    let own = [&flags[..], &["--set", "strategy.type=Recreate", "--set", "dnsPolicy=Default"]].concat();
    assert_eq!(only("Deployment", &own)["spec"]["strategy"], json!({"type": "Recreate"}));
    assert_eq!(pod(&own)["dnsPolicy"], "Default");
}

#[test]
fn replicas_spread_and_are_drained_one_by_one_by_default() {
    let flags = |flags: &'static str| ["--set", flags];
    let rules = &pod(&[])["affinity"]["podAntiAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"];
    assert_eq!(rules[0]["podAffinityTerm"]["topologyKey"], "kubernetes.io/hostname");
    let selector = only("Deployment", &[])["spec"]["selector"].clone();
    assert_eq!(rules[0]["podAffinityTerm"]["labelSelector"], selector);
    assert_eq!(pod(&["--set-json", r#"podAntiAffinityPreset="""#])["affinity"], Value::Null);
    // The user's rules replace preset rules of the same kind; those of another kind are added.
    let own = r#"affinity={"podAntiAffinity":{"requiredDuringSchedulingIgnoredDuringExecution":[]},"nodeAffinity":{}}"#;
    let own = pod(&["--set-json", own])["affinity"].clone();
    assert_eq!(
        own,
        json!({"nodeAffinity": {}, "podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": []}})
    );
    assert!(pod(&["--set-json", r#"affinity={"nodeAffinity":{}}"#])["affinity"]["podAntiAffinity"].is_object());

    assert_eq!(only("PodDisruptionBudget", &[])["spec"]["maxUnavailable"], 1);
    for none in ["replicaCount=1", "podDisruptionBudget.enabled=false"] {
        assert!(!render(&flags(none)).contains("PodDisruptionBudget"), "{none}");
    }
    assert_eq!(pod(&[])["enableServiceLinks"], false);
}

#[test]
fn a_monitor_finds_the_release_from_the_namespace_it_is_put_into() {
    for (kind, endpoints) in [("ServiceMonitor", "endpoints"), ("PodMonitor", "podMetricsEndpoints")] {
        let value = kind[..1].to_lowercase() + &kind[1..];
        let flags = ["namespace=monitoring", "interval=30s", "scrapeTimeout=10s", "honorLabels=true", "enabled=true"]
            .map(|flag| format!("{value}.{flag}"))
            .join(",");
        let monitor = only(kind, &["--set", &flags]);
        assert_eq!(monitor["metadata"]["namespace"], "monitoring");
        let spec = &monitor["spec"];
        assert_eq!(spec["namespaceSelector"], json!({"matchNames": ["dws-system"]}));
        assert_eq!(spec["selector"], only("Deployment", &[])["spec"]["selector"]);
        let endpoint =
            json!({"port": "http", "path": "/metrics", "interval": "30s", "scrapeTimeout": "10s", "honorLabels": true});
        assert_eq!(spec[endpoints], json!([endpoint]));
        let plain = only(kind, &["--set", &format!("{value}.enabled=true")]);
        assert_eq!(plain["metadata"]["namespace"], "dws-system");
        assert_eq!(plain["spec"][endpoints], json!([{"port": "http", "path": "/metrics"}]));
    }
}
