//! The connection to the API server: a kubeconfig as kubectl reads it, and none of its content in any text.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command, time::Duration};

use serde_json::json;
use testbed::{Operator, OperatorCommand, eventually};

use super::network::{edit, proxy, switch};
use crate::{
    support::proxied::Proxied,
    support::world::{World, binary, describe, reason_of, wait_for_output},
};

/// kube's verifier reads the file once a minute.
const READ_AGAIN: Duration = Duration::from_secs(300);

/// The output of `run` with a kubeconfig of these lines for the cluster and the user, and its exit status.
fn run(directory: &Path, cluster: &str, user: &str) -> (Option<i32>, String) {
    let file = directory.join("config");
    let text = format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: x\n  cluster:\n    server: https://192.0.2.1:6443\n{cluster}users:\n- name: x\n  user:\n    username: x\n{user}contexts:\n- name: x\n  context: {{cluster: x, user: x}}\ncurrent-context: x\n"
    );
    fs::write(&file, text).unwrap();
    let output = Command::new(binary())
        .args(["run", "--log-level=trace", "--listen=127.0.0.1:0", "--kubeconfig"])
        .arg(&file)
        .env_clear()
        .env("RUST_BACKTRACE", "0")
        .output()
        .unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

fn plugin(directory: &Path, script: &str) -> String {
    let file = directory.join("plugin");
    fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file.display().to_string()
}

fn exec(plugin: &str) -> String {
    format!("    exec: {{apiVersion: client.authentication.k8s.io/v1, command: {plugin}, interactiveMode: Never}}\n")
}

/// An `ExecCredential` with this status.
fn credential(status: &serde_json::Value) -> String {
    json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}).to_string()
}

#[test]
fn errors_show_nothing_of_a_kubeconfig_and_no_token_aborts_the_process() {
    let directory = tempfile::tempdir().unwrap();
    let shows_nothing = |cluster: &str, user: &str, told: &str| {
        let (code, said) = run(directory.path(), cluster, user);
        assert!(said.contains(told), "{said}");
        assert!(!said.contains("canary") && !said.contains("panicked"), "{said}");
        assert_eq!(code, Some(2), "{said}");
    };
    shows_nothing("", "    token: canary\n   bad: [\n", "line 12, column 4: it is not the YAML of a kubeconfig");
    shows_nothing("    proxy-url: ftp://user:canary@127.0.0.1:9\n", "", "proxy-url must be http://HOST:PORT");
    shows_nothing("", "    client-certificate-data: Y2FuYXJ5\n    client-key-data: Y2FuYXJ5\n", "must be PEM");
    let answer = credential(&json!({"token": "canary\n"}));
    for (script, told) in [
        ("echo canary; echo '  bad: ['", "the credential plugin of its user gave no ExecCredential"),
        ("echo canary; exit 7", "the credential plugin of its user failed (exit status: 7)"),
        (&format!("cat <<'END'\n{answer}\nEND"), "the token of its user holds a line break"),
    ] {
        shows_nothing("", &exec(&plugin(directory.path(), script)), told);
    }
}

#[tokio::test]
async fn later_output_of_a_credential_plugin_is_not_shown() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().display();
    // The expiry is so near that kube runs the plugin again for each request.
    let good = credential(&json!({"token": "canary-good", "expirationTimestamp": "2020-01-01T00:00:00Z"}));
    let script = format!("[ -e {path}/broken ] && {{ echo canary-bad; exit 7; }}\ncat <<'END'\n{good}\nEND");
    let plugin = plugin(directory.path(), &script);
    let kubeconfig = directory.path().join("config");
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "x",
        "clusters": [{"name": "x", "cluster": {"server": "https://127.0.0.1:1"}}],
        "users": [{"name": "x", "user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": plugin, "interactiveMode": "Never"}}}],
        "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x"}}],
    });
    fs::write(&kubeconfig, text.to_string()).unwrap();
    let operator = Operator::run(OperatorCommand {
        binary: binary(),
        kubeconfig,
        watch: Vec::new(),
        log_level: "trace".to_owned(),
        arguments: Vec::new(),
        environment: Vec::new(),
    })
    .unwrap();
    wait_for_output(&operator, "Connection refused").await;
    fs::write(directory.path().join("broken"), "").unwrap();
    wait_for_output(&operator, "the credential plugin of its user failed").await;
    operator.terminate().await.unwrap();
    assert!(!operator.output().contains("canary"), "{}", operator.output());
}

