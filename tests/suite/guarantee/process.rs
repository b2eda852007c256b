//! The process around the controller: flags, pages, logs, watched namespaces.

use std::process::{Command, Output};

use kube::{Api, ResourceExt, api::PostParams};
use redistribution_operator::api::ClusterRedistribution;
use testbed::{eventually, fresh_namespace};

use crate::support::world::{DEFAULT_SECRET, NO_TIMEOUT, PATIENCE, World, binary, describe, reason_of, spec};

fn run(arguments: &[&str]) -> Output {
    Command::new(binary()).arg("run").args(arguments).env_clear().output().unwrap()
}

#[test]
fn a_wrong_flag_is_one_sentence_and_exit_code_2() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing.pem").display().to_string();
    let kubeconfig = directory.path().join("config");
    let nowhere = "{apiVersion: v1, kind: Config, clusters: [{name: x, cluster: {server: 'https://127.0.0.1:1'}}], users: [{name: x, user: {token: x}}], contexts: [{name: x, context: {cluster: x, user: x}}], current-context: x}";
    std::fs::write(&kubeconfig, nowhere).unwrap();
    let kubeconfig = kubeconfig.display().to_string();
    let cases: [(&[&str], &str); 12] = [
        (&["--endpoint", "lab=http://dws.example.com"], "plain http is allowed for loopback addresses only"),
        (&["--endpoint", "lab"], "REGION=URL"),
        (&["--region", "mars-1"], "region \"mars-1\" is not known"),
        (&["--allow-region", "dws.example.com"], "is not a valid name"),
        (&["--ca-bundle", &missing], "--ca-bundle"),
        (&["--proxy", "socks5://127.0.0.1:1"], "--proxy"),
        (&["--proxy", "http://user:pa/ss@127.0.0.1:3128"], "write / as %2F"),
        (&["--proxy", "http://user:12/pa/ss@127.0.0.1:3128"], "write / as %2F"),
        (&["--request-timeout", "1h"], "must be from 2s to 300s"),
        (&["--concurrency", "0"], "0 is not in 1..=100"),
        (&["--default-credentials-namespace", "*"], "needs --default-credentials-dir"),
        (&["--log-level", "x=y=z"], "--log-level"),
    ];
    for (flags, told) in cases {
        let output = run(&[&["--kubeconfig", &kubeconfig, "--listen", "127.0.0.1:0"], flags].concat());
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{flags:?}: {error}");
        assert!(error.contains(told), "{flags:?}: {error}");
        assert!(!error.contains("panicked") && !error.contains("pa/ss"), "{error}");
    }
    let nothing = run(&["--kubeconfig", &missing]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&nothing.stderr).contains("--kubeconfig"));
}

#[test]
fn help_explains_every_flag_with_its_environment_variable() {
    let help = String::from_utf8(run(&["--help"]).stdout).unwrap();
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/flags.md")).unwrap();
    let flags: Vec<_> = help
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("--"))
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert!(flags.len() > 20, "{flags:?}");
    for flag in flags {
        assert!(readme.contains(&format!("`--{flag}")), "docs/flags.md does not list --{flag}");
    }
    let variables: Vec<_> = help.split("[env: ").skip(1).filter_map(|rest| rest.split(['=', ']']).next()).collect();
    for variable in &variables {
        assert!(readme.contains(&format!("`{variable}`")), "docs/flags.md does not list {variable}");
    }
    assert!(variables.len() > 20);
}

