use super::*;

fn told(why: Rejection) -> String {
    refused(Refusal::Rejected { why, wait: None }, &CredentialSource::Controller).message
}

#[test]
fn what_is_said_of_a_refused_key_is_its_cause_and_when_it_is_tried_again() {
    let wrong = told(Rejection::Wrong);
    assert!(
        wrong.contains("until its values change or the controller restarts") && !wrong.contains("5 minutes"),
        "{wrong}"
    );
    for (why, cause) in
        [(Rejection::WorkedBefore, "had worked before"), (Rejection::Locked, "has locked"), (Rejection::Clock, "clock")]
    {
        let message = told(why);
        assert!(message.contains(cause) && message.contains("again 5 minutes after"), "{message}");
        assert!(!message.contains("until its values change"), "{message}");
    }
    let often = told(Rejection::Often);
    assert!(often.contains("as status of other objects tells") && !often.contains("had not worked"), "{often}");
    for why in [Rejection::Wrong, Rejection::WorkedBefore, Rejection::Locked, Rejection::Clock, Rejection::Often] {
        assert!(!told(why).contains("another object"), "the refused call may have been this object's own");
    }
}

#[test]
fn who_waits_for_the_trial_of_a_key_is_woken_and_does_not_poll() {
    let held = refused(Refusal::Rejected { why: Rejection::Clock, wait: None }, &CredentialSource::Controller);
    assert!(held.again >= CREDENTIALS_AGAIN / 2, "{:?}", held.again);
}

#[test]
fn who_stands_far_back_looks_after_a_429_at_a_time_of_its_own_however_long_it_lasts() {
    let second = Duration::from_secs(1);
    let again = |wait, behind| refused(Refusal::Throttled { wait, behind }, &CredentialSource::Controller).again;
    for wait in [second, THROTTLED_AT_MOST, THROTTLED_AT_MOST * 4] {
        let wait_at_most = wait.min(THROTTLED_AT_MOST);
        let (next, far) = (again(wait, Duration::ZERO), again(wait, LINE_AGAIN * 9));
        assert!((wait_at_most + second / 2..=wait_at_most + second).contains(&next), "{next:?}");
        let all = second + LINE_AGAIN;
        assert!((wait_at_most + all / 2..=wait_at_most + all).contains(&far), "{far:?}");
    }
}
