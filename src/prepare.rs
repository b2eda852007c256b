//! Everything that must be right before a claim, from the endpoint to the key. Nothing here is durable and nothing is
//! sent: whatever fails is a hold.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use crate::{
    annotations::CREDENTIALS_SECRET,
    context::Context,
    decide::Plan,
    dws::{
        credentials::{CredentialsError, Key, Rung},
        endpoint::Endpoint,
    },
    gate::{Entrant, ObjectName, Pass, Reach, Refusal},
    jitter::jittered,
    resource::{ClusterRedistribution, Reason},
};

/// How often credentials that are wrong are looked at again.
const CREDENTIALS_AGAIN: Duration = Duration::from_secs(30);
/// Longest time until a waiting object is looked at again, should no release wake it.
const TURN_AGAIN: Duration = Duration::from_secs(15);
/// A 429 may ask for hours; the object is looked at at least this often.
const THROTTLED_AT_MOST: Duration = Duration::from_secs(15 * 60);

/// Why nothing is claimed now.
#[derive(Debug)]
pub struct Held {
    /// Reason of the conditions.
    pub reason: Reason,
    /// What happened and what to do. Holds no time that runs: each change would be a write.
    pub message: String,
    /// When to look again at the latest.
    pub again: Duration,
}

/// Preparation ended without a pass.
#[derive(Debug)]
pub enum NotReady {
    /// Say so in status.
    Held(Held),
    /// Say nothing yet: the API server did not answer, which is no fact about the object.
    TryAgain(CredentialsError),
}

/// All that a call needs.
pub struct Ready {
    /// The key, read just now.
    pub key: Key,
    /// Where the key came from, as status shows it.
    pub rung: Rung,
    /// The right to be in flight.
    pub pass: Pass,
}

/// Prepares a call: reach, credentials, gate, in this order, since the last is the only one that takes something.
pub async fn prepare(context: &Context, object: &ClusterRedistribution, plan: &Plan) -> Result<Ready, NotReady> {
    let name = object_name(object);
    reach(context, &name, &plan.endpoint, plan.probe_first).await.map_err(NotReady::Held)?;
    let rung = rung(context, object, plan);
    let key = read_key(context, &rung).await?;
    let entrant = Entrant {
        object: name,
        cluster: object.spec.cluster_id.to_ascii_lowercase(),
        key: context.credentials.identity(&key, &plan.endpoint),
    };
    match context.gate.enter(entrant).await {
        Ok(pass) => Ok(Ready { key, rung, pass }),
        Err(refusal) => Err(NotReady::Held(refused(refusal, &rung))),
    }
}

/// What a suspended object's message tells: what would be sent, where, with which Secret, and what is not in order.
pub async fn rehearse(
    context: &Context,
    object: &ClusterRedistribution,
    plan: &Plan,
) -> Result<String, CredentialsError> {
    let rung = rung(context, object, plan);
    let trouble = match read_key(context, &rung).await {
        Ok(_) => String::new(),
        Err(NotReady::Held(held)) => format!(" Not in order yet: {}", held.message),
        Err(NotReady::TryAgain(error)) => return Err(error),
    };
    let spec = &object.spec;
    Ok(format!(
        "Suspended: nothing is called. Without the annotation, redis_mode {} with {} parallel_jobs would be asked of cluster {} (project {}) at {} with {}.{trouble}",
        spec.redis_mode,
        spec.parallel_jobs,
        spec.cluster_id,
        spec.project_id,
        plan.endpoint.host,
        in_words(&rung)
    ))
}

/// Namespace and name.
pub fn object_name(object: &ClusterRedistribution) -> ObjectName {
    (object.metadata.namespace.clone().unwrap_or_default(), object.metadata.name.clone().unwrap_or_default())
}

fn rung(context: &Context, object: &ClusterRedistribution, plan: &Plan) -> Rung {
    let namespace = object.metadata.namespace.as_deref().unwrap_or_default();
    context.credentials.choose(plan.switches.credentials_secret.as_deref(), namespace)
}

async fn read_key(context: &Context, rung: &Rung) -> Result<Key, NotReady> {
    context.credentials.read(rung, Timestamp::now()).await.map_err(|error| match error.reason() {
        Some(reason) => NotReady::Held(Held { reason, message: error.to_string(), again: jittered(CREDENTIALS_AGAIN) }),
        None => NotReady::TryAgain(error),
    })
}

/// After a connection failed, the endpoint is tried without sending anything before the next claim: an outage of the
/// cloud then costs neither writes nor attempts.
async fn reach(context: &Context, object: &ObjectName, endpoint: &Endpoint, suspect: bool) -> Result<(), Held> {
    let unreachable = |again| Held {
        reason: Reason::EndpointUnreachable,
        message: format!(
            "{} cannot be reached. Nothing was sent. It is tried again by itself; look at the network, the proxy and --ca-bundle",
            endpoint.host
        ),
        again,
    };
    match context.gate.reach(&endpoint.host, suspect) {
        Reach::Open => Ok(()),
        Reach::Wait(rest) => {
            context.gate.wait(object);
            Err(unreachable(jittered(rest.max(Duration::from_secs(1)) * 2)))
        }
        Reach::Probe => match context.cloud.probe(endpoint).await {
            Ok(()) => {
                context.gate.reachable(&endpoint.host);
                Ok(())
            }
            Err(error) => {
                tracing::info!(endpoint = %endpoint.host, %error, "the endpoint cannot be reached");
                Err(unreachable(context.gate.unreachable(&endpoint.host)))
            }
        },
    }
}

fn refused(refusal: Refusal, rung: &Rung) -> Held {
    let secret = in_words(rung);
    match refusal {
        Refusal::AnotherCall { by: (namespace, name) } => Held {
            reason: Reason::AnotherCallInFlight,
            message: format!(
                "{namespace}/{name} is calling for the same DWS cluster. This object follows when that call has ended"
            ),
            again: jittered(TURN_AGAIN * 2),
        },
        Refusal::Throttled { wait } => Held {
            reason: Reason::Throttled,
            message: format!(
                "The cloud asked {secret} to slow down (429). This object is called when that time is over"
            ),
            again: wait.min(THROTTLED_AT_MOST) + jittered(Duration::from_secs(1)),
        },
        Refusal::Turn { .. } => Held {
            reason: Reason::Throttled,
            message: format!(
                "Others are first: the pace of {secret} (--rate-limit), the calls in flight (--concurrency), or a key that has not had its first answer yet. This object follows by itself"
            ),
            again: jittered(TURN_AGAIN),
        },
        Refusal::Rejected { wait } => Held {
            reason: Reason::CredentialsRejected,
            message: format!(
                "The gateway refused {secret} for another object. It is not used again until its values change, since five refusals would lock the key; this object then follows by itself. Correct the access key and secret key"
            ),
            again: jittered(wait.unwrap_or(CREDENTIALS_AGAIN).min(CREDENTIALS_AGAIN).max(Duration::from_secs(1))),
        },
    }
}

fn in_words(rung: &Rung) -> String {
    match rung {
        Rung::Controller => "the controller's own credentials".to_owned(),
        Rung::Secret { namespace, name } => {
            format!("Secret {namespace}/{name} (annotation {CREDENTIALS_SECRET}, or the default name)")
        }
    }
}
