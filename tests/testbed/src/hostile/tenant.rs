//! A tenant: a namespace with a key, in which objects can be created. It measures nothing.

use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, Patch, PatchParams, PostParams},
};
use serde_json::{Value, json};

use super::stage::Stage;
use crate::{
    Failure,
    eventually::try_eventually,
    fault_proxy::judge::ready_reason,
    fresh_namespace,
    sweep::scenario::{PROJECT, random_uuid},
};

/// Name of the Secret that an object uses by default.
const SECRET: &str = "dws-redistribution-credentials";
/// Longest wait for a step before the attack. Generous: a wait ends as soon as its condition holds.
pub const STEP: Duration = Duration::from_secs(120);
/// Requests of one tenant at the API server at once.
const AT_ONCE: usize = 16;

pub struct Tenant {
    pub namespace: String,
    pub objects: Api<DynamicObject>,
    pub access_key: String,
    pub secret_key: String,
}

impl Tenant {
    pub async fn new(stage: &Stage, access_key: &str, secret_key: &str) -> Result<Self, Failure> {
        let namespace = fresh_namespace(&stage.bench.client, "tenant").await?;
        store_key(&stage.bench.client, &namespace, access_key, secret_key).await?;
        let objects = stage.bench.objects(&namespace);
        Ok(Self { namespace, objects, access_key: access_key.to_owned(), secret_key: secret_key.to_owned() })
    }

    /// With a key of its own that the cloud knows.
    pub async fn with_own_key(stage: &Stage) -> Result<Self, Failure> {
        let (access_key, secret_key) =
            (format!("KEY{:016X}", rand::random::<u64>()), format!("{:032x}", rand::random::<u128>()));
        stage.bench.cloud.add_key(&access_key, &secret_key, None);
        Self::new(stage, &access_key, &secret_key).await
    }

    /// Creates an object and returns its name.
    pub async fn create(&self, object: Value) -> Result<String, Failure> {
        let created = self.objects.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
        Ok(created.name_any())
    }

    pub async fn create_many(&self, count: usize, object: impl Fn() -> Value) -> Result<(), Failure> {
        let created = stream::iter(0..count).map(|_| self.create(object())).buffer_unordered(AT_ONCE);
        created.try_for_each(|_| async { Ok(()) }).await
    }

    /// Lets the key work once: a key that has not worked yet has few requests in flight.
    pub async fn prove_key(&self, stage: &Stage) -> Result<(), Failure> {
        let cluster = stage.cluster(None);
        let name = self.create(object(&cluster)).await?;
        self.until_it_says(&name, |reason| reason == "Delivered").await
    }

    /// Waits until the reason of `Ready` is as expected.
    pub async fn until_it_says(&self, name: &str, expected: impl Fn(&str) -> bool) -> Result<(), Failure> {
        let what = format!("{}/{name} says what is expected", self.namespace);
        let said = try_eventually(STEP, &what, async || {
            let status = self.objects.get(name).await.map_err(|error| error.to_string())?.data["status"].take();
            if ready_reason(&status).is_some_and(&expected) { Ok(()) } else { Err(status.to_string()) }
        });
        Ok(said.await?)
    }
}

async fn store_key(client: &Client, namespace: &str, access_key: &str, secret_key: &str) -> Result<(), Failure> {
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": SECRET},
        "stringData": {"accessKey": access_key, "secretKey": secret_key},
    });
    let api = Api::<Secret>::namespaced(client.clone(), namespace);
    api.patch(SECRET, &PatchParams::apply("hostile"), &Patch::Apply(secret)).await?;
    Ok(())
}

/// A request for this cluster, to be changed by the caller.
pub fn object(cluster: &str) -> Value {
    json!({
        "apiVersion": "dws.huaweicloud.com/v1alpha1",
        "kind": "ClusterRedistribution",
        "metadata": {"generateName": "request-"},
        "spec": {"projectID": PROJECT, "clusterID": cluster, "redisMode": "online", "parallelJobs": 4},
    })
}

/// A request that is suspended and so never sent.
pub fn suspended() -> Value {
    let mut object = object(&random_uuid());
    object["metadata"]["annotations"] = json!({"dws.huaweicloud.com/suspend": "true"});
    object
}
