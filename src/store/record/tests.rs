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

/// A server whose object is changed by somebody just before the first write arrives.
fn changed_meanwhile(change: impl Fn(&mut Value) + Send + 'static) -> Server {
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
async fn an_outcome_is_recorded_also_on_an_object_whose_spec_stopped_to_fit_during_the_call() {
    let server = changed_meanwhile(|object| object["spec"]["redisMode"] = json!("fast"));
    let recorded = StatusStore::new(server.client()).record(claimed(), "a", &delivered()).await;
    let object = server.value();
    assert_eq!(recorded, Recorded::Written);
    assert_eq!(object["status"]["attempt"]["state"], "Answered");
    assert_eq!((&object["status"]["statusCode"], &object["spec"]["redisMode"]), (&json!(200), &json!("fast")));
    assert_eq!(object["status"]["conditions"][1]["reason"], "Delivered");
}

#[tokio::test]
async fn where_not_even_the_status_fits_the_attempt_alone_is_recorded() {
    let server = changed_meanwhile(|object| {
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
async fn an_outcome_known_from_the_outside_is_written_without_its_details_where_they_are_refused() {
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
async fn a_404_of_somebody_on_the_way_is_not_taken_for_the_end_of_the_object_and_loses_no_outcome() {
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
async fn a_write_that_finds_nothing_is_not_believed_while_the_object_can_be_read() {
    let mut first = true;
    let server = Server::new(&claimed(), move |method, _| {
        (method == "PUT" && std::mem::take(&mut first)).then_some(Fault::Rejected(404))
    });
    let recorded = StatusStore::new(server.client()).record(claimed(), "a", &delivered()).await;
    assert_eq!(recorded, Recorded::Written);
    assert_eq!(server.value()["status"]["attempt"]["state"], "Answered");
}

/// An API server that answers so for an hour, and how often it is asked meanwhile.
fn odd_for_an_hour(odd: impl Fn(&str) -> Option<Fault> + Send + 'static) -> (Server, Arc<AtomicU32>) {
    let (began, asked) = (Instant::now(), Arc::new(AtomicU32::new(0)));
    let counted = Arc::clone(&asked);
    let server = Server::new(&claimed(), move |method, _| {
        let goes_on = began.elapsed() < HOUR;
        counted.fetch_add(u32::from(goes_on), Ordering::SeqCst);
        if goes_on { odd(method) } else { None }
    });
    (server, asked)
}

const HOUR: Duration = Duration::from_secs(3600);

#[tokio::test(start_paused = true)]
async fn an_outcome_is_kept_while_nobody_serves_the_object_and_then_written() {
    for code in [404, 410] {
        let (server, _) = odd_for_an_hour(move |_| Some(Fault::NotForwarded(code)));
        let recorded = StatusStore::new(server.client()).record(claimed(), "a", &delivered()).await;
        assert_eq!(recorded, Recorded::Written, "{code}");
        assert_eq!(server.value()["status"]["attempt"]["state"], "Answered");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outcome_asks_less_than_once_a_second_whatever_the_error() {
    let refuses = |method: &'static str, code| {
        move |asked: &str| (asked == method || method == "any").then_some(Fault::Rejected(code))
    };
    for (method, code) in [("PUT", 404), ("PUT", 403), ("PUT", 409), ("PUT", 422), ("any", 503), ("GET", 403)] {
        let (server, asked) = odd_for_an_hour(refuses(method, code));
        let recorded = StatusStore::new(server.client()).record(claimed(), "a", &delivered()).await;
        assert_eq!(recorded, Recorded::Written, "{method} {code}");
        let asked = asked.load(Ordering::SeqCst);
        assert!(u64::from(asked) < HOUR.as_secs(), "{method} {code}: {asked} requests in an hour");
    }
}

#[tokio::test(start_paused = true)]
async fn many_outcomes_ask_no_more_than_one_and_are_all_written_at_once() {
    let (server, asked) = odd_for_an_hour(|method| (method == "PUT").then_some(Fault::Rejected(404)));
    let (store, began) = (StatusStore::new(server.client()), Instant::now());
    let records = (0..64).map(|_| {
        let store = store.clone();
        tokio::spawn(async move { store.record(claimed(), "a", &delivered()).await })
    });
    for recorded in futures::future::join_all(records).await {
        assert!(matches!(recorded.unwrap(), Recorded::Written | Recorded::Known));
    }
    let asked = asked.load(Ordering::SeqCst);
    assert!(u64::from(asked) < HOUR.as_secs(), "{asked} requests in an hour");
    assert!(began.elapsed() < HOUR + RECORD_PAUSES.1 * 2, "{:?}", began.elapsed());
}

#[tokio::test]
async fn the_api_servers_own_404_ends_the_recording() {
    let server = Server::new(&claimed(), |_, _| Some(Fault::Rejected(404)));
    let recorded = StatusStore::new(server.client()).record(claimed(), "a", &delivered()).await;
    assert_eq!(recorded, Recorded::Gone);
}
