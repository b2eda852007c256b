//! Objects under measurement: new and finished ones. It never waits for a candidate.

use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};
use http::Request;
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use redistribution_operator::{
    api::{Attempt, AttemptState, ClusterRedistribution, ClusterRedistributionSpec, Reason, RedisMode},
    protocol::{
        journal::spec_hash,
        transitions::{self, Record, Recording},
    },
};
use serde_json::{Value, json};

use crate::{
    Failure,
    stage::{PROJECT, Place},
};

/// Requests in flight while objects are created.
const IN_FLIGHT: usize = 16;
/// Label of the objects that a candidate should serve; finished ones are created without it.
pub const LABEL: &str = "bench";

/// Name of an object. The order of names is the order of creation.
pub fn name(number: usize) -> String {
    format!("request-{number:07}")
}

/// Cluster of that object, one for each.
pub fn cluster(number: usize) -> String {
    format!("00000000-0000-4000-8000-{number:012x}")
}

pub fn path(namespace: &str) -> String {
    format!("/apis/dws.huaweicloud.com/v1alpha1/namespaces/{namespace}/clusterredistributions")
}

/// Creates one and returns when the request was sent.
pub async fn create(client: &Client, place: &Place, number: usize) -> Result<Instant, Failure> {
    let body = object(&name(number), number, &json!({"labels": {LABEL: "request"}}));
    let begin = Instant::now();
    send(client, "POST", &path(&place.namespace), &body).await?;
    Ok(begin)
}

/// Creates many, several at once.
pub async fn create_all(client: &Client, place: &Place, numbers: std::ops::Range<usize>) -> Result<(), Failure> {
    let created = stream::iter(numbers).map(|number| create(client, place, number)).buffer_unordered(IN_FLIGHT);
    created.try_for_each(|_| async { Ok(()) }).await
}

/// Creates objects whose one call was answered long ago, with the status that the operator itself leaves. For kopf they
/// also carry the annotations that kopf leaves; without them kopf would treat them as new.
pub async fn create_finished(client: &Client, place: &Place, objects: usize, for_kopf: bool) -> Result<(), Failure> {
    let made = stream::iter(0..objects).map(async |number| {
        let name = format!("done-{number:07}");
        let mut body = object(&name, number, &json!({}));
        if for_kopf {
            let handled = json!({"spec": body["spec"]}).to_string() + "\n";
            body["metadata"]["annotations"] = json!({"kopf.zalando.org/last-handled-configuration": handled});
        }
        let path = path(&place.namespace);
        let created: ClusterRedistribution = serde_json::from_value(send(client, "POST", &path, &body).await?)?;
        let finished = finished(created)?;
        send(client, "PUT", &format!("{path}/{name}/status"), &serde_json::to_value(finished)?).await
    });
    made.buffer_unordered(IN_FLIGHT).try_for_each(|_| async { Ok(()) }).await
}

/// The object as the operator leaves it, by the operator's own transitions.
pub fn finished(mut object: ClusterRedistribution) -> Result<ClusterRedistribution, Failure> {
    let claimed = claimed(&object);
    let attempt = claimed.attempt.clone().unwrap_or_default();
    let generation = attempt.generation;
    let Recording::Write(next) =
        transitions::recorded(&claimed, generation, &attempt.id, &delivered(), Timestamp::now())
    else {
        return Err("the operator would not record this".into());
    };
    object.status = Some(*next);
    object.metadata.managed_fields = None;
    Ok(object)
}

/// The status after the claim.
pub fn claimed(object: &ClusterRedistribution) -> redistribution_operator::api::ClusterRedistributionStatus {
    let now = Timestamp::now();
    let attempt = Attempt {
        id: "5f1c9a0e8d7b4c6fa1b2c3d4e5f60718".to_owned(),
        uid: object.metadata.uid.clone().unwrap_or_default(),
        generation: object.metadata.generation.unwrap_or(1),
        state: AttemptState::Claimed.as_str().to_owned(),
        holder: Some("redistribution-operator-5d8c7b6f9-x2x7k".to_owned()),
        region: Some("lab".to_owned()),
        endpoint: Some("127.0.0.1:12345".to_owned()),
        credentials: Some("Namespace/dws-redistribution-credentials".to_owned()),
        spec_hash: Some(spec_hash(&object.spec)),
        grace_seconds: Some(75),
        claimed_time: Some(redistribution_operator::protocol::conditions::to_second(now)),
        ..Attempt::default()
    };
    let message = format!("Calling 127.0.0.1:12345 for cluster {}", object.spec.cluster_id);
    transitions::claimed(object.status.as_ref(), attempt, &message, now)
}

pub fn delivered() -> Record {
    Record {
        state: AttemptState::Answered,
        reason: Reason::Delivered,
        message: "The cloud accepted the redistribution (HTTP 200)".to_owned(),
        status_code: Some(200),
        error_code: None,
        request_id: Some("simulator-00000001".to_owned()),
        retry_after: None,
    }
}

/// The spec of the API page's example for another cluster.
pub fn spec(cluster: &str) -> ClusterRedistributionSpec {
    ClusterRedistributionSpec {
        project_id: PROJECT.to_owned(),
        cluster_id: cluster.to_owned(),
        redis_mode: RedisMode::Online,
        parallel_jobs: 3,
        region: None,
        trigger: None,
    }
}

fn object(name: &str, number: usize, metadata: &Value) -> Value {
    let mut metadata = metadata.clone();
    metadata["name"] = json!(name);
    json!({
        "apiVersion": "dws.huaweicloud.com/v1alpha1",
        "kind": "ClusterRedistribution",
        "metadata": metadata,
        "spec": spec(&cluster(number)),
    })
}

async fn send(client: &Client, method: &str, path: &str, body: &Value) -> Result<Value, Failure> {
    let request = Request::builder().method(method).uri(path).header("Content-Type", "application/json");
    Ok(client.request(request.body(serde_json::to_vec(body)?)?).await?)
}
