//! Everything that must be right before a claim, from the endpoint to the key and, where that is asked for, the cluster.
//! Nothing here is durable and nothing is sent that changes anything: whatever fails is a hold.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;

use crate::{
    context::Context,
    decide::Plan,
    dws::{
        Wish,
        credentials::{CredentialsError, Key, Rung},
        endpoint::Endpoint,
    },
    gate::{Entrant, ObjectName, Pass, Reach},
    held::{self, CREDENTIALS_AGAIN, Held},
    jitter::jittered,
    precheck::{self, Mode, Verdict},
    resource::{ClusterRedistribution, Reason},
};

/// Preparation ended without a pass.
#[derive(Debug)]
pub enum NotReady {
    /// Say so in status.
    Held(Held),
    /// Say nothing: it is a matter of moments. Look again after this long at the latest.
    InAMoment(Duration),
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
    let (uid, generation) = identity(object);
    if let Some(rest) = context.memory().rest_until_look(uid, generation, Instant::now()) {
        return Err(NotReady::InAMoment(rest));
    }
    reach(context, &name, &plan.endpoint, plan.probe_first).await?;
    let rung = rung(context, object, plan);
    let key = read_key(context, &rung).await?;
    let entrant = Entrant {
        object: name,
        cluster: object.spec.cluster_id.to_ascii_lowercase(),
        key: context.credentials.identity(&key, &plan.endpoint),
    };
    let pass = context.gate.enter(entrant).await.map_err(|refusal| NotReady::Held(held::refused(refusal, &rung)))?;
    let ready = Ready { key, rung, pass };
    if context.precheck.mode == Mode::Off { Ok(ready) } else { look(context, object, plan, ready).await }
}

/// Looks at the cluster with the right to call in hand: a look with a wrong key counts at the gateway like a call with it,
/// so it must not be made by all objects at once either.
async fn look(context: &Context, object: &ClusterRedistribution, plan: &Plan, ready: Ready) -> Result<Ready, NotReady> {
    let looked = context.cloud.look(&Wish::from(&object.spec), &ready.key, &plan.endpoint, Timestamp::now()).await;
    context.metrics.look(&looked);
    ready.pass.spend();
    let effect = looked.key_effect();
    let again = jittered(context.precheck.every);
    match precheck::judge(context.precheck.mode, looked) {
        Verdict::Call => Ok(ready),
        Verdict::Note(note) => {
            let (namespace, name) = object_name(object);
            tracing::warn!(namespace, name, note, "called without a cluster that is seen to wait");
            context.events.tell(
                object,
                Reason::ClusterNotWaiting,
                "Call",
                &format!("{note}. It is called all the same"),
            );
            Ok(ready)
        }
        Verdict::Key => {
            ready.pass.leave(effect);
            Err(NotReady::InAMoment(Duration::from_secs(1)))
        }
        Verdict::Unreachable => {
            let rest = context.gate.unreachable(&plan.endpoint.host);
            Err(NotReady::Held(held::unreachable(&plan.endpoint.host, rest)))
        }
        Verdict::Hold(reason, message) => {
            let (uid, generation) = identity(object);
            context.memory().looked(uid, generation, Instant::now() + again);
            ready.pass.leave(effect);
            Err(NotReady::Held(Held { reason, message, again }))
        }
    }
}

fn identity(object: &ClusterRedistribution) -> (&str, i64) {
    (object.metadata.uid.as_deref().unwrap_or_default(), object.metadata.generation.unwrap_or_default())
}

/// What a suspended object's message tells: what would be sent, where, with which Secret, and what is not in order.
pub async fn rehearse(context: &Context, object: &ClusterRedistribution, plan: &Plan) -> Held {
    let rung = rung(context, object, plan);
    let trouble = context.credentials.read(&rung, Timestamp::now()).await.err();
    held::suspended(&object.spec, &plan.endpoint.host, &rung, trouble.as_ref())
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
async fn reach(context: &Context, object: &ObjectName, endpoint: &Endpoint, suspect: bool) -> Result<(), NotReady> {
    let unreachable = |again| NotReady::Held(held::unreachable(&endpoint.host, again));
    match context.gate.reach(&endpoint.host, suspect) {
        Reach::Open => Ok(()),
        Reach::Probing(rest) => {
            context.gate.wait(object);
            Err(NotReady::InAMoment(jittered(rest.max(Duration::from_secs(1)))))
        }
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
