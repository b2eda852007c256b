//! Everything that must be right before a claim, from the endpoint to the key and, where that is asked for, the cluster.
//! Nothing here is durable and nothing is sent that changes anything: whatever fails is a hold.

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
        messages::{self, CREDENTIALS_AGAIN, Hold},
    },
    credentials::{CredentialSource, CredentialsError, secret::Credential, tokens::MAX_WAIT},
    precheck::Mode,
    protocol::{conditions::reason_at, decide::Plan, regions::Endpoint},
    runtime::jitter::jittered,
};

/// Who has nothing to say yet is looked at this often: its time may have passed, or its Secret be gone.
const QUIET_AGAIN: Duration = Duration::from_secs(60);

/// When an object was seen.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// When the watch showed it.
    pub shown: Option<Instant>,
    /// When it was as it is taken for: then, or when it was read.
    pub as_of: Instant,
}

/// Preparation ended without a admitted.
#[derive(Debug)]
pub enum NotReady {
    /// Say so in status.
    Hold(Hold),
    /// Say nothing: it is a matter of moments. Look again after this long at the latest.
    Shortly(Duration),
    /// Say nothing yet: the API server did not answer, which is no fact about the object.
    Retry(CredentialsError),
}

/// All that a call needs.
pub struct Ready {
    /// What the call is authenticated with, read or fetched just now.
    pub key: Key,
    /// Where the key came from, as status shows it.
    pub source: CredentialSource,
    /// The right to be in flight.
    pub admitted: Admitted,
    /// What a look at the cluster found that does not keep it from being called.
    pub note: Option<String>,
    /// What the cluster shows before the claim, if what comes after it is to be told apart.
    pub baseline: Option<Baseline>,
}

/// Prepares a call: reach, credentials (with a login, for a user), admission and, where that is asked for, a look at the
/// cluster; in this order, since what the admission gives is needed for whatever could lock a key, and must not be kept while
/// somebody logs in.
///
/// No key is used that was read before the object was seen.
pub async fn prepare(
    context: &Context,
    object: &ClusterRedistribution,
    plan: &Plan,
    seen: Seen,
) -> Result<Ready, NotReady> {
    let name = object_name(object);
    let source = source(context, object, plan);
    let last = precheck::last(context, object, &source);
    if let Some(held) = last.as_ref().and_then(precheck::resting) {
        return Err(NotReady::Hold(held));
    }
    health(context, &name, &plan.endpoint, plan.probe_first).await?;
    let key = rate_limited_key(context, object, plan, (&source, seen.as_of), MAX_WAIT).await.inspect_err(|why| {
        if matches!(why, NotReady::Hold(_)) {
            // Whoever was woken and is held comes no more: the next one does.
            context.admission.forget(&name);
        }
    })?;
    let candidate = Candidate {
        object: name,
        cluster: object.spec.cluster_id.to_ascii_lowercase(),
        key: context.credentials.identity(&key, &plan.endpoint),
        requested_at: requested_at(object, last.is_some(), seen.shown, Timestamp::now()),
        shows: shows(object),
    };
    let admitted = context.admission.enter(candidate).await.map_err(|refusal| match (&refusal, last) {
        (Refusal::Rejected { .. }, _) => {
            context.credentials.forget(&source);
            NotReady::Hold(messages::refused(refusal, &source))
        }
        // It is woken when its turn comes; said only where that takes long, and not by all of a burst at once.
        (Refusal::Queued { quiet, .. }, _) if !quiet.is_zero() => {
            NotReady::Shortly((*quiet).min(jittered(QUIET_AGAIN)))
        }
        // Its turn to look again has not come: what the last look found is still the best that can be said.
        (Refusal::Slot { .. } | Refusal::Queued { .. } | Refusal::AnotherCall { .. }, Some(last)) => {
            NotReady::Hold(Hold { reason: last.reason, message: last.message, ..messages::refused(refusal, &source) })
        }
        _ => NotReady::Hold(messages::refused(refusal, &source)),
    })?;
    let ready = Ready { key, source, admitted, note: None, baseline: None };
    let is_blind = context.precheck.mode == Mode::Off && context.observe.is_none();
    if is_blind { Ok(ready) } else { precheck::look(context, object, plan, ready).await }
}

/// What a suspended object's message tells: what would be sent, where, with which Secret, and what is not in order.
pub async fn preview(context: &Context, object: &ClusterRedistribution, plan: &Plan) -> Hold {
    let source = source(context, object, plan);
    let trouble = match context.credentials.read(&source, Instant::now(), Timestamp::now()).await {
        Ok(Credential::AccessKey(_)) => None,
        // Whether the user is let in is not tried: a wrong password counts.
        Ok(Credential::User(_)) => login::iam(context, plan, &source).err(),
        Err(error) => Some(error),
    };
    messages::suspended(&object.spec, &plan.endpoint.host, &source, trouble.as_ref())
}

