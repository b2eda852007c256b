//! A controller for `ClusterRedistribution` as the introductions to kube-rs write one: `Controller::new`, a reconcile
//! that records an intent, makes the call and records the result, and an error policy that requeues. Both writes are
//! merge patches without a precondition, and the object it decides on may be stale: it is the "before" picture of the
//! framework that the operator is written in.
//!
//! It is a peer in `benches/side_by_side`, not a product.

use std::{error::Error, sync::Arc, time::Duration};

use futures::StreamExt;
use k8s_openapi::jiff::Timestamp;
use kube::{
    Api, Client, CustomResource, ResourceExt,
    api::{Patch, PatchParams},
    runtime::{Controller, controller::Action, watcher},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The request.
#[derive(CustomResource, Clone, Debug, Deserialize, Serialize)]
#[kube(
    group = "dws.huaweicloud.com",
    version = "v1alpha1",
    kind = "ClusterRedistribution",
    plural = "clusterredistributions",
    namespaced,
    schema = "disabled",
    status = "Status"
)]
#[serde(rename_all = "camelCase")]
struct Spec {
    #[serde(rename = "projectID")]
    project: String,
    #[serde(rename = "clusterID")]
    cluster: String,
    redis_mode: String,
    parallel_jobs: i32,
}

/// The outcome, as far as this controller records it.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    observed_generation: Option<i64>,
    status_code: Option<i32>,
}

struct Context {
    client: Client,
    http: reqwest::Client,
    url: String,
    token: String,
}

#[derive(Debug, thiserror::Error)]
enum Failure {
    #[error(transparent)]
    Kube(#[from] kube::Error),
    #[error(transparent)]
    Cloud(#[from] reqwest::Error),
    #[error("throttled by the cloud")]
    Throttled,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    tracing_subscriber::fmt().json().with_max_level(tracing::Level::INFO).init();
    rustls::crypto::aws_lc_rs::default_provider()
        .install_default()
        .map_err(|_| "a crypto provider is there already")?;
    let variable = |name| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let ca = reqwest::Certificate::from_pem(&std::fs::read(variable("DWS_CA")?)?)?;
    let http =
        reqwest::Client::builder().no_proxy().add_root_certificate(ca).timeout(Duration::from_secs(60)).build()?;
    let client = Client::try_default().await?;
    let api = Api::<ClusterRedistribution>::namespaced(client.clone(), &variable("WATCH_NAMESPACE")?);
    let context = Context { client, http, url: variable("DWS_URL")?, token: variable("DWS_TOKEN")? };
    Controller::new(api, watcher::Config::default())
        .shutdown_on_signal()
        .run(reconcile, error_policy, Arc::new(context))
        .for_each(async |result| match result {
            Ok((object, _)) => tracing::info!(name = object.name, "reconciled"),
            Err(error) => tracing::warn!(%error, "reconcile failed"),
        })
        .await;
    Ok(())
}

async fn reconcile(object: Arc<ClusterRedistribution>, context: Arc<Context>) -> Result<Action, Failure> {
    let status = object.status.clone().unwrap_or_default();
    if status.observed_generation == object.metadata.generation && status.status_code.is_some() {
        return Ok(Action::await_change());
    }
    let namespace = object.namespace().unwrap_or_default();
    let api = Api::<ClusterRedistribution>::namespaced(context.client.clone(), &namespace);
    let claimed = Timestamp::now();
    write(
        &api,
        &object,
        json!({"attempt": attempt(&object, "Claimed", claimed, None), "conditions": conditions(&object, false)}),
    )
    .await?;

    let Spec { project, cluster, redis_mode, parallel_jobs } = &object.spec;
    let answer = context
        .http
        .post(format!("{}/v2/{project}/clusters/{cluster}/redistribution", context.url))
        .header("X-Auth-Token", &context.token)
        .json(&json!({"redis_mode": redis_mode, "parallel_jobs": parallel_jobs}))
        .send()
        .await?;
    let code = answer.status().as_u16();
    if code == 429 {
        return Err(Failure::Throttled);
    }
    // A repeated call is refused as if the cluster were busy; it was delivered anyway.
    let result = json!({
        "observedGeneration": object.metadata.generation,
        "statusCode": code,
        "attempt": attempt(&object, "Answered", claimed, Some(code)),
        "conditions": conditions(&object, true),
    });
    write(&api, &object, result).await?;
    Ok(Action::await_change())
}

async fn write(api: &Api<ClusterRedistribution>, object: &ClusterRedistribution, status: Value) -> Result<(), Failure> {
    let patch = Patch::Merge(json!({"status": status}));
    api.patch_status(&object.name_any(), &PatchParams::default(), &patch).await?;
    Ok(())
}

fn attempt(object: &ClusterRedistribution, state: &str, claimed: Timestamp, code: Option<u16>) -> Value {
    let id = format!("{}-{}", object.uid().unwrap_or_default(), claimed.as_nanosecond());
    json!({
        "id": id, "uid": object.uid(), "generation": object.metadata.generation, "state": state, "region": "lab",
        "credentials": "Namespace/dws-redistribution-credentials",
        "claimedTime": second(claimed), "finishedTime": code.map(|_| second(Timestamp::now())), "statusCode": code,
    })
}

fn conditions(object: &ClusterRedistribution, ready: bool) -> Value {
    let (status, reason) = if ready { ("True", "Delivered") } else { ("False", "RequestInFlight") };
    let of = |kind| {
        json!({
            "type": kind, "status": status, "reason": reason, "observedGeneration": object.metadata.generation,
            "message": format!("Calling for cluster {}", object.spec.cluster), "lastTransitionTime": second(Timestamp::now()),
        })
    };
    json!([of("Delivered"), of("Ready")])
}

fn second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

fn error_policy(_: Arc<ClusterRedistribution>, error: &Failure, _: Arc<Context>) -> Action {
    tracing::warn!(%error, "trying again");
    Action::requeue(Duration::from_secs(5))
}
