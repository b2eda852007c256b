//! The verdict itself: its excuses, and their limits.

use std::time::Instant;

use serde_json::json;

use super::*;

fn call(said: Option<u16>) -> Call {
    Call { cluster: "c".to_owned(), generation: Some(1), said, over: true }
}

fn plan(text: &str) -> Plan {
    text.parse().unwrap()
}

#[test]
fn without_a_fault_nothing_is_unknown_or_missing() {
    let none = plan("nothing");
    assert!(agrees(&none, "Delivered", &[call(Some(200))], false).is_ok());
    assert!(agrees(&none, "ClusterNotReady", &[call(Some(403))], false).is_ok());
    for (reason, calls) in [
        ("OutcomeUnknown", vec![call(Some(200))]),
        ("OutcomeUnknown", vec![]),
        ("NotSent", vec![]),
        ("Delivered", vec![call(Some(403))]),
        ("Delivered", vec![call(None)]),
        ("PermissionDenied", vec![call(Some(500))]),
    ] {
        assert!(agrees(&none, reason, &calls, false).is_err(), "{reason} {calls:?}");
    }
}

#[test]
fn a_redirect_is_unknown_and_never_a_refusal() {
    let redirected = plan("call#1:307");
    for code in [300, 301, 303, 307, 308, 399] {
        for (reason, is_fine) in [
            ("OutcomeUnknown", true),
            (CONFIRMED, true),
            ("Rejected", false),
            ("Delivered", false),
            ("ServerError", false),
        ] {
            assert_eq!(agrees(&redirected, reason, &[call(Some(code))], false).is_ok(), is_fine, "{code} {reason}");
        }
    }
}

#[test]
fn a_killed_operators_outcome_may_be_unknown_but_not_invented() {
    let killed = plan("put#2:kill-after");
    assert!(agrees(&killed, "OutcomeUnknown", &[], false).is_ok());
    assert!(agrees(&killed, "OutcomeUnknown", &[call(Some(200))], false).is_ok());
    assert!(agrees(&killed, "Delivered", &[], false).is_err());
    assert!(
        agrees(&plan("put#2:504"), "OutcomeUnknown", &[], false).is_err(),
        "a fault of the API server alone loses nothing"
    );
}

#[test]
fn a_late_answer_may_be_unknown_but_not_invented() {
    let none = plan("nothing");
    for code in [200, 403, 500] {
        assert!(agrees(&none, "OutcomeUnknown", &[call(Some(code))], true).is_ok(), "{code}");
    }
    assert!(agrees(&none, "Delivered", &[call(Some(403))], true).is_err());
    for reason in ["NotSent", "Delivered", "OutcomeUnknown"] {
        assert!(agrees(&none, reason, &[], true).is_err(), "{reason}, and nothing came");
    }
}

#[test]
fn repeated_calls_extra_writes_and_idle_restarts_are_found() {
    let entry = Entry { cluster: "c".to_owned(), body: "b".to_owned(), ..Entry::default() };
    let record = Record::default();
    judge_whole(&record, &plan("nothing"), &[entry.clone(), entry], 0, false);
    assert_eq!(record.violations()[0].property, Property::Duplicate);
    let record = Record::default();
    for _ in 0..=WRITES {
        record.applied("/things/request/status", b"{}");
    }
    judge_whole(&record, &plan("nothing"), &[], 0, false);
    assert_eq!(record.violations()[0].property, Property::TooManyWrites);
    let record = Record::default();
    judge_whole(&record, &plan("put#2:504"), &[], 1, false);
    assert_eq!(record.violations()[0].property, Property::Deaf);
    let record = Record::default();
    judge_whole(&record, &plan("watch#1:black-hole"), &[], 1, false);
    assert_eq!(record.violations(), []);
}

/// Generation 1 of an object whose call was answered with 200, with this status.
fn after_a_call(reason: &str) -> (Record, Settled) {
    let record = Record::default();
    let arrived = record.arrive("c");
    record.read(arrived, Some(1));
    record.answer_begins(arrived, 200);
    let status = json!({
        "attempt": { "id": "a" },
        "conditions": [{ "type": "Ready", "status": "False", "reason": reason }],
    });
    let (name, cluster) = ("request".to_owned(), "c".to_owned());
    (record, Settled { name, generation: 1, cluster, status: Some(status), disturbed: false })
}

/// The claim, and the status written this long after it.
fn came(record: &Record, writes: &[(&str, Duration)]) {
    let claimed = Instant::now();
    record.came("request", "a", "Claimed", claimed);
    for &(state, after) in writes {
        record.came("request", "a", state, claimed + after);
    }
}

fn properties(record: &Record) -> Vec<Property> {
    record.violations().iter().map(|violation| violation.property).collect()
}

const SOONER: Duration = REQUEST_TIMEOUT.saturating_sub(Duration::from_millis(1));

#[test]
fn a_late_answer_is_counted_and_an_early_abandoned_one_is_a_violation() {
    let (record, settled) = after_a_call("OutcomeUnknown");
    came(&record, &[("Unknown", REQUEST_TIMEOUT)]);
    judge(&record, &plan("nothing"), &settled, &[]);
    assert_eq!((record.violations(), record.late()), (vec![], 1));
    for writes in [
        &[("Unknown", SOONER)][..],
        &[("Answered", SOONER), ("Unknown", REQUEST_TIMEOUT)], // it had seen the answer
        &[],
    ] {
        let (record, settled) = after_a_call("OutcomeUnknown");
        came(&record, writes);
        judge(&record, &plan("nothing"), &settled, &[]);
        assert_eq!(properties(&record), [Property::Unsettled]);
        assert_eq!(record.late(), 0, "{writes:?}");
    }
}

#[test]
fn lateness_excuses_no_confirmation_of_a_call_not_carried_out() {
    let (record, settled) = after_a_call(CONFIRMED);
    came(&record, &[("Unknown", REQUEST_TIMEOUT)]);
    judge(&record, &plan("nothing"), &settled, &[]);
    assert_eq!(properties(&record), [Property::FalseStatement]);
    let (record, settled) = after_a_call(CONFIRMED);
    came(&record, &[("Unknown", REQUEST_TIMEOUT)]);
    judge(&record, &plan("nothing"), &settled, &[Entry::default()]);
    assert_eq!(record.violations(), []);
}

#[test]
fn a_fresh_object_is_delivered_unless_it_was_late_or_met_a_fault() {
    for (reason, after, disturbed, is_fine) in [
        ("Delivered", SOONER, false, true),
        ("OutcomeUnknown", REQUEST_TIMEOUT, false, true),
        (CONFIRMED, REQUEST_TIMEOUT, false, true),
        ("OutcomeUnknown", SOONER, false, false),
        (CONFIRMED, SOONER, false, false),
        ("NotSent", REQUEST_TIMEOUT, false, false),
        ("NotSent", SOONER, true, true),
    ] {
        let (record, mut settled) = after_a_call(reason);
        came(&record, &[("Unknown", after)]);
        settled.disturbed = disturbed;
        judge_fresh(&record, &settled);
        assert_eq!(record.violations().is_empty(), is_fine, "{reason} after {after:?}");
    }
}