/// When this generation was asked for, as far as that is known: of an object that was edited, now. Else one that is edited again
/// and again would come before all that are newer. Likewise where the cluster was looked at before: the next look is a new request,
/// or looks at old objects would come before the first look at new ones for ever.
fn requested_at(
    object: &ClusterRedistribution,
    was_looked_at: bool,
    seen: Option<Instant>,
    now: Timestamp,
) -> RequestedAt {
    let is_first = object.metadata.generation == Some(1) && !was_looked_at;
    let created = object.metadata.creation_timestamp.as_ref().filter(|_| is_first);
    RequestedAt { second: created.map_or(now, |created| created.0).as_second(), seen }
}

/// Whether status says anything of this generation but that it waits.
fn shows(object: &ClusterRedistribution) -> bool {
    let conditions = object.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let reason = reason_at(conditions, object.metadata.generation.unwrap_or_default());
    reason.is_some_and(|reason| reason != Reason::Throttled.as_str())
}

/// Namespace and name.
pub fn object_name(object: &ClusterRedistribution) -> ObjectName {
    (object.metadata.namespace.clone().unwrap_or_default(), object.metadata.name.clone().unwrap_or_default())
}

/// Where an object's key comes from.
pub fn source(context: &Context, object: &ClusterRedistribution, plan: &Plan) -> CredentialSource {
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    context.credentials.choose(plan.switches.credentials_secret.as_deref(), namespace)
}

/// What a look at this object is authenticated with, read or fetched just now. It waits for no login but its own: nothing
/// depends on it.
pub async fn key(
    context: &Context,
    object: &ClusterRedistribution,
    plan: &Plan,
    source: &CredentialSource,
) -> Result<Key, NotReady> {
    rate_limited_key(context, object, plan, (source, Instant::now()), Duration::ZERO).await
}

/// The same for somebody who waits that long for another one's login.
async fn rate_limited_key(
    context: &Context,
    object: &ClusterRedistribution,
    plan: &Plan,
    (source, since): (&CredentialSource, Instant),
    patience: Duration,
) -> Result<Key, NotReady> {
    let account = context.credentials.read(source, since, Timestamp::now()).await.map_err(wrong)?;
    let key = login::key(context, object, plan, source, (account, patience)).await?;
    let identity = context.credentials.identity(&key, &plan.endpoint);
    context.admission.recall(source, &plan.endpoint.host, (identity, matches!(key, Key::AccessKey(_))));
    Ok(key)
}

fn wrong(error: CredentialsError) -> NotReady {
    match error.reason() {
        Some(reason) => NotReady::Hold(Hold { reason, message: error.to_string(), again: jittered(CREDENTIALS_AGAIN) }),
        None => NotReady::Retry(error),
    }
}

/// After a connection failed, the endpoint is tried without sending anything before the next claim: an outage of the
/// cloud then costs neither writes nor attempts. Its addresses are known before any claim: DNS may take longer than a claim
/// may wait for its call.
async fn health(context: &Context, object: &ObjectName, endpoint: &Endpoint, suspect: bool) -> Result<(), NotReady> {
    let unreachable =
        |again| NotReady::Hold(messages::unreachable(&endpoint.host, context.cloud.unresolved(endpoint), again));
    let reach = context.admission.health(&endpoint.host, suspect);
    let trial = async {
        match reach {
            Health::Probe => context.cloud.probe(endpoint).await,
            _ => context.cloud.resolve(endpoint).await.map_err(ProbeError::from),
        }
    };
    match reach {
        Health::Probing(rest) => {
            context.admission.wait(object);
            return Err(NotReady::Shortly(jittered(rest.max(Duration::from_secs(1)))));
        }
        Health::Wait(rest) => {
            context.admission.wait(object);
            return Err(unreachable(jittered(rest.max(Duration::from_secs(1)) * 2)));
        }
        Health::Open | Health::Probe => {}
    }
    // Nothing is claimed yet, so nobody has to wait for it once nothing may be claimed any more.
    let tried = tokio::select! {
        tried = trial => tried,
        () = context.closing.cancelled() => return Err(NotReady::Shortly(Duration::from_secs(1))),
    };
    match tried {
        Ok(()) if reach == Health::Probe => {
            context.admission.reachable(&endpoint.host);
            Ok(())
        }
        Ok(()) => Ok(()),
        // All who waited for the same answer learn of it at once; one of them counts.
        Err(_) if reach == Health::Open && context.admission.is_unreachable(&endpoint.host) => {
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
