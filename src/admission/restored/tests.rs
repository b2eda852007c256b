use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::{
    api::{AttemptState, Reason},
    cloud::auth::KeyDigests,
    credentials::CredentialId,
    protocol::hold::Hold,
    testing::sample::{at, attempt, attempted},
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

/// What status restores, and the keys that it counts for.
#[derive(Default)]
struct World {
    restored: RestoredHolds,
    keys: Keys,
}

impl World {
    /// Why no request may be made with key 1, from that source.
    fn hold(&mut self, source: &CredentialSource, endpoint: &str, now: Instant) -> Option<Hold> {
        let key = KeyIdentity::from([1; 32]);
        self.restored.apply(source, endpoint, (key, true), &mut self.keys, now);
        self.keys.check(&CredentialId { digests: KeyDigests { key, values: key }, source: source.clone() }, now).err()
    }

    /// How many seconds a request must wait for the window of a 429.
    fn window(&mut self, source: &CredentialSource, endpoint: &str, now: Instant) -> Option<u64> {
        let hold = self.hold(source, endpoint, now).filter(|hold| hold.reason == Reason::Throttled)?;
        // The pause is up to a second longer than the window.
        Some(hold.retry_after.saturating_sub(SECOND / 2).as_secs())
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
        let mut world = World::default();
        world.restored.add(&throttled("a", 90), now, at(30));
        assert_eq!(world.window(&source, endpoint, now), held, "{source:?} {endpoint}");
        assert_eq!(world.window(&source, endpoint, now + 60 * SECOND), None);
    }
    let mut world = World::default();
    let own = answered("a", 429, |attempt| {
        (attempt.retry_after_seconds, attempt.credentials) = (Some(90), Some("Controller".to_owned()));
    });
    world.restored.add(&own, now, at(30));
    assert_eq!(world.window(&CredentialSource::Controller, HOST, now), Some(60));
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
        let mut world = World::default();
        world.restored.add(&throttled("a", seconds), now, at(wall));
        assert_eq!(world.window(&secret("team"), HOST, now), held, "{seconds} s, at {wall}");
        // Seen again in each list, with a wall clock that is a day behind.
        let again = now + 700 * SECOND;
        world.restored.add(&throttled("a", seconds), again, at(wall.min(0)));
        world.restored.add(&throttled("b", 1), again, at(0));
        world.restored.add(&throttled("a", seconds), again + 2 * SECOND, at(wall.min(0)));
        if wall < 0 {
            assert_eq!(
                world.window(&secret("team"), HOST, again + 2 * SECOND),
                None,
                "it counts from when it was first seen"
            );
        }
    }
}

#[test]
fn an_attempt_of_this_process_or_without_a_window_restores_nothing() {
    let now = Instant::now();
    let mut world = World::default();
    world.restored.note_own("own", now);
    world.restored.add(&throttled("own", 90), now, at(0));
    world.restored.add(&answered("older", 429, |_| {}), now, at(0));
    world.restored.add(&answered("accepted", 200, |attempt| attempt.retry_after_seconds = Some(90)), now, at(0));
    world.restored.add(
        &answered("nowhere", 429, |attempt| {
            (attempt.retry_after_seconds, attempt.endpoint) = (Some(90), None);
        }),
        now,
        at(0),
    );
    assert_eq!(world.hold(&secret("team"), HOST, now), None);
}

#[test]
fn four_401s_in_status_block_an_unproven_key_until_the_first_expires() {
    let now = Instant::now();
    let mut world = World::default();
    let refused = |id: &str, second: i64| {
        answered(id, 401, |attempt| {
            attempt.finished_time = Some(Time(at(second)));
            attempt.error_code = Some("APIGW.0301".to_owned());
        })
    };
    for (number, id) in ["a", "b", "c"].iter().enumerate() {
        world.restored.add(&refused(id, i64::try_from(number).unwrap() * 10), now, at(40));
    }
    // The service itself answered: the key is valid.
    world.restored.add(&answered("d", 401, |attempt| attempt.error_code = Some("DWS.0047".to_owned())), now, at(40));
    assert_eq!(world.hold(&secret("team"), HOST, now), None, "three of the gateway and one of the service");
    world.restored.add(&refused("e", 30), now, at(40));
    for _ in 0..2 {
        let hold = world.hold(&secret("team"), HOST, now).unwrap();
        assert!(hold.message.contains("at least four times"), "{hold:?}");
    }
    assert_eq!(world.hold(&secret("team"), HOST, now + 260 * SECOND), None, "each counts once");
    // A user's token is not an access key.
    let mut world = World { restored: world.restored, keys: Keys::default() };
    world.restored.apply(&secret("team"), HOST, ([2; 32].into(), false), &mut world.keys, now);
    let token = KeyDigests { key: [2; 32].into(), values: [2; 32].into() };
    assert!(world.keys.check(&CredentialId { digests: token, source: secret("team") }, now).is_ok());
    world.keys.worked(KeyDigests { key: [1; 32].into(), values: [1; 32].into() });
    assert_eq!(world.hold(&secret("team"), HOST, now), None, "the key works");
}
