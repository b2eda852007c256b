use super::*;
use crate::{
    api::{AttemptState, ClusterRedistributionStatus},
    testing::sample::{at, attempt, fresh},
};

/// An object as it comes back from a claim of that attempt.
fn claimed(attempt: &Attempt) -> ClusterRedistribution {
    let mut object = fresh(attempt.generation);
    object.status = Some(transitions::claimed(object.status.as_ref(), attempt.clone(), "calling", at(0)));
    object
}

#[test]
fn claim_is_complete_only_on_its_own_spec_and_generation() {
    let claim = attempt("a", 1, AttemptState::Claimed);
    let (made_on, whole) = (fresh(1), claimed(&claim));
    assert_eq!(check_claim(&whole, &made_on, &claim), ReadBack::Complete);
    let mut defaulted = whole.clone();
    defaulted.spec.region = Some("cn-north-4".to_owned());
    assert_eq!(check_claim(&defaulted, &made_on, &claim), ReadBack::Altered, "a default that was added after the read");
    let mut edited = whole.clone();
    edited.metadata.generation = Some(2);
    assert_eq!(check_claim(&edited, &made_on, &claim), ReadBack::Altered, "an edit before the claim was read back");
}

#[test]
fn claim_with_a_missing_part_is_pruned() {
    let claim = attempt("a", 1, AttemptState::Claimed);
    let losses: [fn(&mut ClusterRedistributionStatus); 4] = [
        |status| status.attempt = None,
        |status| status.attempt.as_mut().unwrap().grace_seconds = None,
        |status| status.conditions.clear(),
        |status| status.observed_generation = None,
    ];
    for lose in losses {
        let mut written = claimed(&claim);
        lose(written.status.as_mut().unwrap());
        assert_eq!(check_claim(&written, &fresh(1), &claim), ReadBack::Pruned, "{written:?}");
    }
}

#[test]
fn closed_claim_gives_no_right_to_call() {
    let claim = attempt("a", 1, AttemptState::Claimed);
    let mut written = claimed(&claim);
    written.status.as_mut().unwrap().attempt.as_mut().unwrap().state = "Unknown".to_owned();
    assert_eq!(check_claim(&written, &fresh(1), &claim), ReadBack::Closed);
}
