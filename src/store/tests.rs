use serde_json::{Value, json};

use super::*;
use crate::{
    api::{AttemptState, ReasonClass},
    protocol::transitions::held,
    testing::{
        mock::Server,
        sample::{at, attempt, fresh},
    },
};

/// Reports an object with that status and a spec that cannot be read; returns the result and the status after it.
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
async fn report_never_overwrites_evidence_of_a_call() {
    for reason in Reason::ALL {
        let status = json!(held(None, 2, *reason, "why", at(0)));
        let is_evidence = matches!(
            reason.class(),
            ReasonClass::InFlight | ReasonClass::Delivered | ReasonClass::Refused | ReasonClass::Unknown
        );
        let expected = if is_evidence { Reported::LeftAlone } else { Reported::Written };
        // ObjectInvalid with the same message would be known; this message differs.
        assert_eq!(reported(status).await.0, expected, "{reason}");
    }
    let attempted = json!(attempt("a", 2, AttemptState::Claimed));
    for evidence in [
        json!({"observedGeneration": -1, "attempt": {"generation": 2}}),
        json!({"observedGeneration": 2, "attempt": attempted}),
        json!({"observedGeneration": -1, "history": [{"generation": 1}, {"generation": 2}]}),
        json!({"observedGeneration": -1, "history": [{"generation": 3}]}),
        json!({"observedGeneration": -1, "conditions": [{"type": "Ready", "reason": 7}]}),
        json!({"observedGeneration": 2, "statusCode": 200}),
        // Hidden: every CRD of this product gives it a default.
        json!({}),
        // The attempt of generation 1 was lost, and its request may be in flight.
        json!(held(None, 1, Reason::RequestInFlight, "calling", at(0))),
        json!(held(None, 1, Reason::JournalInvalid, "why", at(0))),
    ] {
        assert_eq!(reported(evidence.clone()).await.0, Reported::LeftAlone, "{evidence}");
    }
}

#[tokio::test]
async fn report_drops_the_answer_of_an_older_generation() {
    let mut status = held(None, 1, Reason::Delivered, "why", at(0)).unwrap();
    status.status_code = Some(200);
    status.attempt = Some(Box::new(attempt("a", 1, AttemptState::Answered)));
    let (result, after) = reported(json!(status)).await;
    assert_eq!((result, &after["observedGeneration"]), (Reported::Written, &json!(2)));
    assert!(after.get("statusCode").is_none() && after["attempt"]["id"] == "a", "{after}");
    let mut object = fresh(2);
    object.status = Some(serde_json::from_value(after).unwrap());
    assert_eq!(journal::read(&object), Journal::NoAttempt, "once it can be read, its request is sent");
}

#[tokio::test]
async fn object_that_fits_now_is_not_written() {
    let server = Server::new(&fresh(2), |_, _| None);
    let before = server.value();
    let metadata = fresh(2).metadata;
    let reported = StatusStore::new(server.client()).report_undecodable(&metadata, "redisMode", at(9)).await.unwrap();
    assert_eq!((reported, server.value() == before), (Reported::NoLongerApplies, true));
}

#[tokio::test]
async fn pruned_status_is_not_written() {
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
