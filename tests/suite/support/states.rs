//! Objects in every state.

use std::collections::BTreeMap;

use serde_json::json;
use testbed::simulator::Script;

use crate::support::world::World;

/// One object in each closed or held state, and its reason.
pub async fn objects_in_every_state(world: &World) -> BTreeMap<&'static str, &'static str> {
    let mut reasons = BTreeMap::new();
    for (name, script, reason) in [
        ("delivered", Script::status(200), "Delivered"),
        ("refused", Script::status(403), "PermissionDenied"),
        ("server-error", Script::status(500), "ServerError"),
        ("unknown", Script::lost_reply(), "OutcomeUnknown"),
    ] {
        world.create_for(name, script).await;
        world.settled(name, reason).await;
        reasons.insert(name, reason);
    }
    for (name, key, value, reason) in [
        ("suspended", "suspend", "true", "Suspended"),
        ("expired", "not-after", "2026-01-01T00:00:00Z", "Expired"),
        ("misspelt", "suspended", "true", "InvalidAnnotation"),
        ("no-secret", "credentials-secret", "missing", "CredentialsNotFound"),
    ] {
        world.create_annotated(name, &world.cluster(), &[(key, value)]).await;
        world.settled(name, reason).await;
        reasons.insert(name, reason);
    }
    world.create_annotated("invalid", &world.cluster(), &[("suspend", "true")]).await;
    let another = json!({"attempt": {"id": "f", "uid": "another", "generation": 1, "state": "Answered"}});
    world.patch_status("invalid", another).await;
    world.settled("invalid", "JournalInvalid").await;
    reasons.insert("invalid", "JournalInvalid");
    reasons
}