#[tokio::test]
async fn the_pages_answer_and_readiness_ends_with_the_first_signal() {
    let (world, cluster, operator) = World::with_a_call_in_flight(&[NO_TIMEOUT]).await;
    for (page, status) in [("/livez", 200), ("/readyz", 200), ("/nothing", 404)] {
        assert_eq!(operator.get(page).await.unwrap().0, status, "{page}");
    }
    let metrics = operator.metrics().await.unwrap();
    assert!(metrics.contains("dws_redistribution_requests_in_flight 1"), "{metrics}");
    let (ended, ()) = tokio::join!(operator.terminate(), async {
        eventually(PATIENCE, "it is alive and not ready while a call is in flight", async || {
            match (operator.get("/readyz").await, operator.get("/livez").await) {
                (Ok((503, _)), Ok((200, _))) => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .await;
        world.cloud.release(&cluster);
    });
    assert!(ended.unwrap().success());
}

#[tokio::test]
async fn each_outcome_and_each_new_hold_is_one_event() {
    let world = World::new().await;
    let cluster = world.cluster();
    let _operator = world.operator().await;
    world.create_annotated("request", &cluster, &[("suspend", "true")]).await;
    world.settled("request", "Suspended").await;
    world.annotate("request", "dws.huaweicloud.com/suspend", None).await;
    world.settled("request", "Delivered").await;
    eventually(PATIENCE, "two events", async || {
        let mut reasons: Vec<_> = world.events().await.into_iter().filter_map(|event| event.reason).collect();
        reasons.sort();
        if reasons == ["Delivered", "Suspended"] { Ok(()) } else { Err(format!("{reasons:?}")) }
    })
    .await;
}

#[tokio::test]
async fn only_configured_namespaces_and_labels_are_watched() {
    let world = World::new().await;
    let second = fresh_namespace(&world.client, "suite").await.unwrap();
    let unwatched = fresh_namespace(&world.client, "suite").await.unwrap();
    let namespaces = vec![world.namespace.clone(), second.clone()];
    let _operator = world
        .operator_from(|options| {
            options.watch = namespaces;
            options.arguments.push("--selector=team=warehouse".into());
        })
        .await;
    let create = async |namespace: &str, label: &str| {
        let cluster = world.cluster();
        let mut object = ClusterRedistribution::new(&format!("request-{label}"), spec(&cluster));
        object.labels_mut().insert("team".to_owned(), label.to_owned());
        let api = Api::namespaced(world.client.clone(), namespace);
        api.create(&PostParams::default(), &object).await.unwrap();
        (api, cluster)
    };
    let key = [("accessKey", world.cloud.access_key()), ("secretKey", world.cloud.secret_key())];
    for namespace in [&second, &unwatched] {
        world.secret_in(namespace, DEFAULT_SECRET, &key).await;
    }
    let mut silent = Vec::new();
    for (namespace, label) in [(&unwatched, "warehouse"), (&second, "other"), (&world.namespace, "other")] {
        silent.push(create(namespace, label).await);
    }
    for namespace in [&world.namespace, &second] {
        let (api, cluster) = create(namespace, "warehouse").await;
        eventually(PATIENCE, "the watched object is delivered", async || {
            let object = api.get("request-warehouse").await.map_err(|error| error.to_string())?;
            if reason_of(&object).as_deref() == Some("Delivered") { Ok(()) } else { Err(describe(&object)) }
        })
        .await;
        assert_eq!(world.calls(&cluster), 1);
    }
    for (_, cluster) in silent {
        assert_eq!(world.calls(&cluster), 0);
    }
}

#[tokio::test]
async fn flags_can_be_given_by_the_environment_and_logs_can_be_text() {
    let world = World::new().await;
    let cluster = world.cluster();
    let endpoint = format!("lab={}", world.cloud.url());
    let ca = world.cloud.ca_file().display().to_string();
    let operator = world
        .operator_from(|options| {
            options.arguments = Vec::new();
            let variables = [
                ("DWS_OPERATOR_REGION", "lab"),
                ("DWS_OPERATOR_ENDPOINTS", &endpoint),
                ("DWS_OPERATOR_CA_BUNDLE", &ca),
                ("DWS_OPERATOR_REQUIRE_NOT_AFTER", "true"),
            ];
            options.environment.extend(variables.map(|(name, value)| (name.into(), value.into())));
        })
        .await;
    world.create("request", &cluster).await;
    world.settled("request", "NotAfterMissing").await;
    operator.terminate().await.unwrap();
}

#[tokio::test]
async fn the_memory_of_the_process_goes_into_no_core_file() {
    let world = World::new().await;
    let operator = world.operator().await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", operator.pid())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().skip(4).collect::<Vec<_>>(), ["0", "0", "bytes"]);
}
