use super::*;

fn message_of(why: Rejection) -> String {
    refused(Refusal::Rejected { why, wait: None }, &CredentialSource::Controller).message
}

#[test]
fn the_message_of_a_refused_key_names_cause_and_retry() {
    let wrong = message_of(Rejection::Wrong);
    assert!(
        wrong.contains("until its values change or the controller restarts") && !wrong.contains("5 minutes"),
        "{wrong}"
    );
    for (why, cause) in
        [(Rejection::WorkedBefore, "had worked before"), (Rejection::Locked, "has locked"), (Rejection::Clock, "clock")]
    {
        let message = message_of(why);
        assert!(message.contains(cause) && message.contains("again 5 minutes after"), "{message}");
        assert!(!message.contains("until its values change"), "{message}");
    }
    let often = message_of(Rejection::RefusedTooOften);
    assert!(often.contains("as the status of other objects shows") && !often.contains("had not worked"), "{often}");
    for why in
        [Rejection::Wrong, Rejection::WorkedBefore, Rejection::Locked, Rejection::Clock, Rejection::RefusedTooOften]
    {
        assert!(!message_of(why).contains("another object"), "the refused call may have been this object's own");
    }
}

#[test]
fn an_object_that_waits_for_the_trial_of_a_key_does_not_poll() {
    let held = refused(Refusal::Rejected { why: Rejection::Clock, wait: None }, &CredentialSource::Controller);
    assert!(held.recheck_after >= CREDENTIALS_RECHECK / 2, "{:?}", held.recheck_after);
}

#[test]
fn objects_far_back_in_the_queue_recheck_later_after_a_429() {
    let second = Duration::from_secs(1);
    let recheck_after =
        |wait, behind| refused(Refusal::Throttled { wait, behind }, &CredentialSource::Controller).recheck_after;
    for wait in [second, MAX_THROTTLED_RECHECK, MAX_THROTTLED_RECHECK * 4] {
        let wait_at_most = wait.min(MAX_THROTTLED_RECHECK);
        let (next, far) = (recheck_after(wait, Duration::ZERO), recheck_after(wait, MAX_QUEUE_RECHECK * 9));
        assert!((wait_at_most + second / 2..=wait_at_most + second).contains(&next), "{next:?}");
        let all = second + MAX_QUEUE_RECHECK;
        assert!((wait_at_most + all / 2..=wait_at_most + all).contains(&far), "{far:?}");
    }
}
