use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::{
    admission::{Core, Refusal, Rejection},
    api::AttemptState,
    cloud::outcome::KeyEffect,
    testing::{
        mock::candidate,
        sample::{at, attempt, attempted},
    },
};

const SECOND: Duration = Duration::from_secs(1);
const HOST: &str = "dws.example.com";

/// The Secret in that namespace that a sample's attempt names.
fn secret(namespace: &str) -> CredentialSource {
    CredentialSource::Secret { namespace: namespace.to_owned(), name: "keys".to_owned() }
}

/// An object whose attempt was answered with this code, at second 0.
fn answered(id: &str, status_code: i32, change: impl FnOnce(&mut Attempt)) -> ClusterRedistribution {
    let mut attempt = Attempt {
        endpoint: Some(HOST.to_owned()),
        credentials: Some("Namespace/keys".to_owned()),
        finished_time: Some(Time(at(0))),
        status_code: Some(status_code),
        ..attempt(id, 1, AttemptState::Answered)
    };
    change(&mut attempt);
    attempted(1, attempt)
}

fn throttled(id: &str, seconds: i64) -> ClusterRedistribution {
    answered(id, 429, |attempt| attempt.retry_after_seconds = Some(seconds))
}

/// Why a call with key 1, from that source, would not be admitted.
fn refusal(core: &mut Core, source: &CredentialSource, endpoint: &str, now: Instant) -> Option<Refusal> {
    core.apply_restored(source, endpoint, ([1; 32].into(), true), now);
    let request = candidate("sample", "cluster", 1);
    let refusal = core.enter(&request, false, now).err();
    if refusal.is_none() {
        core.leave(&request, None, now);
    }
    refusal
}

/// How many seconds a call must wait for the window of a 429.
fn window(core: &mut Core, source: &CredentialSource, endpoint: &str, now: Instant) -> Option<u64> {
    match refusal(core, source, endpoint, now) {
        Some(Refusal::Throttled { wait, .. }) => Some(wait.as_secs()),
        _ => None,
    }
}

#[test]
fn a_429_in_status_blocks_its_source_and_endpoint_for_the_time_left() {
    let now = Instant::now();
    for (source, endpoint, held) in [
        (secret("team"), HOST, Some(60)),
        (secret("other"), HOST, None),
        (CredentialSource::Controller, HOST, None),
        (secret("team"), "dws.elsewhere.example.com", None),
    ] {
        let mut core = Core::new(8, 0.0);
        core.restored.add(&throttled("a", 90), now, at(30));
        assert_eq!(window(&mut core, &source, endpoint, now), held, "{source:?} {endpoint}");
        assert_eq!(window(&mut core, &source, endpoint, now + 60 * SECOND), None);
    }
    let mut core = Core::new(8, 0.0);
    let own = answered("a", 429, |attempt| {
        (attempt.retry_after_seconds, attempt.credentials) = (Some(90), Some("Controller".to_owned()));
    });
    core.restored.add(&own, now, at(30));
    assert_eq!(window(&mut core, &CredentialSource::Controller, HOST, now), Some(60));
}

#[test]
fn a_429_in_status_blocks_for_at_most_ten_minutes_whatever_the_clocks() {
    let now = Instant::now();
    for (seconds, wall, held) in [
        (90, 0, Some(90)),
        (90, 89, Some(1)),
        (90, 90, None),
        (90, 86_400, None),
        (90, -86_400, Some(90)),
        (600, -86_400, Some(600)),
        (86_400, 0, Some(600)),
        (-1, 0, None),
    ] {
        let mut core = Core::new(8, 0.0);
        core.restored.add(&throttled("a", seconds), now, at(wall));
        assert_eq!(window(&mut core, &secret("team"), HOST, now), held, "{seconds} s, at {wall}");
        // Seen again in each list, with a wall clock that is a day behind.
        let again = now + 700 * SECOND;
        core.restored.add(&throttled("a", seconds), again, at(wall.min(0)));
        core.restored.add(&throttled("b", 1), again, at(0));
        core.restored.add(&throttled("a", seconds), again + 2 * SECOND, at(wall.min(0)));
        if wall < 0 {
            assert_eq!(
                window(&mut core, &secret("team"), HOST, again + 2 * SECOND),
                None,
                "it counts from when it was first seen"
            );
        }
    }
}

#[test]
fn an_attempt_of_this_process_or_without_a_window_restores_nothing() {
    let now = Instant::now();
    let mut core = Core::new(8, 0.0);
    core.restored.note_own("own", now);
    core.restored.add(&throttled("own", 90), now, at(0));
    core.restored.add(&answered("older", 429, |_| {}), now, at(0));
    core.restored.add(&answered("accepted", 200, |attempt| attempt.retry_after_seconds = Some(90)), now, at(0));
    core.restored.add(
        &answered("nowhere", 429, |attempt| {
            (attempt.retry_after_seconds, attempt.endpoint) = (Some(90), None);
        }),
        now,
        at(0),
    );
    assert_eq!(refusal(&mut core, &secret("team"), HOST, now), None);
}

#[test]
fn four_401s_in_status_block_an_unproven_key_until_the_first_expires() {
    let now = Instant::now();
    let mut core = Core::new(8, 0.0);
    let refused = |id: &str, second: i64| {
        answered(id, 401, |attempt| {
            attempt.finished_time = Some(Time(at(second)));
            attempt.error_code = Some("APIGW.0301".to_owned());
        })
    };
    for (number, id) in ["a", "b", "c"].iter().enumerate() {
        core.restored.add(&refused(id, i64::try_from(number).unwrap() * 10), now, at(40));
    }
    // The service itself answered: the key is valid.
    core.restored.add(&answered("d", 401, |attempt| attempt.error_code = Some("DWS.0047".to_owned())), now, at(40));
    assert_eq!(refusal(&mut core, &secret("team"), HOST, now), None, "three of the gateway and one of the service");
    core.restored.add(&refused("e", 30), now, at(40));
    let expected = Some(Refusal::Rejected { why: Rejection::RefusedTooOften, wait: Some(260 * SECOND) });
    assert_eq!(refusal(&mut core, &secret("team"), HOST, now), expected);
    assert_eq!(refusal(&mut core, &secret("team"), HOST, now), expected, "each counts once");
    assert_eq!(refusal(&mut core, &secret("team"), HOST, now + 260 * SECOND), None);
    // A user's token is not an access key.
    core.apply_restored(&secret("team"), HOST, ([2; 32].into(), false), now);
    assert_eq!(core.enter(&candidate("token", "another", 2), false, now), Ok(()));
    core.learn([1; 32].into(), Some(KeyEffect::Good), now);
    assert_eq!(refusal(&mut core, &secret("team"), HOST, now), None, "the key works");
}
