//! The preparation of a claim: endpoint, key and, if configured, a read of the cluster. Writes nothing durable and
//! sends nothing that changes anything: each failure is a hold.

mod precheck;

mod login;

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

use crate::{
    admission::{Admitted, Candidate, Health, ObjectName, Refusal, RequestedAt},
    api::{Baseline, ClusterRedistribution, Reason},
    cloud::{ProbeError, auth::Key},
    controller::{
        context::Context,
        messages::{self, CREDENTIALS_RECHECK, Hold},
    },
    credentials::{CredentialSource, CredentialsError, secret::Credential, tokens::MAX_WAIT},
    precheck::Mode,
    protocol::{conditions::reason_at, decide::Plan, regions::Endpoint},
    runtime::jitter::jittered,
};

/// How often a waiting object that does not report that yet is checked again: its time may have passed, or its Secret
/// may be gone.
const UNREPORTED_RECHECK: Duration = Duration::from_secs(60);

/// When this process saw an object.
#[derive(Clone, Copy, Debug)]
pub struct SeenAt {
    /// When the watch delivered it.
    pub watched: Option<Instant>,
    /// When it had the version that is decided on: when the watch delivered that version, or when it was read.
    pub as_of: Instant,
}

/// Why the preparation ended without an admission slot.
#[derive(Debug)]
pub enum NotReady {
    /// Report this hold in status.
    Hold(Hold),
    /// Report nothing, since the cause ends soon. Check again after this long at the latest.
    RecheckSoon(Duration),
    /// Report nothing yet: the API server did not answer, which says nothing about the object.
    Retry(CredentialsError),
}

/// Everything that a call needs.
pub struct Ready {
    /// The credentials of the call, read or fetched just now.
    pub key: Key,
    /// The source of the key, as status shows it.
    pub source: CredentialSource,
    /// The admission slot.
    pub admitted: Admitted,
    /// A finding of the precheck that does not prevent the call.
    pub note: Option<String>,
    /// The state of the cluster before the claim, if a later state is to be compared with it.
    pub baseline: Option<Baseline>,
}

/// Prepares a call: endpoint, credentials (with a login, for a user), admission and, if configured, the precheck; in
/// this order, since requests that could lock a key need the admission slot, which must not be held during a
/// login.
///
/// A key that was read before the object was seen is not used.
pub async fn prepare(
    context: &Context,
    object: &ClusterRedistribution,
    plan: &Plan,
    seen: SeenAt,
) -> Result<Ready, NotReady> {
    let name = object_name(object);
    let source = source(context, object, plan);
    let last = precheck::last(context, object, &source);
    if let Some(held) = last.as_ref().and_then(precheck::hold_until_next) {
        return Err(NotReady::Hold(held));
    }
    health(context, &name, &plan.endpoint, plan.probe_first).await?;
    let key = key_within(context, object, plan, (&source, seen.as_of), MAX_WAIT).await.inspect_err(|why| {
        if matches!(why, NotReady::Hold(_)) {
            // A woken object that is held leaves the queue to the next one.
            context.admission.forget(&name);
        }
    })?;
    let candidate = Candidate {
        object: name,
        cluster: object.spec.cluster_id.to_ascii_lowercase(),
        key: context.credentials.identity(&key, &plan.endpoint),
        requested_at: requested_at(object, last.is_some(), seen.watched, Timestamp::now()),
        has_other_report: has_other_report(object),
    };
    let admitted = context.admission.enter(candidate).await.map_err(|refusal| match (&refusal, last) {
        (Refusal::Rejected { .. }, _) => {
            context.credentials.forget(&source);
            NotReady::Hold(messages::refused(refusal, &source))
        }
        // Admission wakes it when its turn comes. Reported only if that takes long, and not by all of a burst at once.
        (Refusal::Queued { quiet, .. }, _) if !quiet.is_zero() => {
            NotReady::RecheckSoon((*quiet).min(jittered(UNREPORTED_RECHECK)))
        }
        // Its turn for the next precheck has not come: the last result is still the best information.
        (Refusal::Slot { .. } | Refusal::Queued { .. } | Refusal::AnotherCall { .. }, Some(last)) => {
            NotReady::Hold(Hold { reason: last.reason, message: last.message, ..messages::refused(refusal, &source) })
        }
        _ => NotReady::Hold(messages::refused(refusal, &source)),
    })?;
    let ready = Ready { key, source, admitted, note: None, baseline: None };
    let needs_no_read = context.precheck.mode == Mode::Off && context.observe.is_none();
    if needs_no_read { Ok(ready) } else { precheck::run(context, object, plan, ready).await }
}

/// The hold of a suspended object: what would be sent, where, with which Secret, and what would prevent it.
pub async fn preview(context: &Context, object: &ClusterRedistribution, plan: &Plan) -> Hold {
    let source = source(context, object, plan);
    let error = match context.credentials.read(&source, Instant::now(), Timestamp::now()).await {
        Ok(Credential::AccessKey(_)) => None,
        // The login is not tried: a wrong password counts.
        Ok(Credential::User(_)) => login::iam(context, plan, &source).err(),
        Err(error) => Some(error),
    };
    messages::suspended(&object.spec, &plan.endpoint.host, &source, error.as_ref())
}

