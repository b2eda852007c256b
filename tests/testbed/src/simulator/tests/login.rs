use super::*;

async fn all_with(client: &Client, token: &str) -> [Reply; 3] {
    let header = [("X-Auth-Token", token)];
    let (call, detail) = (client::call_target(C), client::detail_target(C));
    [
        client.send("GET", &detail, &header, "").await,
        client.send("GET", &call, &header, "").await,
        client.send("POST", &call, &header, client::CALL).await,
    ]
}

fn statuses(replies: &[Reply]) -> Vec<u16> {
    replies.iter().map(|reply| reply.status).collect()
}

#[tokio::test]
async fn a_token_opens_the_call_and_both_reads_until_it_is_revoked() {
    let client = Client::new();
    client.cloud.add_user("domain", "user", "right");
    let login = client.login("user", "right").await;
    assert_eq!(login.status, 201);
    let token = login.header("X-Subject-Token").unwrap().to_owned();
    assert_eq!(statuses(&all_with(&client, &token).await), [200; 3]);
    assert_eq!((client.cloud.executions(C), client.cloud.entries()[0].user.as_str()), (1, "user"));
    client.cloud.revoke_tokens("user");
    for reply in all_with(&client, &token).await {
        assert!(reply.status == 401 && reply.body.contains("APIGW.0307"), "{reply:?}");
    }
    let again = client.login("user", "right").await;
    let again = again.header("X-Subject-Token").unwrap();
    assert_eq!(statuses(&all_with(&client, again).await), [200, 200, 403], "a new one is good; the cluster is busy");
    client.cloud.set_password("user", "other");
    assert_eq!(statuses(&all_with(&client, again).await), [401; 3]);
    assert_eq!(client.login("user", "right").await.status, 401);
}

#[tokio::test]
async fn a_token_that_lives_for_no_time_is_over_at_once() {
    let client = Client::new();
    client.cloud.add_user("domain", "user", "right");
    client.cloud.token_lifetime(std::time::Duration::ZERO);
    let login = client.login("user", "right").await;
    let replies = all_with(&client, login.header("X-Subject-Token").unwrap()).await;
    assert!(replies.iter().all(|reply| reply.status == 401 && reply.body.contains("APIGW.0307")), "{replies:?}");
}

#[tokio::test]
async fn logins_are_counted_by_user_and_the_ledger_holds_no_password() {
    let client = Client::new();
    client.cloud.add_user("domain", "user", "right-password");
    client.cloud.script_logins([Script::ordinary().when_released(), Script::ordinary().when_released()]);
    let release = async {
        client.cloud.logins_arrived("user", 2).await;
        client.cloud.release_login();
        client.cloud.release_login();
    };
    let ((), one, two) =
        tokio::join!(release, client.login("user", "right-password"), client.login("user", "right-password"));
    assert_eq!((one.status, two.status), (201, 201));
    for _ in 0..5 {
        assert!(!client.cloud.is_user_locked("user"));
        assert_eq!(client.login("user", "wrong").await.status, 401);
    }
    assert!(client.cloud.is_user_locked("user"));
    assert_eq!((client.cloud.logins("user"), client.cloud.max_logins_in_flight("user")), (7, 2));
    assert_eq!(client.cloud.logins("nobody"), 0);
    assert!(!format!("{:?}", client.cloud.login_entries()).contains("right-password"));
}

#[tokio::test]
async fn a_login_can_be_scripted_like_any_request() {
    let client = Client::new();
    client.cloud.add_user("domain", "user", "right");
    client.cloud.script_logins([Script::error(Shape::Plain, 429, "IAM.0012", "slow down"), Script::new(Act::Cut)]);
    assert_eq!(client.login("user", "right").await.status, 429);
    assert_eq!(client.login("user", "right").await.status, 0);
    assert_eq!(client.login("user", "right").await.status, 201);
}

#[tokio::test]
async fn a_separate_iam_only_logs_in_and_its_cloud_accepts_the_tokens() {
    let loopback = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
    let client = Client::of(&Options { iam: Some(loopback), ..Options::default() });
    client.cloud.add_user("domain", "user", "right");
    assert_ne!(client.cloud.iam_url(), client.cloud.url());
    assert_eq!(client.login("user", "right").await.status, 404, "at the cloud");
    let body = serde_json::json!({"auth": {
        "identity": {"methods": ["password"], "password": {"user": {"name": "user", "password": "right", "domain": {"name": "domain"}}}},
        "scope": {"project": {"id": PROJECT}}
    }});
    let iam = client.cloud.iam_url();
    let login = client.send_to(&iam, "POST", "/v3/auth/tokens", &[], &body.to_string()).await;
    assert_eq!(login.status, 201);
    let token = login.header("X-Subject-Token").unwrap();
    assert_eq!(statuses(&all_with(&client, token).await), [200; 3]);
    let header = [("X-Auth-Token", token)];
    assert_eq!(client.send_to(&iam, "GET", &client::detail_target(C), &header, "").await.status, 404);
}