#[tokio::test]
async fn a_proxy_variable_does_not_apply_to_this_machine() {
    let world = World::new().await;
    let cluster = world.cluster();
    let operator = world
        .operator_from(|options| {
            let proxy = "http://user:canary@127.0.0.1:9";
            options
                .environment
                .extend(["HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY"].map(|name| (name.into(), proxy.into())));
            "trace".clone_into(&mut options.log_level);
        })
        .await;
    world.create("request", &cluster).await;
    world.settled("request", "Delivered").await;
    operator.terminate().await.unwrap();
    assert!(!operator.output().contains("canary"));
}

#[tokio::test]
async fn only_proxies_of_kubeconfig_and_flag_get_their_logins() {
    let world = World::new().await;
    let cluster = world.cluster();
    let (address, asked) = proxy().await;
    let first = world.operator().await;
    let mut command = first.command().clone();
    first.terminate().await.unwrap();
    "trace,hyper=trace,hyper_util=trace,kube_client=trace,reqwest=trace,tower=trace".clone_into(&mut command.log_level);
    edit(&command.kubeconfig, |kubeconfig| {
        kubeconfig["clusters"][0]["cluster"]["proxy-url"] = json!(format!("http://user:canary%40pass@{address}"));
    });
    command.arguments.push(format!("--proxy=http://team:canary-cloud@{address}").into());
    let operator = Operator::run(command).unwrap();
    operator.wait_ready().await.unwrap();
    world.create("request", &cluster).await;
    let object = world.settled("request", "Delivered").await;
    let metrics = operator.metrics().await.unwrap();
    operator.terminate().await.unwrap();
    let asked = asked.lock().unwrap().clone();
    let login = |pair: &str| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pair);
    let of_kubernetes = (world.plane.url().trim_start_matches("https://").to_owned(), login("user:canary@pass"));
    let of_cloud = (world.cloud.address().to_string(), login("team:canary-cloud"));
    for (target, login) in [&of_kubernetes, &of_cloud] {
        let heads: Vec<_> = asked.iter().filter(|head| head.starts_with(&format!("CONNECT {target} "))).collect();
        assert!(!heads.is_empty(), "{asked:?}");
        for head in heads {
            let given = head.lines().find(|line| line.to_ascii_lowercase().starts_with("proxy-authorization"));
            assert!(given.is_some_and(|line| line.ends_with(&format!(": Basic {login}"))), "{head}");
        }
    }
    let status = serde_json::to_string(&object.status).unwrap();
    for (place, text) in [("log", operator.output()), ("metrics", metrics), ("status", status)] {
        for canary in ["canary", &of_kubernetes.1, &of_cloud.1] {
            assert!(!text.contains(canary), "{canary} is in the {place}");
        }
    }
}

#[tokio::test]
async fn a_certificate_authority_that_is_replaced_in_its_file_is_read_again() {
    let world = World::new().await;
    let (before, after) = (Proxied::new(&world, "nothing").await, Proxied::new(&world, "nothing").await);
    let at = |proxied: &Proxied| proxied.proxy.kubernetes_url().trim_start_matches("https://").parse().unwrap();
    let (address, leads_to) = switch(at(&before)).await;
    let first = world
        .operator_from(|options| options.through = Some((format!("https://{address}"), before.ca_pem().to_owned())))
        .await;
    let command = first.command().clone();
    first.terminate().await.unwrap();
    let directory = tempfile::tempdir().unwrap();
    let ca = directory.path().join("ca.crt");
    fs::write(&ca, before.ca_pem()).unwrap();
    edit(&command.kubeconfig, |kubeconfig| {
        kubeconfig["clusters"][0]["cluster"] =
            json!({"server": format!("https://{address}"), "certificate-authority": ca});
    });
    let operator = Operator::run(command).unwrap();
    operator.wait_ready().await.unwrap();
    // An answer that is already known when the authority changes is written too.
    let cluster = world.create_for("request", testbed::simulator::Script::held()).await;
    world.cloud.arrived(&cluster, 1).await;
    fs::write(&ca, after.ca_pem()).unwrap();
    leads_to.send(at(&after)).unwrap();
    world.cloud.release(&cluster);
    let next = world.cluster();
    world.create("next", &next).await;
    for name in ["request", "next"] {
        eventually(READ_AGAIN, &format!("{name} is delivered"), async || {
            let object = world.api().get(name).await.map_err(|error| error.to_string())?;
            if reason_of(&object).as_deref() == Some("Delivered") { Ok(()) } else { Err(describe(&object)) }
        })
        .await;
    }
    assert_eq!((world.calls(&cluster), world.calls(&next)), (1, 1));
    assert!(operator.terminate().await.unwrap().success(), "it is the same process that ends now");
}
