use super::*;
use crate::{
    api::Attempt,
    testing::sample::{at, attempt, attempted},
};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_new_attempt_is_watched_anew_and_a_deleted_object_no_more() {
    let (mut watches, now) = (Schedule::default(), Instant::now());
    let first = watches.of("uid", "a", SECOND, now);
    assert_eq!((first.next, first.since), (now + SECOND, None));
    watches.keep("uid", Scheduled { unmoved: 3, since: Some(now), ..first.clone() });
    let again = watches.of("uid", "a", SECOND, now);
    assert_eq!((again.unmoved, again.since), (3, Some(now)));
    let other = watches.of("uid", "b", SECOND, now + 5 * SECOND);
    assert_eq!((other.unmoved, other.since, other.next), (0, None, now + 6 * SECOND));
    watches.keep("uid", Scheduled { unmoved: 7, ..first });
    assert_eq!(watches.of("uid", "b", SECOND, now).unmoved, 0, "a look at an older attempt ends late");
    watches.end("uid");
    watches.keep("uid", other);
    assert!(watches.objects.is_empty(), "it was deleted while it was looked at");
}

#[test]
fn a_call_of_another_wish_matters_from_shortly_before_ones_own_on() {
    let mut watches = Schedule::default();
    let others = |watches: &Schedule, uid: &str, generation: i64| {
        let others = watches.others("cluster", uid, generation, 10 * SECOND);
        (others.before, others.since)
    };
    watches.called("cluster", "uid", 1, at(0));
    assert_eq!(others(&watches, "uid", 1), (false, false), "one's own");
    assert_eq!(others(&watches, "uid", 2), (false, true), "nobody knows when this one called");
    watches.called("cluster", "uid", 2, at(9));
    assert_eq!((others(&watches, "uid", 1), others(&watches, "uid", 2)), ((false, true), (true, false)));
    watches.called("cluster", "uid", 3, at(7));
    assert_eq!(
        others(&watches, "uid", 3),
        (true, false),
        "an older generation's is older, also by a clock that is ahead"
    );
    watches.refused("cluster", "uid", 3);
    watches.called("cluster", "other", 1, at(100));
    assert_eq!(others(&watches, "other", 1), (false, false), "what they began would have shown by then");
    watches.refused("cluster", "other", 1);
    assert_eq!(others(&watches, "uid", 2), (true, false), "it began nothing");
    watches.refused("cluster", "uid", 1);
    watches.refused("cluster", "uid", 2);
    assert!(watches.calls.is_empty());
}

#[test]
fn only_the_latest_calls_for_a_cluster_are_remembered() {
    let mut watches = Schedule::default();
    for generation in 0..100 {
        watches.called("cluster", "uid", generation, at(generation));
    }
    assert_eq!(watches.calls.get("cluster").map(Vec::len), Some(MAX_CALLS));
    assert_eq!(watches.others("cluster", "uid", 99, SECOND * 5), Others { before: true, since: false });
}

#[test]
fn after_a_restart_statuses_tell_who_has_called() {
    let claimed = |state: AttemptState, status_code: Option<i32>, error_code: Option<&str>| {
        let claimed_time = Some(crate::protocol::conditions::to_second(at(0)));
        let error_code = error_code.map(str::to_owned);
        attempted(1, Attempt { claimed_time, status_code, error_code, ..attempt("a", 1, state) })
    };
    for (state, code, error, counts) in [
        (AttemptState::Claimed, None, None, true),
        (AttemptState::Unknown, None, None, true),
        (AttemptState::Answered, Some(200), None, true),
        (AttemptState::Answered, Some(503), None, true),
        (AttemptState::Answered, Some(408), None, true),
        (AttemptState::Answered, Some(400), Some("DWS.0005"), true),
        (AttemptState::Answered, Some(403), Some("DWS.9999"), true),
        (AttemptState::Answered, Some(403), None, true), // its body may have broken off before its code
        (AttemptState::Answered, Some(301), None, true),
        (AttemptState::Answered, Some(401), None, false),
        (AttemptState::Answered, Some(429), None, false),
        (AttemptState::Answered, Some(403), Some("DWS.7023"), false),
        (AttemptState::NotSent, None, None, false),
    ] {
        let mut watches = Schedule::default();
        let object = claimed(state, code, error);
        watches.note(&object);
        let cluster = object.spec.cluster_id.to_ascii_lowercase();
        assert_eq!(watches.others(&cluster, "other", 1, SECOND).since, counts, "{state:?} {code:?}");
    }
}
