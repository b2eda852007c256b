use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use super::*;

/// Requests an admin page; returns status and body.
async fn ask(client: &Client, method: &str, target: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(client.cloud.admin_url().trim_start_matches("http://")).await.unwrap();
    let length = body.len();
    let head =
        format!("{method} {target} HTTP/1.1\r\nhost: h\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n");
    stream.write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

async fn post(client: &Client, target: &str, body: &str) {
    let (status, text) = ask(client, "POST", target, body).await;
    assert_eq!(status, 200, "{target}: {text}");
}

#[tokio::test]
async fn pages_can_change_a_cluster_like_a_test() {
    let client = Client::new();
    let of = |page: &str| format!("/{page}?cluster={C}");
    post(&client, "/clusters", &format!(r#"{{"project":"{PROJECT}","cluster":"{C}","task_status":"REDISTRIBUTING"}}"#))
        .await;
    post(&client, &of("run"), r#"{"tables_done":95,"status":"PAUSE"}"#).await;
    post(&client, &of("detail"), r#"{"status":"ACTIVE"}"#).await;
    let info = client.details(C).await.json()["redis_info"].take();
    assert_eq!((&info["status"], &info["redis_progress"]["tables_done"]), (&"PAUSE".into(), &95.into()));
    assert_eq!(client.detail(C).await.json()["cluster"]["status"], "ACTIVE");

    post(&client, &of("tables-per-read"), "100").await;
    post(&client, &of("no-run"), r#""not_found""#).await;
    assert_eq!(client.task(C).await, "REDISTRIBUTING");
    assert_eq!(client.details(C).await.status, 404);

    post(&client, &format!("{}&read=cluster", of("script")), r#"{"act":{"answer":{"status":500}}}"#).await;
    assert_eq!(client.detail(C).await.status, 500);
    post(&client, "/deny?read=cluster", r#""gateway""#).await;
    assert_eq!(client.detail(C).await.status, 403);
    post(&client, "/deny?read=cluster", "null").await;
    post(&client, "/clusters", &format!(r#"{{"project":"{PROJECT}","cluster":"{C}"}}"#)).await;
    post(&client, &of("lag"), r#""never""#).await;
    assert_eq!(client.call(C).await.status, 200);
    assert_eq!(client.task(C).await, "WAITING_REDISTRIBUTION");
}

#[tokio::test]
async fn the_pages_show_reads_and_logins_and_know_users() {
    let client = Client::new();
    post(&client, "/users", r#"{"domain":"domain","user":"user","password":"right"}"#).await;
    let login = client.login("user", "right").await;
    let token = login.header("X-Subject-Token").unwrap();
    post(&client, "/revoke", r#""user""#).await;
    assert_eq!(client.send("GET", &client::detail_target(C), &[("X-Auth-Token", token)], "").await.status, 401);
    for (page, kind) in [("/reads", serde_json::json!({"read": "cluster"})), ("/logins", "login".into())] {
        let (status, text) = ask(&client, "GET", page, "").await;
        let entries: Value = serde_json::from_str(&text).unwrap();
        assert_eq!((status, entries.as_array().unwrap().len()), (200, 1), "{page}");
        assert_eq!(entries[0]["kind"], kind);
    }
    assert_eq!(ask(&client, "GET", "/ledger", "").await, (200, "[]\n".to_owned()));
}

#[tokio::test]
async fn invalid_input_is_refused_and_changes_nothing() {
    let client = Client::new();
    for (target, body) in [
        (format!("/run?cluster={C}"), "{}"),
        (format!("/detail?cluster={C}"), r#"{"status":7}"#),
        (format!("/lag?cluster={C}"), "3"),
        ("/deny?read=calls".to_owned(), "null"),
    ] {
        assert_eq!(ask(&client, "POST", &target, body).await.0, 400, "{target}");
    }
    assert_eq!(client.detail(C).await.json()["cluster"]["status"], "AVAILABLE");
    assert_eq!(ask(&client, "POST", "/run", "{}").await.0, 404);
    assert_eq!(ask(&client, "GET", "/elsewhere", "").await.0, 404);
}
