use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::{Value, json};

use super::*;
use crate::{
    api::{Attempt, AttemptState, Reason},
    testing::{
        mock::{Fault, Server, bump},
        sample::{at, attempt, fresh},
    },
};

fn claimed() -> ClusterRedistribution {
    let mut object = fresh(1);
    let attempt = Attempt { endpoint: Some("host".to_owned()), ..attempt("a", 1, AttemptState::Claimed) };
    object.status = Some(transitions::claimed(object.status.as_ref(), attempt, "calling", at(0)));
    object
}

fn delivered() -> Record {
    Record {
        state: AttemptState::Answered,
        reason: Reason::Delivered,
        message: "accepted".to_owned(),
        status_code: Some(200),
        error_code: None,
        request_id: None,
        retry_after: None,
    }
}

/// A server whose object changes just before the first write arrives.
fn changed_before_write(change: impl Fn(&mut Value) + Send + 'static) -> Server {
    let mut first = true;
    Server::new(&claimed(), move |method, object| {
        if method == "PUT" && std::mem::take(&mut first) {
            change(object);
            bump(object);
        }
        None
    })
}

#[tokio::test]
async fn outcome_is_recorded_although_the_spec_no_longer_fits() {
    let server = changed_before_write(|object| object["spec"]["redisMode"] = json!("fast"));
    let recorded = StatusStore::new(server.client()).record(claimed(), "a", &delivered()).await;
    let object = server.value();
    assert_eq!(recorded, Recorded::Written);
    assert_eq!(object["status"]["attempt"]["state"], "Answered");
    assert_eq!((&object["status"]["statusCode"], &object["spec"]["redisMode"]), (&json!(200), &json!("fast")));
    assert_eq!(object["status"]["conditions"][1]["reason"], "Delivered");
}

#[tokio::test]
async fn only_the_attempt_is_recorded_if_the_status_does_not_fit() {
    let server = changed_before_write(|object| {
        object["spec"]["redisMode"] = json!("fast");
        object["status"]["observedGeneration"] = json!("one");
    });
    let before = server.value();
    let recorded = StatusStore::new(server.client()).record(claimed(), "a", &delivered()).await;
    let object = server.value();
    assert_eq!(recorded, Recorded::Written);
    assert_eq!(
        (&object["status"]["attempt"]["state"], &object["status"]["attempt"]["endpoint"]),
        (&json!("Answered"), &json!("host"))
    );
    assert_eq!(
        (&object["status"]["observedGeneration"], &object["status"]["conditions"]),
        (&json!("one"), &before["status"]["conditions"])
    );
}

#[tokio::test]
async fn close_writes_a_reduced_record_if_the_full_one_is_rejected() {
    let mut puts = 0;
    let server = Server::new(&claimed(), move |method, _| {
        puts += i32::from(method == "PUT");
        (method == "PUT" && puts == 1).then_some(Fault::Rejected(422))
    });
    let unknown =
        Record { state: AttemptState::Unknown, reason: Reason::OutcomeUnknown, status_code: None, ..delivered() };
    let recorded = StatusStore::new(server.client()).close(&claimed(), "a", &unknown).await;
    assert!(matches!(recorded, Ok(Recorded::Written)), "{recorded:?}");
    let attempt = &server.value()["status"]["attempt"];
    assert_eq!(
        (&attempt["state"], &attempt["closed"], attempt.get("message")),
        (&json!("Unknown"), &json!(true), None)
    );
}

#[tokio::test]
async fn proxy_404_does_not_lose_the_outcome() {
    let mut requests = 0;
    let server = Server::new(&claimed(), move |_, _| {
        requests += 1;
        (requests <= 2).then_some(Fault::NotForwarded(404))
    });
    let recorded = StatusStore::new(server.client()).record(claimed(), "a", &delivered()).await;
    assert_eq!(recorded, Recorded::Written);
    assert_eq!(server.value()["status"]["attempt"]["state"], "Answered");
}

#[tokio::test(start_paused = true)]
async fn write_404_does_not_end_the_recording_while_the_object_exists() {
    let mut first = true;
    let server = Server::new(&claimed(), move |method, _| {
        (method == "PUT" && std::mem::take(&mut first)).then_some(Fault::Rejected(404))
    });
    let recorded = StatusStore::new(server.client()).record(claimed(), "a", &delivered()).await;
    assert_eq!(recorded, Recorded::Written);
    assert_eq!(server.value()["status"]["attempt"]["state"], "Answered");
}

/// An API server with this fault for an hour, and the number of requests in that hour.
fn faulty_for_an_hour(fault: impl Fn(&str) -> Option<Fault> + Send + 'static) -> (Server, Arc<AtomicU32>) {
    let (began, requests) = (Instant::now(), Arc::new(AtomicU32::new(0)));
    let counted = Arc::clone(&requests);
    let server = Server::new(&claimed(), move |method, _| {
        let is_faulty = began.elapsed() < HOUR;
        counted.fetch_add(u32::from(is_faulty), Ordering::SeqCst);
        if is_faulty { fault(method) } else { None }
    });
    (server, requests)
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn outcome_is_kept_while_the_kind_is_not_served_and_then_written() {
    for code in [404, 410] {
        let (server, _) = faulty_for_an_hour(move |_| Some(Fault::NotForwarded(code)));
        let recorded = StatusStore::new(server.client()).record(claimed(), "a", &delivered()).await;
        assert_eq!(recorded, Recorded::Written, "{code}");
        assert_eq!(server.value()["status"]["attempt"]["state"], "Answered");
    }
}

#[tokio::test(start_paused = true)]
async fn recording_sends_less_than_one_request_per_second_for_any_error() {
    let rejects = |method: &'static str, code| {
        move |requests: &str| (requests == method || method == "any").then_some(Fault::Rejected(code))
    };
    for (method, code) in [("PUT", 404), ("PUT", 403), ("PUT", 409), ("PUT", 422), ("any", 503), ("GET", 403)] {
        let (server, requests) = faulty_for_an_hour(rejects(method, code));
        let recorded = StatusStore::new(server.client()).record(claimed(), "a", &delivered()).await;
        assert_eq!(recorded, Recorded::Written, "{method} {code}");
        let requests = requests.load(Ordering::SeqCst);
        assert!(u64::from(requests) < HOUR.as_secs(), "{method} {code}: {requests} requests in an hour");
    }
}

#[tokio::test(start_paused = true)]
async fn many_outcomes_send_no_more_requests_than_one_until_written() {
    let (server, requests) = faulty_for_an_hour(|method| (method == "PUT").then_some(Fault::Rejected(404)));
    let (store, began) = (StatusStore::new(server.client()), Instant::now());
    let records = (0..64).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.record(claimed(), "a", &delivered()).await })
    });
    for recorded in futures::future::join_all(records).await {
        assert!(matches!(recorded.unwrap(), Recorded::Written | Recorded::Known));
    }
    let requests = requests.load(Ordering::SeqCst);
    assert!(u64::from(requests) < HOUR.as_secs(), "{requests} requests in an hour");
    assert!(began.elapsed() < HOUR + RECORD_PAUSES.1 * 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn api_server_404_ends_the_recording() {
    let server = Server::new(&claimed(), |_, _| Some(Fault::Rejected(404)));
    let recorded = StatusStore::new(server.client()).record(claimed(), "a", &delivered()).await;
    assert_eq!(recorded, Recorded::Gone);
}
