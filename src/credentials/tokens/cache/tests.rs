use super::*;
use crate::admission::{Refusal, Rejection};

const MIN: Duration = Duration::from_secs(120);
const DAY: Duration = Duration::from_secs(86_400);

fn names(account: u8, purpose: u8) -> Names {
    Names { account: KeyIdentity::from([account; 32]), purpose: KeyIdentity::from([purpose; 32]) }
}

fn token(life: Duration) -> Login {
    Login::Token("canary".to_owned().into(), life)
}

/// Asks, logs in as told, and says what came of it.
fn log_in(core: &mut Core, names: Names, login: Login, now: Instant) -> Result<Token, Denied> {
    let turn = core.ask(names, now);
    assert!(matches!(turn, Acquire::Login(_)), "{turn:?}");
    core.finish(names, login, now, now)
}

fn rejected(why: Rejection, wait: Option<u64>) -> Denied {
    Denied::User(Refusal::Rejected { why, wait: wait.map(Duration::from_secs) })
}

fn denial(turn: Acquire) -> Denied {
    let Acquire::Denied(denied) = turn else { panic!("{turn:?}") };
    denied
}

#[test]
fn one_user_logs_in_once_at_a_time_whatever_for_and_another_need_not_wait() {
    let (mut core, now) = (Core::new(MIN), Instant::now());
    assert!(matches!(core.ask(names(1, 1), now), Acquire::Login(None)));
    for purpose in [1, 2] {
        assert!(matches!(core.ask(names(1, purpose), now), Acquire::InProgress(Duration::ZERO)));
        let later = now + Duration::from_secs(3);
        assert!(
            matches!(core.ask(names(1, purpose), later), Acquire::InProgress(since) if since == Duration::from_secs(3))
        );
    }
    assert!(matches!(core.ask(names(2, 3), now), Acquire::Login(None)));
    core.finish(names(1, 1), token(DAY), now, now).unwrap();
    assert!(matches!(core.ask(names(1, 1), now), Acquire::Cached(_)));
    assert!(matches!(core.ask(names(1, 2), now), Acquire::Login(None)));
    core.give_up(names(1, 2));
    assert!(matches!(core.ask(names(1, 2), now), Acquire::Login(None)), "one that was given up blocks nobody");
}

#[test]
fn a_token_is_renewed_well_before_its_end_and_until_then_does_where_iam_is_away() {
    let (mut core, now) = (Core::new(MIN), Instant::now());
    let first = log_in(&mut core, names(1, 1), token(DAY), now).unwrap();
    let late = now + DAY.saturating_sub(MIN + RENEW);
    assert!(matches!(core.ask(names(1, 1), late.checked_sub(Duration::from_secs(1)).unwrap()), Acquire::Cached(_)));
    assert!(matches!(core.ask(names(1, 1), late), Acquire::Login(Some(_))), "it holds still");
    assert!(matches!(core.ask(names(1, 1), late), Acquire::Cached(_)), "others need not wait for the renewal");
    let away = core.finish(names(1, 1), Login::Unreachable, late, late);
    assert_eq!(away.unwrap_err(), Denied::Unreachable);
    assert!(!first.has_ended());
    let end = now + DAY.saturating_sub(MIN) + Duration::from_secs(1);
    assert!(matches!(core.ask(names(1, 1), end), Acquire::Login(None)), "it would end during a call");
}

#[test]
fn a_renewal_that_fails_takes_the_held_token_from_nobody_unless_the_password_is_wrong() {
    let late = DAY.saturating_sub(MIN + RENEW);
    for (login, holds) in [
        (Login::Failed(503), true),
        (Login::Silent, true),
        (Login::Locked, true),
        (Login::Project(401), true),
        (Login::Forbidden, true),
        (Login::Wrong, false),
    ] {
        let (mut core, now) = (Core::new(MIN), Instant::now());
        let held = log_in(&mut core, names(1, 1), token(DAY), now).unwrap();
        log_in(&mut core, names(1, 1), login.clone(), now + late).unwrap_err();
        assert_eq!(!held.has_ended(), holds, "{login:?}");
        assert_eq!(matches!(core.ask(names(1, 1), now + late), Acquire::Cached(_)), holds, "{login:?}");
    }
}

#[test]
fn a_token_of_a_short_life_is_used_once_and_one_that_would_end_during_a_call_never() {
    let (mut core, now) = (Core::new(MIN), Instant::now());
    log_in(&mut core, names(1, 1), token(MIN + Duration::from_secs(5)), now).unwrap();
    assert!(matches!(core.ask(names(1, 1), now), Acquire::BackOff(rest) if rest == APART));
    let now = now + APART;
    let again = log_in(&mut core, names(1, 1), token(MIN.saturating_sub(Duration::from_secs(1))), now);
    assert_eq!(again.unwrap_err(), Denied::Scope(ScopeError::ShortLived, TROUBLE_RESTS));
    assert!(matches!(denial(core.ask(names(1, 1), now)), Denied::Scope(ScopeError::ShortLived, _)));
    assert!(matches!(core.ask(names(1, 1), now + TROUBLE_RESTS), Acquire::Login(None)));
}

#[test]
fn a_wrong_password_is_not_tried_again_for_any_project() {
    let (mut core, now) = (Core::new(MIN), Instant::now());
    let wrong = rejected(Rejection::Wrong, None);
    assert_eq!(log_in(&mut core, names(1, 1), Login::Wrong, now).unwrap_err(), wrong);
    for (purpose, later) in [(1, 0), (2, 0), (1, 86_400), (3, 86_400)] {
        assert_eq!(denial(core.ask(names(1, purpose), now + Duration::from_secs(later))), wrong);
    }
    assert!(matches!(core.ask(names(2, 1), now), Acquire::Login(None)), "other values");
}