/// When this generation was requested, as far as known; for an edited object, now, or one that is edited again and
/// again would stay before all newer ones. Likewise after a precheck: the next one counts as a new request, or repeated
/// prechecks of old objects would always come before the first one of new objects.
fn requested_at(
    object: &ClusterRedistribution,
    was_prechecked: bool,
    seen: Option<Instant>,
    now: Timestamp,
) -> RequestedAt {
    let is_first = object.metadata.generation == Some(1) && !was_prechecked;
    let created = object.metadata.creation_timestamp.as_ref().filter(|_| is_first);
    RequestedAt { second: created.map_or(now, |created| created.0).as_second(), seen }
}

/// Whether status reports anything for this generation other than that it waits.
fn has_other_report(object: &ClusterRedistribution) -> bool {
    let conditions = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let reason = reason_at(conditions, object.metadata.generation.unwrap_or_default());
    reason.is_some_and(|reason| reason != Reason::Throttled.as_str())
}

/// Namespace and name.
pub fn object_name(object: &ClusterRedistribution) -> ObjectName {
    (object.metadata.namespace.clone().unwrap_or_default(), object.metadata.name.clone().unwrap_or_default())
}

/// The credential source of an object.
pub fn source(context: &Context, object: &ClusterRedistribution, plan: &Plan) -> CredentialSource {
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    context.credentials.choose(plan.switches.credentials_secret.as_deref(), namespace)
}

/// The credentials of a read for this object, read or fetched just now. Does not wait for the login of another object,
/// since nothing depends on the read.
pub async fn key(
    context: &Context,
    object: &ClusterRedistribution,
    plan: &Plan,
    source: &CredentialSource,
) -> Result<Key, NotReady> {
    key_within(context, object, plan, (source, Instant::now()), Duration::ZERO).await
}

/// The credentials, with a wait of at most `max_wait` for the login of another object.
async fn key_within(
    context: &Context,
    object: &ClusterRedistribution,
    plan: &Plan,
    (source, since): (&CredentialSource, Instant),
    max_wait: Duration,
) -> Result<Key, NotReady> {
    let account = context.credentials.read(source, since, Timestamp::now()).await.map_err(not_ready)?;
    let key = login::key(context, object, plan, source, (account, max_wait)).await?;
    let identity = context.credentials.identity(&key, &plan.endpoint);
    context.admission.apply_restored(source, &plan.endpoint.host, (identity, matches!(key, Key::AccessKey(_))));
    Ok(key)
}

fn not_ready(error: CredentialsError) -> NotReady {
    match error.reason() {
        Some(reason) => {
            NotReady::Hold(Hold { reason, message: error.to_string(), recheck_after: jittered(CREDENTIALS_RECHECK) })
        }
        None => NotReady::Retry(error),
    }
}

/// After a failed connection, the endpoint is probed, without sending a request, before the next claim: an outage of
/// the cloud then costs neither writes nor attempts. The name is resolved before each claim, since DNS may take longer
/// than a claim may wait for its call.
async fn health(context: &Context, object: &ObjectName, endpoint: &Endpoint, suspect: bool) -> Result<(), NotReady> {
    let unreachable = |recheck_after| {
        NotReady::Hold(messages::unreachable(&endpoint.host, context.cloud.unresolved(endpoint), recheck_after))
    };
    let state = context.admission.health(&endpoint.host, suspect);
    let probe = async {
        match state {
            Health::Probe => context.cloud.probe(endpoint).await,
            _ => context.cloud.resolve(endpoint).await.map_err(ProbeError::from),
        }
    };
    match state {
        Health::Probing(pause) => {
            context.admission.wait(object);
            return Err(NotReady::RecheckSoon(jittered(pause.max(Duration::from_secs(1)))));
        }
        Health::Wait(pause) => {
            context.admission.wait(object);
            return Err(unreachable(jittered(pause.max(Duration::from_secs(1)) * 2)));
        }
        Health::Open | Health::Probe => {}
    }
    // Nothing is claimed yet, so the shutdown need not wait for this.
    let result = tokio::select! {
        result = probe => result,
        () = context.closing.cancelled() => return Err(NotReady::RecheckSoon(Duration::from_secs(1))),
    };
    match result {
        Ok(()) if state == Health::Probe => {
            context.admission.reachable(&endpoint.host);
            Ok(())
        }
        Ok(()) => Ok(()),
        // All waiting objects get the same failure at once; it counts once.
        Err(_) if state == Health::Open && context.admission.is_unreachable(&endpoint.host) => {
            context.admission.wait(object);
            Err(unreachable(jittered(Duration::from_secs(4))))
        }
        Err(error) => {
            tracing::info!(endpoint = %endpoint.host, %error, "the endpoint cannot be reached");
            Err(unreachable(context.admission.unreachable(&endpoint.host)))
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
