//! The health check for Argo CD: every reason, every row of the table of conditions, every old, empty or malformed
//! status; and it never claims more than kstatus, by which all other tools judge.

use proptest::prelude::*;
use redistribution_operator::api::{Reason, ReasonClass};
use serde_json::{Value, json};

use super::health::{judge, object};
use crate::guarantee::kstatus::{self, Verdict};

/// The operator's status for a reason at generation 3.
fn status_of(reason: Reason) -> Value {
    let now = "2026-12-01T18:00:00Z".parse().unwrap();
    let status = redistribution_operator::protocol::transitions::held(None, 3, reason, "why it is so", now).unwrap();
    serde_json::to_value(status).unwrap()
}

fn condition(type_: &str, status: &str) -> Value {
    json!({"type": type_, "status": status, "reason": "Reason", "message": "message", "observedGeneration": 3})
}

#[track_caller]
fn shows(status: &Value, wanted: &str) {
    let judged = object(3, status);
    let health = judge(&judged);
    assert_eq!(health.status, wanted, "{health:?} for {status:#}");
    agrees(&judged);
}

/// Whatever Argo CD reports, kstatus reports too, or has not decided.
#[track_caller]
fn agrees(object: &Value) {
    let (health, verdict) = (judge(object), kstatus::judge(object));
    let agree = match health.status.as_str() {
        "Healthy" => verdict == Verdict::Current,
        "Degraded" => verdict == Verdict::Failed,
        "Suspended" => verdict == Verdict::InProgress,
        // The stricter check has not decided yet. An object under deletion never has another health.
        _ => true,
    };
    let deleted = verdict != Verdict::Terminating || health.status == "Progressing";
    let undecided = verdict != Verdict::InProgress || ["Progressing", "Suspended"].contains(&health.status.as_str());
    assert!(agree && deleted && undecided, "Argo CD: {health:?}, kstatus: {verdict:?}, for {object:#}");
}

#[test]
fn every_reason_has_its_documented_health_and_message() {
    for &reason in Reason::ALL {
        let wanted = match (reason, reason.class()) {
            (Reason::Suspended, _) => "Suspended",
            (_, ReasonClass::Blocked | ReasonClass::InFlight) => "Progressing",
            (_, ReasonClass::Delivered) => "Healthy",
            (_, ReasonClass::Stalled | ReasonClass::Refused | ReasonClass::Unknown) => "Degraded",
        };
        let status = status_of(reason);
        shows(&status, wanted);
        assert_eq!(judge(&object(3, &status)).message, format!("{reason}: why it is so"));
    }
}

#[test]
fn every_reason_has_the_right_health_by_its_conditions_alone() {
    let rows = [
        (["False", "False", "True", ""], "Progressing"),
        (["False", "False", "", "True"], "Degraded"),
        (["Unknown", "Unknown", "True", ""], "Progressing"),
        (["True", "True", "", ""], "Healthy"),
        (["Unknown", "False", "", "True"], "Degraded"),
    ];
    for (row, wanted) in rows {
        let types = ["Delivered", "Ready", "Reconciling", "Stalled"];
        let mut conditions: Vec<_> =
            types.iter().zip(row).filter(|(_, status)| !status.is_empty()).map(|(t, s)| condition(t, s)).collect();
        shows(&json!({"observedGeneration": 3, "conditions": conditions}), wanted);
        conditions.reverse();
        shows(&json!({"observedGeneration": 3, "conditions": conditions}), wanted);
    }
}

#[test]
fn an_old_generations_conditions_are_progressing_whatever_they_are() {
    for &reason in Reason::ALL {
        let status = status_of(reason);
        for generation in [2, 4] {
            let edited = object(generation, &status);
            assert_eq!(judge(&edited).status, "Progressing", "{reason} at generation {generation}");
            agrees(&edited);
        }
        // The status is of this generation, its conditions are not.
        let mut stale = status.clone();
        stale["observedGeneration"] = json!(4);
        assert_eq!(judge(&object(4, &stale)).status, "Progressing", "{reason} with stale conditions");
        agrees(&object(4, &stale));
    }
}

