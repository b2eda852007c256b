use std::time::Duration;

use super::*;

#[tokio::test]
async fn a_read_is_judged_like_a_call() {
    let client = Client::new();
    let unsigned = client.send("GET", &client::detail_target(C), &[], "").await;
    assert!(unsigned.status == 401 && unsigned.body.contains("APIGW.0301"), "{unsigned:?}");
    let unknown = client.signed("GET", "/v1.0/p/instances/c", "").await;
    assert!(unknown.status == 404 && unknown.body.contains("APIGW.0101"), "{unknown:?}");
    for target in [client::detail_target(&other_cluster()), client::call_target(&other_cluster())] {
        let missing = client.signed("GET", &target, "").await;
        assert!(missing.status == 401 && missing.body.contains("DWS.0047"), "{missing:?}");
    }
    let elsewhere = client.signed("GET", &format!("/v1.0/other/clusters/{C}"), "").await;
    assert!(elsewhere.status == 401 && elsewhere.body.contains("DWS.0047"), "{elsewhere:?}");
    client.cloud.delete_cluster(C);
    let deleted = client.detail(C).await;
    assert!(deleted.status == 404 && deleted.body.contains("DWS.3027"), "{deleted:?}");
}

#[tokio::test]
async fn the_next_read_shows_every_change_by_a_test() {
    let client = Client::new();
    let cloud = &client.cloud;
    let steps: [(&str, &dyn Fn()); 7] = [
        ("REDISTRIBUTING", &|| cloud.redistributing(C)),
        ("REDISTRIBUTION_PAUSED", &|| cloud.paused(C, false)),
        ("REDISTRIBUTE_FAILURE", &|| cloud.failed(C)),
        ("GROWING", &|| cloud.growing(C)),
        ("SNAPSHOTTING", &|| cloud.task(C, "SNAPSHOTTING")),
        ("WAITING_REDISTRIBUTION", &|| cloud.waiting(C)),
        ("", &|| {
            cloud.idle(C);
            cloud.detail(C, |detail| detail.no_task = NoTask::Empty);
        }),
    ];
    for (word, tell) in steps {
        tell();
        assert_eq!(client.task(C).await, word);
    }
    assert_eq!(cloud.executions(C), 0, "nobody called");
    cloud.redistributing(C);
    let told = |run: &mut Run| (run.tables_done, run.tables_left, run.bytes_left) = (95, 230, 1 << 40);
    assert!(cloud.run(C, told));
    let progress = client.details(C).await.json()["redis_info"]["redis_progress"].take();
    assert_eq!((&progress["tables_left"], &progress["byte_left"]), (&230.into(), &(1u64 << 40).into()));
    cloud.replace(C, Read::Cluster, Some(serde_json::json!({"cluster": []})));
    assert_eq!(client.detail(C).await.body, r#"{"cluster":[]}"#);
}

#[tokio::test]
async fn each_kind_of_read_has_scripts_of_its_own_which_calls_do_not_meet() {
    let client = Client::new();
    client.cloud.lag(C, Lag::Reads(1));
    client.cloud.script_reads(
        C,
        Read::Cluster,
        [
            Script::error(Shape::WithRequestId, 401, "APIGW.0301", "verify aksk signature fail"),
            Script::status(503),
            Script::new(Act::Answer(Answer::with_body(200, "<html>"))),
            Script::new(Act::HalfBody(Answer::with_body(200, r#"{"cluster":"#))),
            Script::new(Act::Cut),
            Script::lost_reply(),
        ],
    );
    assert_eq!(client.details(C).await.status, 200);
    assert_eq!(client.call(C).await.status, 200);
    let mut seen = Vec::new();
    for _ in 0..6 {
        seen.push(client.detail(C).await.status);
    }
    assert_eq!(seen, [401, 503, 200, 200, 0, 0]);
    assert_eq!(client.task(C).await, "WAITING_REDISTRIBUTION", "reads that met a script do not count for the lag");
    assert_eq!(client.task(C).await, "REDISTRIBUTING");
    assert_eq!(client.cloud.executions(C), 1, "a read carries nothing out");
    assert_eq!(client.cloud.reads_of(C, Read::Cluster), 8);
}

#[tokio::test]
async fn a_held_read_shows_the_state_at_its_release_and_a_hang_ends_by_client() {
    let client = Client::new();
    client.cloud.script_reads(C, Read::Cluster, [Script::ordinary().when_released()]);
    let read = async {
        client.cloud.reads_arrived(C, Read::Cluster, 1).await;
        client.cloud.growing(C);
        client.cloud.release_read(C, Read::Cluster);
    };
    let (task, ()) = tokio::join!(client.task(C), read);
    assert_eq!(task, "GROWING");

    client.cloud.script_reads(C, Read::Redistribution, [Script::new(Act::Hang)]);
    tokio::select! {
        reply = client.details(C) => panic!("{reply:?}"),
        () = client.cloud.reads_arrived(C, Read::Redistribution, 1) => {}
    }
    let ended = || client.cloud.reads(C).last().and_then(|read| read.outcome.clone());
    let gone = crate::eventually(Duration::from_secs(60), "the read ends", async || ended().ok_or("not yet")).await;
    assert!(gone == "hang" || gone == "half a body", "{gone}");
}

#[tokio::test]
async fn a_right_can_be_missing_for_one_kind_of_read_only() {
    let client = Client::new();
    for (denial, code) in
        [(Denial::Gateway, "APIGW.0302"), (Denial::Service, "DWS.5036"), (Denial::Policy, "encoded_authorization")]
    {
        client.cloud.deny(Read::Redistribution, Some(denial));
        let denied = client.details(C).await;
        assert!(denied.status == 403 && denied.body.contains(code), "{denied:?}");
        assert_eq!(client.detail(C).await.status, 200);
    }
    client.cloud.deny(Read::Redistribution, None);
    assert_eq!(client.details(C).await.status, 200);
    client.cloud.throttle_reads(Some(Throttle { limit: 1, seconds: 600, retry_after: true }));
    assert_eq!(client.detail(C).await.status, 200);
    assert_eq!(client.details(C).await.status, 429);
    assert_eq!(client.call(C).await.status, 200, "calls have a limit of their own");
}

#[tokio::test]
async fn a_cloud_with_any_cluster_shows_one_that_is_read_first() {
    let client = Client::of(&Options { accept_any_cluster: true, tables_per_read: 50, ..Options::default() });
    let cluster = other_cluster();
    client.cloud.script(&cluster, [Script::status(503)]);
    assert_eq!(client.task(&cluster).await, "WAITING_REDISTRIBUTION");
    assert_eq!(client.call(&cluster).await.status, 503);
    assert_eq!(client.call(&cluster).await.status, 200);
    assert_eq!(client.task(&cluster).await, "REDISTRIBUTING");
    assert_eq!(client.task(&cluster).await, "REDISTRIBUTING");
    assert_eq!(client.task(&cluster).await, serde_json::Value::Null);
}
