//! What of a kubeconfig gets into the configuration, and what of it gets into errors.

use std::fmt::Write;

use testbed::simulator::{Options, Simulator};

use super::*;

/// A kubeconfig in a directory of its own, with these lines of its cluster and its user.
fn file(cluster: &[&str], user: &[&str]) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let lines = |lines: &[&str]| {
        lines.iter().fold(String::new(), |mut text, line| {
            writeln!(text, "    {line}").unwrap();
            text
        })
    };
    let text = format!(
        "apiVersion: v1\nkind: Config\nclusters:\n- name: x\n  cluster:\n    server: https://127.0.0.1:1\n{}users:\n- name: x\n  user:\n    username: x\n{}contexts:\n- name: x\n  context: {{cluster: x, user: x}}\ncurrent-context: x\n",
        lines(cluster),
        lines(user)
    );
    let file = directory.path().join("config");
    std::fs::write(&file, text).unwrap();
    (directory, file)
}

async fn of(cluster: &[&str], user: &[&str]) -> Result<Config, String> {
    let (_directory, file) = file(cluster, user);
    of_file(Some(&file), None).await.map_err(|error| {
        let told = error.to_string();
        assert!(told.starts_with(&format!("kubeconfig {} (", file.display())), "{told}");
        told
    })
}

#[tokio::test]
async fn a_certificate_file_is_read_again_and_data_is_not_there_to_be() {
    let pem = std::fs::read_to_string(Simulator::start(&Options::default()).unwrap().ca_file()).unwrap();
    let (directory, file) = file(&["certificate-authority: ca.crt"], &[]);
    let ca = directory.path().join("ca.crt");
    std::fs::write(&ca, &pem).unwrap();
    let config = of_file(Some(&file), None).await.unwrap();
    assert_eq!((config.root_cert_file, config.root_cert.map(|certificates| certificates.len())), (Some(ca), Some(1)));
    let data = format!(
        "certificate-authority-data: {}",
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pem)
    );
    assert_eq!(of(&[&data, "certificate-authority: ca.crt"], &[]).await.unwrap().root_cert_file, None);
}

#[tokio::test]
async fn the_kubeconfigs_own_proxy_is_used_whatever_the_server() {
    let config = of(&["proxy-url: http://user:canary@proxy.example.com:3128"], &[]).await.unwrap();
    assert_eq!(config.proxy_url.unwrap(), "http://user:canary@proxy.example.com:3128");
    for wrong in ["'http://user:canary@proxy.example.com:x'", "ftp://user:canary@proxy.example.com"] {
        let told = of(&[&format!("proxy-url: {wrong}")], &[]).await.unwrap_err();
        assert!(told.contains("proxy-url must be http://HOST:PORT") && !told.contains("canary"), "{told}");
    }
}

#[tokio::test]
async fn what_is_wrong_is_told_with_its_place_and_without_its_content() {
    for (cluster, user, told) in [
        (&[][..], &["token: canary", "  bad: ["][..], "line 12, column"),
        (&[], &["token: [canary]"], "line 11, column"),
        (&[], &["token: \"canary\\n\""], "holds a line break"),
        (&[], &["auth-provider: {name: oidc, config: {id-token: \"canary\\n\"}}"], "holds a line break"),
        (&["certificate-authority-data: canary-"], &[], "certificate-authority-data is not base64"),
        (&["certificate-authority: missing"], &[], "missing: No such file"),
        (&["server: https://user:canary@127.0.0.1:1"], &[], "line 7, column"),
    ] {
        let error = of(cluster, user).await.unwrap_err();
        assert!(error.contains(told), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
}
