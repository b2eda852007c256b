//! Which parts of a kubeconfig reach the configuration, and which reach errors.

use std::fmt::Write;

use http_body_util::BodyExt;
use testbed::simulator::{Options, Simulator};

use super::*;

/// A kubeconfig in its own directory, with these additional lines of its cluster and its user.
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

async fn config_of(cluster: &[&str], user: &[&str]) -> Result<Config, String> {
    let (_directory, file) = file(cluster, user);
    from_file(Some(&file), None).await.inspect_err(|text| {
        assert!(text.starts_with(&format!("kubeconfig {} (", file.display())), "{text}");
    })
}

#[tokio::test]
async fn a_certificate_file_is_read_again_and_inline_data_is_not() {
    let pem = std::fs::read_to_string(Simulator::start(&Options::default()).unwrap().ca_file()).unwrap();
    let (directory, file) = file(&["certificate-authority: ca.crt"], &[]);
    let ca = directory.path().join("ca.crt");
    std::fs::write(&ca, &pem).unwrap();
    let config = from_file(Some(&file), None).await.unwrap();
    assert_eq!((config.root_cert_file, config.root_cert.map(|certificates| certificates.len())), (Some(ca), Some(1)));
    let data = format!(
        "certificate-authority-data: {}",
        base64::Engine::encode(&base64::engine::general_purpose::STANDARD, pem)
    );
    assert_eq!(config_of(&[&data, "certificate-authority: ca.crt"], &[]).await.unwrap().root_cert_file, None);
}

#[tokio::test]
async fn the_proxy_of_a_kubeconfig_is_used_for_any_server() {
    let config = config_of(&["proxy-url: http://user:canary@proxy.example.com:3128"], &[]).await.unwrap();
    assert_eq!(config.proxy_url.unwrap(), "http://user:canary@proxy.example.com:3128");
    for wrong in ["'http://user:canary@proxy.example.com:x'", "ftp://user:canary@proxy.example.com"] {
        let text = config_of(&[&format!("proxy-url: {wrong}")], &[]).await.unwrap_err();
        assert!(text.contains("proxy-url must be http://HOST:PORT") && !text.contains("canary"), "{text}");
    }
}

#[tokio::test]
async fn errors_name_the_place_and_not_the_content() {
    for (cluster, user, text) in [
        (&[][..], &["token: canary", "  bad: ["][..], "line 12, column"),
        (&[], &["token: [canary]"], "line 11, column"),
        (&[], &["token: \"canary\\n\""], "holds a line break"),
        (&[], &["auth-provider: {name: oidc, config: {id-token: \"canary\\n\"}}"], "holds a line break"),
        (&["certificate-authority-data: canary-"], &[], "certificate-authority-data is not base64"),
        (&["certificate-authority: missing"], &[], "missing: No such file"),
        (&["server: https://user:canary@127.0.0.1:1"], &[], "line 7, column"),
    ] {
        let error = config_of(cluster, user).await.unwrap_err();
        assert!(error.contains(text), "{error}");
        assert!(!error.contains("canary"), "{error}");
    }
}

fn proxy(server: &str, variables: &[(&str, &str)]) -> Result<Option<String>, String> {
    let variable =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
    let found = proxy_of_environment(&server.parse().unwrap(), variable)?;
    Ok(found.map(|url| url.to_string()))
}

#[test]
fn no_proxy_applies_to_the_server_by_the_rules_of_kubectl() {
    let through = |server: &str, no_proxy: &str| {
        let variables = [("HTTPS_PROXY", "http://proxy.example.com:3128"), ("NO_PROXY", no_proxy)];
        proxy(server, &variables).unwrap().is_some()
    };
    for (server, no_proxy, goes_through) in [
        ("https://api.example.com:6443", "", true),
        ("https://api.example.com:6443", "proxy.example.com", true),
        ("https://api.example.com:6443", "example.com", false),
        ("https://api.example.com:6443", ".example.com", false),
        ("https://api.example.com:6443", "*.example.com", false),
        ("https://api.example.com:6443", "ample.com", true),
        ("https://api.example.com:6443", "*", false),
        ("https://api.example.com:6443", " a.b , api.example.com", false),
        ("https://api.example.com:6443", "api.example.com:6443", false),
        ("https://api.example.com:6443", "api.example.com:443", true),
        ("https://api.example.com", "api.example.com:443", false),
        ("https://10.1.2.3:6443", "10.0.0.0/8", false),
        ("https://10.1.2.3:6443", "11.0.0.0/8", true),
        ("https://10.1.2.3:6443", "10.1.2.3:6443", false),
        ("https://[fd00::1]:6443", "fd00::/8", false),
        ("https://[fd00::1]:6443", "[fd00::1]:6443", false),
        // Requests to this machine use no proxy of the environment.
        ("https://127.0.0.1:6443", "", false),
        ("https://[::1]:6443", "", false),
        ("https://localhost:6443", "", false),
    ] {
        assert_eq!(through(server, no_proxy), goes_through, "{server} with NO_PROXY={no_proxy}");
    }
}

#[test]
fn the_variable_is_that_of_the_servers_scheme_in_either_case() {
    let server = "https://api.example.com";
    let url = |variables: &[(&str, &str)]| proxy(server, variables).unwrap();
    assert_eq!(url(&[("https_proxy", "http://p:1")]).as_deref(), Some("http://p:1/"));
    assert_eq!(url(&[("HTTPS_PROXY", ""), ("https_proxy", "p:1")]).as_deref(), Some("http://p:1/"));
    assert_eq!(url(&[("HTTPS_PROXY", "user:pw@p:1")]).as_deref(), Some("http://user:pw@p:1/"));
    assert_eq!(url(&[("HTTP_PROXY", "http://p:1"), ("ALL_PROXY", "http://p:1")]), None);
    let plain = proxy("http://api.example.com", &[("HTTP_PROXY", "http://p:1")]).unwrap();
    assert_eq!(plain.as_deref(), Some("http://p:1/"));
}

#[test]
fn an_invalid_proxy_is_reported_without_its_login() {
    for text in ["ftp://user:canary@p:1", "http://user:can^ary@p:1", "socks5://user:canary@p:1", "http://"] {
        let error = proxy("https://api.example.com", &[("HTTPS_PROXY", text)]).unwrap_err();
        assert!(error.starts_with("HTTPS_PROXY must be http://HOST:PORT"), "{error}");
        assert!(!error.contains("canary") && !error.contains("can^ary"), "{error}");
    }
}

#[tokio::test]
async fn an_answer_is_limited_as_a_whole_and_a_watch_line_by_line() {
    let is_read = async |text: String, is_watch| {
        let body = Body::from(text.into_bytes());
        BodyExt::collect(limited(Response::new(body), is_watch).into_body()).await.is_ok()
    };
    let long = "x".repeat(MAX_ANSWER + 1);
    let lines = format!("{}\n", "x".repeat(MAX_ANSWER - 1)).repeat(2);
    assert!(is_read("x".repeat(MAX_ANSWER), false).await && is_read("x".repeat(MAX_ANSWER), true).await);
    assert!(!is_read(long.clone(), false).await && !is_read(long, true).await);
    assert!(!is_read(lines.clone(), false).await && is_read(lines, true).await);
}
