use super::*;

fn told(why: Rejection) -> String {
    refused(Refusal::Rejected { why, wait: None }, &Rung::Controller).message
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
    for why in [Rejection::Wrong, Rejection::WorkedBefore, Rejection::Locked, Rejection::Clock] {
        assert!(!told(why).contains("another object"), "the refused call may have been this object's own");
    }
}

#[test]
fn who_waits_for_the_trial_of_a_key_is_woken_and_does_not_poll() {
    let held = refused(Refusal::Rejected { why: Rejection::Clock, wait: None }, &Rung::Controller);
    assert!(held.again >= CREDENTIALS_AGAIN / 2, "{:?}", held.again);
}