#[test]
fn an_object_without_status_is_progressing() {
    let unseen = [json!(null), json!({}), json!({"observedGeneration": -1}), json!({"observedGeneration": null})];
    for status in &unseen {
        assert_eq!(judge(&object(1, status)).status, "Progressing", "{status}");
    }
    assert_eq!(judge(&json!({"metadata": {"generation": 1}})).status, "Progressing");
    // A Ready condition whose status has no observedGeneration does not count either.
    let conditions = json!([condition("Ready", "True")]);
    for observed in [json!(null), json!(-1), json!("three"), json!([])] {
        let status = json!({"observedGeneration": observed, "conditions": conditions});
        assert_eq!(judge(&object(3, &status)).status, "Progressing", "{status}");
    }
    for missing in [json!(null), json!({}), json!([]), json!("x")] {
        assert_eq!(judge(&json!({"metadata": missing, "status": status_of(Reason::Delivered)})).status, "Progressing");
        // Two missing generations do not count as equal.
        let unknown = json!({"metadata": missing, "status": {"conditions": [{"type": "Ready", "status": "True"}]}});
        assert_eq!(judge(&unknown).status, "Progressing");
    }
}

#[test]
fn an_object_under_deletion_is_progressing() {
    for &reason in Reason::ALL {
        let mut deleted = object(3, &status_of(reason));
        deleted["metadata"]["deletionTimestamp"] = json!("2026-12-01T18:00:00Z");
        assert_eq!(judge(&deleted).status, "Progressing", "{reason}");
        agrees(&deleted);
    }
}

#[test]
fn repeated_unknown_and_broken_conditions_never_make_it_healthy() {
    let with = |conditions: Value| json!({"observedGeneration": 3, "conditions": conditions});
    let ready = condition("Ready", "True");
    let mut old = condition("Stalled", "True");
    old["observedGeneration"] = json!(2);
    let cases = [
        (json!([ready, condition("Ready", "False")]), "Progressing"),
        (json!([condition("Ready", "False"), ready]), "Progressing"),
        (json!([condition("Ready", "true")]), "Progressing"),
        (json!([condition("ready", "True")]), "Progressing"),
        (json!([ready, condition("Stalled", "True")]), "Degraded"),
        (json!([ready, condition("Reconciling", "True")]), "Progressing"),
        (json!([condition("Stalled", "True"), condition("Reconciling", "True")]), "Degraded"),
        (json!([condition("Reconciling", "True"), condition("Stalled", "True")]), "Progressing"),
        (json!([ready, old]), "Progressing"),
        (json!([condition("Delivered", "True")]), "Progressing"),
        (json!([null, "Ready", 3, [], {}]), "Progressing"),
        (json!([{"type": "Ready"}]), "Progressing"),
        (json!("Ready"), "Progressing"),
        (json!({"type": "Ready", "status": "True"}), "Progressing"),
        // A condition that says nothing about progress does not matter.
        (json!([ready, condition("Stalled", "False"), condition("Reconciling", "False")]), "Healthy"),
        (json!([condition("Throughput", "True"), null, ready]), "Healthy"),
        (json!([{"type": "Ready", "status": "True"}]), "Healthy"),
    ];
    for (conditions, wanted) in cases {
        shows(&with(conditions), wanted);
    }
    let silent = json!([{"type": "Ready", "status": "True", "reason": "Delivered", "message": ""}]);
    assert_eq!(judge(&object(3, &with(silent))).message, "Delivered");
}

proptest! {
    /// Any list of conditions, of this or another generation, in any order, repeated any number of times.
    #[test]
    fn the_health_check_never_claims_more_than_kstatus(
        observed in prop_oneof![Just(None), (1_i64..5).prop_map(Some)],
        deleted in proptest::bool::weighted(0.1),
        conditions in proptest::collection::vec(
            (
                prop_oneof!["Ready", "Delivered", "Reconciling", "Stalled", "Other"],
                prop_oneof!["True", "False", "Unknown", ""],
                prop_oneof!["Suspended", "Delivered", "OutcomeUnknown"],
                prop_oneof![Just(None), (2_i64..5).prop_map(Some)],
            ),
            0..6,
        ),
    ) {
        let conditions: Vec<_> = conditions
            .into_iter()
            .map(|(type_, status, reason, generation)| {
                json!({"type": type_, "status": status, "reason": reason, "observedGeneration": generation})
            })
            .collect();
        let mut judged = object(3, &json!({"observedGeneration": observed, "conditions": conditions}));
        if deleted {
            judged["metadata"]["deletionTimestamp"] = json!("2026-12-01T18:00:00Z");
        }
        agrees(&judged);
    }
}
