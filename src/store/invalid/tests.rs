use super::*;
use crate::{
    api::{AttemptState, ReasonClass},
    protocol::transitions::held,
    testing::{
        mock::Server,
        sample::{at, attempt, fresh},
    },
};

/// What becomes of an object with that status whose spec cannot be read, and the status after that.
async fn reported(status: Value) -> (Reported, Value) {
    let server = Server::new(&fresh(2), |_, _| None);
    server.change(|object| {
        object["spec"]["redisMode"] = json!("fast");
        object["status"] = status;
    });
    let before = server.value();
    let metadata = fresh(2).metadata;
    let reported = StatusStore::new(server.client()).report_undecodable(&metadata, "redisMode", at(9)).await.unwrap();
    assert_eq!(reported == Reported::Written, server.value() != before);
    (reported, server.value()["status"].clone())
}

#[tokio::test]
async fn every_trace_of_a_call_forbids_to_write_over_it() {
    for reason in Reason::ALL {
        let status = json!(held(None, 2, *reason, "why", at(0)));
        let trace = matches!(
            reason.class(),
            ReasonClass::InFlight | ReasonClass::Delivered | ReasonClass::Refused | ReasonClass::Unknown
        );
        let expected = if trace { Reported::LeftAlone } else { Reported::Written };
        // ObjectInvalid with the same message is known; here it says something else.
        assert_eq!(reported(status).await.0, expected, "{reason}");
    }
    let attempted = json!(attempt("a", 2, AttemptState::Claimed));
    for trace in [
        json!({"observedGeneration": -1, "attempt": {"generation": 2}}),
        json!({"observedGeneration": 2, "attempt": attempted}),
        json!({"observedGeneration": -1, "history": [{"generation": 1}, {"generation": 2}]}),
        json!({"observedGeneration": -1, "history": [{"generation": 3}]}),
        json!({"observedGeneration": -1, "conditions": [{"type": "Ready", "reason": 7}]}),
        json!({"observedGeneration": 2, "statusCode": 200}),
        // Hidden: every CRD of this product gives it a default.
        json!({}),
        // The attempt of generation 1 was lost, and its request may be on its way.
        json!(held(None, 1, Reason::RequestInFlight, "calling", at(0))),
        json!(held(None, 1, Reason::JournalInvalid, "why", at(0))),
    ] {
        assert_eq!(reported(trace.clone()).await.0, Reported::LeftAlone, "{trace}");
    }
}

#[tokio::test]
async fn an_answer_of_an_older_generation_does_not_stand_at_a_newer_one() {
    let mut status = held(None, 1, Reason::Delivered, "why", at(0)).unwrap();
    status.status_code = Some(200);
    status.attempt = Some(attempt("a", 1, AttemptState::Answered));
    let (said, after) = reported(json!(status)).await;
    assert_eq!((said, &after["observedGeneration"]), (Reported::Written, &json!(2)));
    assert!(after.get("statusCode").is_none() && after["attempt"]["id"] == "a", "{after}");
    let mut object = fresh(2);
    object.status = Some(serde_json::from_value(after).unwrap());
    assert_eq!(journal::read(&object), Journal::NoAttempt, "once it can be read, it is called");
}

#[tokio::test]
async fn an_object_that_fits_by_now_is_not_written() {
    let server = Server::new(&fresh(2), |_, _| None);
    let before = server.value();
    let metadata = fresh(2).metadata;
    let reported = StatusStore::new(server.client()).report_undecodable(&metadata, "redisMode", at(9)).await.unwrap();
    assert_eq!((reported, server.value() == before), (Reported::Past, true));
}

#[tokio::test]
async fn a_status_that_managed_fields_show_to_be_pruned_is_not_written() {
    let server = Server::new(&fresh(2), |_, _| None);
    server.change(|object| {
        object["spec"]["redisMode"] = json!("fast");
        object["metadata"]["managedFields"] =
            json!([{"fieldsV1": {"f:status": {"f:attempt": {"f:id": {}}, "f:conditions": {}}}}]);
    });
    let metadata = fresh(2).metadata;
    let reported = StatusStore::new(server.client()).report_undecodable(&metadata, "redisMode", at(9)).await.unwrap();
    assert_eq!(reported, Reported::LeftAlone);
}
