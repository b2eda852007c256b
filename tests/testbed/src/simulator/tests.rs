//! The simulator as seen by a client: over TLS, request by request. The client is part of the test and as plain as
//! possible.

mod client;
mod login;
mod pages;
mod reads;

use client::{Client, PROJECT, Reply, other_cluster};

use super::*;

const C: &str = "e59d6b86-9072-46eb-a996-13f8b44994c1";

#[tokio::test]
async fn calls_reads_and_logins_are_counted_and_numbered_apart() {
    let client = Client::new();
    client.cloud.add_user("domain", "user", "right");
    let read = client.detail(C).await;
    assert_eq!((read.status, read.header("x-request-id")), (200, Some("simulator-read-00000001")));
    assert_eq!(client.details(C).await.status, 200);
    assert_eq!(client.login("user", "wrong").await.header("x-request-id"), Some("simulator-login-00000001"));
    assert_eq!(client.cloud.total_calls(), 0);
    assert_eq!(client.call(C).await.header("x-request-id"), Some("simulator-00000001"));
    assert_eq!((client.cloud.calls(C), client.cloud.entries().len(), client.cloud.executions(C)), (1, 1, 1));
    let reads = client.cloud.reads(&C.to_uppercase());
    assert_eq!(
        reads.iter().map(|read| read.kind).collect::<Vec<_>>(),
        [Kind::Read(Read::Cluster), Kind::Read(Read::Redistribution)]
    );
    assert!(reads.iter().all(|read| read.verified && read.outcome.as_deref() == Some("200")));
    assert!(reads[0].arrived_millis > 1_700_000_000_000 && reads[1].arrived_millis >= reads[0].arrived_millis);
    assert_eq!((client.cloud.max_in_flight(), client.cloud.max_reads_in_flight()), ((1, 1), (1, 1)));
}

#[tokio::test]
async fn of_concurrent_calls_only_one_is_carried_out() {
    let client = Client::new();
    let calls = futures::future::join_all((0..20).map(|_| client.call(C))).await;
    assert_eq!(calls.iter().filter(|reply| reply.status == 200).count(), 1);
    assert_eq!((client.cloud.calls(C), client.cloud.executions(C)), (20, 1));
}

#[tokio::test]
async fn a_call_whose_reply_is_lost_appears_in_later_reads() {
    let client = Client::new();
    client.cloud.lag(C, Lag::Reads(1));
    client.cloud.script(C, [Script::lost_reply()]);
    assert_eq!(client.call(C).await.status, 0);
    assert_eq!(client.task(C).await, "WAITING_REDISTRIBUTION");
    assert_eq!(client.task(C).await, "REDISTRIBUTING");
    let run = client.cloud.run_of(C).unwrap();
    assert_eq!((run.redis_mode.as_str(), run.parallel_jobs), ("online", 3));
    assert!(client.details(C).await.body.contains(&run.id));
}
