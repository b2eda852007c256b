use super::*;

const MIN: Duration = Duration::from_secs(120);
const UNREACHABLE: Denied = Denied::Failed(LoginFailure::Unreachable, REFUSED_RECHECK);
const DAY: Duration = Duration::from_secs(86_400);

fn key(user: u8, scope: u8) -> TokenKey {
    TokenKey { user: KeyIdentity::from([user; 32]), scope: KeyIdentity::from([scope; 32]) }
}

#[allow(clippy::unnecessary_wraps, reason = "as a login returns it")]
fn token(life: Duration) -> Login {
    Ok(("canary".to_owned().into(), life))
}

/// Acquires the right to log in, logs in with that result, and returns what `finish` does.
fn log_in(core: &mut Core, key: TokenKey, login: Login, now: Instant) -> Result<Token, Denied> {
    let acquired = core.acquire(key, now);
    assert!(matches!(acquired, Acquire::Login(_)), "{acquired:?}");
    core.finish(key, login, now, now)
}

fn rejected(why: Rejection, wait: Option<u64>) -> Denied {
    Denied::Rejected(why, wait.map(Duration::from_secs))
}

fn denial(acquired: Acquire) -> Denied {
    match acquired {
        Acquire::Denied(denied) => denied,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_token_is_renewed_before_its_end_and_used_while_iam_is_unreachable() {
    let (mut core, now) = (Core::new(MIN), Instant::now());
    let first = log_in(&mut core, key(1, 1), token(DAY), now).unwrap();
    let late = now + DAY.saturating_sub(MIN + RENEW_BEFORE);
    assert!(matches!(core.acquire(key(1, 1), late.checked_sub(Duration::from_secs(1)).unwrap()), Acquire::Cached(_)));
    assert!(matches!(core.acquire(key(1, 1), late), Acquire::Login(Some(_))), "it is still valid");
    let unreachable = core.finish(key(1, 1), Err(LoginFailure::Unreachable), late, late);
    assert_eq!(unreachable.unwrap_err(), UNREACHABLE);
    assert!(!first.has_ended());
    let end = now + DAY.saturating_sub(MIN) + Duration::from_secs(1);
    assert!(matches!(core.acquire(key(1, 1), end), Acquire::Login(None)), "it would end during a call");
}

#[test]
fn a_failed_renewal_ends_the_cached_token_only_for_a_wrong_password() {
    let late = DAY.saturating_sub(MIN + RENEW_BEFORE);
    for (login, is_valid) in [
        (Err(LoginFailure::Failed(503)), true),
        (Err(LoginFailure::Silent), true),
        (Err(LoginFailure::Locked), true),
        (Err(LoginFailure::Project(401)), true),
        (Err(LoginFailure::Forbidden), true),
        (Err(LoginFailure::Wrong), false),
    ] {
        let (mut core, now) = (Core::new(MIN), Instant::now());
        let cached = log_in(&mut core, key(1, 1), token(DAY), now).unwrap();
        log_in(&mut core, key(1, 1), login.clone(), now + late).unwrap_err();
        assert_eq!(!cached.has_ended(), is_valid, "{login:?}");
        assert_eq!(matches!(core.acquire(key(1, 1), now + late), Acquire::Cached(_)), is_valid, "{login:?}");
    }
}

#[test]
fn a_short_lived_token_is_used_once_or_not_at_all() {
    let (mut core, now) = (Core::new(MIN), Instant::now());
    log_in(&mut core, key(1, 1), token(MIN + Duration::from_secs(5)), now).unwrap();
    assert!(matches!(core.acquire(key(1, 1), now), Acquire::BackOff(rest) if rest == MIN_LOGIN_INTERVAL));
    let now = now + MIN_LOGIN_INTERVAL;
    let again = log_in(&mut core, key(1, 1), token(MIN.saturating_sub(Duration::from_secs(1))), now);
    assert_eq!(again.unwrap_err(), Denied::Failed(LoginFailure::ShortLived, SCOPE_BACK_OFF));
    assert!(matches!(denial(core.acquire(key(1, 1), now)), Denied::Failed(LoginFailure::ShortLived, _)));
    assert!(matches!(core.acquire(key(1, 1), now + SCOPE_BACK_OFF), Acquire::Login(None)));
}

#[test]
fn a_wrong_password_is_not_retried_for_any_project() {
    let (mut core, now) = (Core::new(MIN), Instant::now());
    let wrong = rejected(Rejection::Wrong, None);
    assert_eq!(log_in(&mut core, key(1, 1), Err(LoginFailure::Wrong), now).unwrap_err(), wrong);
    for (scope, later) in [(1, 0), (2, 0), (1, 86_400), (3, 86_400)] {
        assert_eq!(denial(core.acquire(key(1, scope), now + Duration::from_secs(later))), wrong);
    }
    assert!(matches!(core.acquire(key(2, 1), now), Acquire::Login(None)), "other values");
}

#[test]
fn a_proven_user_is_retried_by_one_object_five_minutes_after_a_refusal() {
    let (mut core, now) = (Core::new(MIN), Instant::now());
    let cached = log_in(&mut core, key(1, 1), token(DAY), now).unwrap();
    let refused = log_in(&mut core, key(1, 2), Err(LoginFailure::Wrong), now).unwrap_err();
    assert_eq!(refused, rejected(Rejection::WorkedBefore, Some(300)));
    assert!(cached.has_ended());
    assert_eq!(denial(core.acquire(key(1, 1), now)), refused);
    let later = now + Duration::from_secs(300);
    assert!(matches!(core.acquire(key(1, 1), later), Acquire::Login(None)));
    core.finish(key(1, 1), token(DAY), later, later).unwrap();
    assert!(matches!(core.acquire(key(1, 2), later), Acquire::Login(None)));
}

#[test]
fn a_lock_or_a_429_denies_the_user_and_ends_no_token() {
    for (login, denied) in [
        (Err(LoginFailure::Locked), rejected(Rejection::Locked, Some(300))),
        (
            Err(LoginFailure::Throttled(Duration::from_secs(7))),
            Denied::Failed(LoginFailure::Throttled(Duration::from_secs(7)), Duration::from_secs(7)),
        ),
    ] {
        let (mut core, now) = (Core::new(MIN), Instant::now());
        log_in(&mut core, key(1, 1), token(DAY), now).unwrap();
        assert_eq!(log_in(&mut core, key(1, 2), login, now).unwrap_err(), denied);
        assert_eq!(denial(core.acquire(key(1, 3), now)), denied);
        assert!(matches!(core.acquire(key(1, 1), now), Acquire::Cached(_)));
    }
}

#[test]
fn an_unanswered_login_denies_the_user_and_an_unsent_one_does_not() {
    for (login, why) in [
        (Err(LoginFailure::Failed(503)), LoginFailure::Failed(503)),
        (Err(LoginFailure::Silent), LoginFailure::Silent),
        (Err(LoginFailure::Unreadable("x")), LoginFailure::Unreadable("x")),
    ] {
        let (mut core, now) = (Core::new(MIN), Instant::now());
        assert_eq!(log_in(&mut core, key(1, 1), Err(LoginFailure::Unreachable), now).unwrap_err(), UNREACHABLE);
        let unanswered = |seconds| Denied::Failed(why, Duration::from_secs(seconds));
        assert_eq!(log_in(&mut core, key(1, 1), login.clone(), now).unwrap_err(), unanswered(300));
        assert_eq!(denial(core.acquire(key(1, 2), now)), unanswered(300), "the password is the same for all projects");
        assert!(matches!(core.acquire(key(2, 3), now), Acquire::Login(None)), "others have their own");
        let now = now + Duration::from_secs(300);
        log_in(&mut core, key(1, 1), token(DAY), now).unwrap();
        assert_eq!(log_in(&mut core, key(1, 2), login.clone(), now).unwrap_err(), unanswered(2), "it had worked");
        let now = now + Duration::from_secs(2);
        assert_eq!(
            log_in(&mut core, key(1, 2), Err(LoginFailure::Wrong), now).unwrap_err(),
            rejected(Rejection::WorkedBefore, Some(300))
        );
        let now = now + Duration::from_secs(300);
        assert_eq!(log_in(&mut core, key(1, 2), login, now).unwrap_err(), unanswered(300), "it was refused since");
    }
}

#[test]
fn a_refusal_for_a_project_denies_that_project_only_for_five_minutes() {
    for (login, error) in [
        (Err(LoginFailure::Project(401)), LoginFailure::Project(401)),
        (Err(LoginFailure::Forbidden), LoginFailure::Forbidden),
        (Err(LoginFailure::Refused(400)), LoginFailure::Refused(400)),
    ] {
        let (mut core, now) = (Core::new(MIN), Instant::now());
        let denied = Denied::Failed(error, SCOPE_BACK_OFF);
        assert_eq!(log_in(&mut core, key(1, 1), login, now).unwrap_err(), denied);
        assert_eq!(denial(core.acquire(key(1, 1), now)), denied);
        log_in(&mut core, key(1, 2), token(DAY), now).unwrap();
        assert!(matches!(core.acquire(key(1, 1), now + SCOPE_BACK_OFF), Acquire::Login(None)));
    }
}

#[test]
fn an_ended_token_is_replaced_at_most_every_five_seconds() {
    let (mut core, now) = (Core::new(MIN), Instant::now());
    let first = log_in(&mut core, key(1, 1), token(DAY), now).unwrap();
    first.end();
    assert!(matches!(core.acquire(key(1, 1), now), Acquire::BackOff(rest) if rest == MIN_LOGIN_INTERVAL));
    assert!(matches!(core.acquire(key(1, 1), now + MIN_LOGIN_INTERVAL), Acquire::Login(None)));
    core.finish(key(1, 1), token(DAY), now + MIN_LOGIN_INTERVAL, now + MIN_LOGIN_INTERVAL).unwrap();
    assert!(matches!(core.acquire(key(1, 1), now + MIN_LOGIN_INTERVAL), Acquire::Cached(_)));
}

#[test]
fn the_cache_is_bounded_and_evicts_the_least_recently_used() {
    let (mut core, now) = (Core::new(MIN), Instant::now());
    for number in 0..MAX_ENTRIES + 10 {
        let digest = |kind: u8| {
            let mut bytes = [kind; 32];
            bytes[..8].copy_from_slice(&number.to_be_bytes());
            KeyIdentity::from(bytes)
        };
        let key = TokenKey { user: digest(1), scope: digest(2) };
        let now = now + Duration::from_millis(u64::try_from(number).unwrap());
        log_in(&mut core, key, token(DAY), now).unwrap();
    }
    assert_eq!((core.users.len(), core.scopes.len()), (MAX_ENTRIES, MAX_ENTRIES));
}

#[test]
fn the_present_token_is_the_last_one_and_needs_no_login() {
    let (mut core, now) = (Core::new(MIN), Instant::now());
    assert!(core.present(key(1, 1)).is_none());
    let first = log_in(&mut core, key(1, 1), token(DAY), now).unwrap();
    first.end();
    let second = log_in(&mut core, key(1, 1), token(DAY), now + MIN_LOGIN_INTERVAL).unwrap();
    assert!(core.present(key(1, 1)).is_some_and(|token| !token.has_ended()));
    second.end();
    assert!(core.present(key(1, 1)).is_some_and(|token| token.has_ended()));
    assert!(core.present(key(1, 2)).is_none());
}

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn an_unproven_user_backs_off_five_minutes_after_each_unanswered_login() {
    let (mut user, now) = (UserState::default(), Instant::now());
    let paused = |why| Some(Denied::Failed(why, 300 * SECOND));
    assert_eq!(user.denied(now), None);
    user.unanswered(LoginFailure::Silent, now);
    assert_eq!(user.denied(now), paused(LoginFailure::Silent));
    let now = now + 300 * SECOND;
    assert_eq!(user.denied(now), None);
    user.unanswered(LoginFailure::Failed(503), now);
    assert_eq!(user.denied(now), paused(LoginFailure::Failed(503)));
    user.worked();
    assert_eq!(user.denied(now), None);
}

#[test]
fn a_user_never_has_five_unanswered_logins_in_fifteen_minutes() {
    for proven in [true, false] {
        let (mut user, start) = (UserState::default(), Instant::now());
        if proven {
            user.worked();
        }
        let mut tried = Vec::new();
        for second in 0..7200 {
            if user.denied(start + SECOND * second).is_none() {
                user.unanswered(LoginFailure::Silent, start + SECOND * second);
                tried.push(second);
            }
        }
        assert!(tried.windows(5).all(|five| five.last() >= five.first().map(|first| first + 900).as_ref()));
        assert!(tried.len() >= 20, "logins continue: {tried:?}");
        assert_eq!(tried.get(1), Some(if proven { &2 } else { &300 }));
    }
}