#[test]
fn a_user_who_had_been_let_in_is_tried_by_one_after_five_minutes_and_old_tokens_rest_meanwhile() {
    let (mut core, now) = (Core::new(MIN), Instant::now());
    let held = log_in(&mut core, names(1, 1), token(DAY), now).unwrap();
    let refused = log_in(&mut core, names(1, 2), Login::Wrong, now).unwrap_err();
    assert_eq!(refused, rejected(Rejection::WorkedBefore, Some(300)));
    assert!(held.has_ended());
    assert_eq!(denial(core.ask(names(1, 1), now)), refused);
    let later = now + Duration::from_secs(300);
    assert!(matches!(core.ask(names(1, 1), later), Acquire::Login(None)));
    assert!(matches!(core.ask(names(1, 2), later), Acquire::InProgress(_)));
    core.finish(names(1, 1), token(DAY), later, later).unwrap();
    assert!(matches!(core.ask(names(1, 2), later), Acquire::Login(None)));
}

#[test]
fn a_lock_and_a_request_to_slow_down_rest_the_user_and_end_no_token() {
    for (login, denied) in [
        (Login::Locked, rejected(Rejection::Locked, Some(300))),
        (
            Login::Throttled(Duration::from_secs(7)),
            Denied::User(Refusal::Throttled { wait: Duration::from_secs(7), behind: Duration::ZERO }),
        ),
    ] {
        let (mut core, now) = (Core::new(MIN), Instant::now());
        log_in(&mut core, names(1, 1), token(DAY), now).unwrap();
        assert_eq!(log_in(&mut core, names(1, 2), login, now).unwrap_err(), denied);
        assert_eq!(denial(core.ask(names(1, 3), now)), denied);
        assert!(matches!(core.ask(names(1, 1), now), Acquire::Cached(_)));
    }
}

#[test]
fn a_login_that_brought_no_answer_rests_the_user_and_one_that_never_left_nobody() {
    for (login, why) in [
        (Login::Failed(503), FailureCause::Failed(503)),
        (Login::Silent, FailureCause::Silent),
        (Login::Unreadable("x"), FailureCause::Unreadable("x")),
    ] {
        let (mut core, now) = (Core::new(MIN), Instant::now());
        assert_eq!(log_in(&mut core, names(1, 1), Login::Unreachable, now).unwrap_err(), Denied::Unreachable);
        let lost = |seconds| Denied::Unanswered(why, Duration::from_secs(seconds));
        assert_eq!(log_in(&mut core, names(1, 1), login.clone(), now).unwrap_err(), lost(300));
        assert_eq!(denial(core.ask(names(1, 2), now)), lost(300), "the password is the same for all projects");
        assert!(matches!(core.ask(names(2, 3), now), Acquire::Login(None)), "others have their own");
        let now = now + Duration::from_secs(300);
        log_in(&mut core, names(1, 1), token(DAY), now).unwrap();
        assert_eq!(log_in(&mut core, names(1, 2), login.clone(), now).unwrap_err(), lost(2), "it had worked");
        let now = now + Duration::from_secs(2);
        assert_eq!(
            log_in(&mut core, names(1, 2), Login::Wrong, now).unwrap_err(),
            rejected(Rejection::WorkedBefore, Some(300))
        );
        let now = now + Duration::from_secs(300);
        assert_eq!(log_in(&mut core, names(1, 2), login, now).unwrap_err(), lost(300), "it does not any more");
    }
}

#[test]
fn what_is_said_of_a_project_holds_that_project_alone_and_for_five_minutes() {
    for (login, trouble) in [
        (Login::Project(401), ScopeError::Project(401)),
        (Login::Forbidden, ScopeError::Forbidden),
        (Login::Refused(400), ScopeError::Refused(400)),
    ] {
        let (mut core, now) = (Core::new(MIN), Instant::now());
        let denied = Denied::Scope(trouble, TROUBLE_RESTS);
        assert_eq!(log_in(&mut core, names(1, 1), login, now).unwrap_err(), denied);
        assert_eq!(denial(core.ask(names(1, 1), now)), denied);
        log_in(&mut core, names(1, 2), token(DAY), now).unwrap();
        assert!(matches!(core.ask(names(1, 1), now + TROUBLE_RESTS), Acquire::Login(None)));
    }
}

#[test]
fn a_token_that_answers_ended_is_replaced_but_not_faster_than_one_in_five_seconds() {
    let (mut core, now) = (Core::new(MIN), Instant::now());
    let first = log_in(&mut core, names(1, 1), token(DAY), now).unwrap();
    first.end();
    assert!(matches!(core.ask(names(1, 1), now), Acquire::BackOff(rest) if rest == APART));
    assert!(matches!(core.ask(names(1, 1), now + APART), Acquire::Login(None)));
    core.finish(names(1, 1), token(DAY), now + APART, now + APART).unwrap();
    assert!(matches!(core.ask(names(1, 1), now + APART), Acquire::Cached(_)));
}

#[test]
fn what_is_remembered_is_bounded_and_the_oldest_makes_room() {
    let (mut core, now) = (Core::new(MIN), Instant::now());
    for number in 0..MOST + 10 {
        let digest = |kind: u8| {
            let mut bytes = [kind; 32];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            KeyIdentity::from(bytes)
        };
        let names = Names { account: digest(1), purpose: digest(2) };
        let at = now + Duration::from_millis(u64::try_from(number).unwrap());
        log_in(&mut core, names, token(DAY), at).unwrap();
    }
    assert_eq!((core.accounts.len(), core.purposes.len()), (MOST, MOST));
}
