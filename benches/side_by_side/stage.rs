//! The environment of a candidate: a freshly started API server, a simulated cloud, a namespace and the rights to it.
//! Each step has a stage of its own, so that all candidates meet an API server of the same age. It starts no candidate.

use std::{fmt::Debug, path::PathBuf, sync::Arc};

use k8s_openapi::api::{
    core::v1::Secret,
    rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
};
use kube::{Api, Client, Resource, api::PostParams};
use redistribution_operator::api::crd_yaml;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use testbed::{
    ControlPlane, Options as PlaneOptions, Tools,
    access::Grant,
    apply_crd, fresh_namespace,
    simulator::{Options, Simulator},
};

use crate::Failure;

/// Project of all objects: the API page's own.
pub const PROJECT: &str = "89cd04f168b84af6be287f71730fdb4b";
const ACCOUNT: &str = "candidate";

pub struct Stage {
    pub plane: ControlPlane,
    pub cloud: Arc<Simulator>,
    /// An administrator's client, for the runner.
    pub client: Client,
    /// Token with which the peers and the limit call the cloud; they neither sign nor read a Secret.
    pub token: String,
    pub place: Place,
}

/// A namespace, and the candidate's account in it.
pub struct Place {
    pub namespace: String,
    pub kubeconfig: PathBuf,
}

impl Stage {
    pub async fn new() -> Result<Self, Failure> {
        let start = || ControlPlane::start(&Tools::new(), PlaneOptions::default());
        let control_plane = tokio::task::spawn_blocking(start).await??;
        let client = control_plane.client().await?;
        apply_crd(&client, &crd_yaml()?).await?;
        let cloud = Simulator::start(&Options { accept_any_cluster: true, ..Options::default() })?;
        let token = login(&cloud).await?;
        let place = Place::new(&control_plane, &client, &cloud).await?;
        Ok(Self { plane: control_plane, cloud: Arc::new(cloud), client, token, place })
    }

    /// A further, empty place.
    pub async fn another_place(&self) -> Result<Place, Failure> {
        Place::new(&self.plane, &self.client, &self.cloud).await
    }
}

impl Place {
    async fn new(plane: &ControlPlane, client: &Client, cloud: &Simulator) -> Result<Self, Failure> {
        let namespace = fresh_namespace(client, "bench").await?;
        let secret = json!({
            "metadata": {"name": "dws-redistribution-credentials"},
            "stringData": {"accessKey": cloud.access_key(), "secretKey": cloud.secret_key()},
        });
        create(&Api::<Secret>::namespaced(client.clone(), &namespace), secret).await?;
        // The rights that only kopf needs come first, since the grant waits until its own rights have taken effect.
        further_rights(client, &namespace).await?;
        let watch = [namespace.clone()];
        Grant { namespace: &namespace, name: ACCOUNT, watch: &watch, secrets: true }.apply(client).await?;
        let kubeconfig = plane.service_account_kubeconfig(&namespace, ACCOUNT, None).await?;
        Ok(Self { namespace, kubeconfig })
    }
}

/// kopf and the textbook controller patch, kopf also the object itself; and kopf reads CRDs and namespaces, as its
/// documents say. Without that right it waits a minute before it begins.
async fn further_rights(client: &Client, namespace: &str) -> Result<(), Failure> {
    let resources = ["clusterredistributions", "clusterredistributions/status"];
    let metadata = json!({"name": format!("peers-{namespace}")});
    let role = json!({
        "metadata": metadata,
        "rules": [{"apiGroups": ["dws.huaweicloud.com"], "resources": resources, "verbs": ["patch", "update"]}],
    });
    let cluster_role = json!({
        "metadata": metadata,
        "rules": [
            {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": ["list", "watch"]},
            {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["list", "watch"]},
        ],
    });
    let binding = |kind: &str| {
        json!({
            "metadata": metadata,
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": metadata["name"]},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": namespace}],
        })
    };
    create(&Api::<Role>::namespaced(client.clone(), namespace), role).await?;
    create(&Api::<RoleBinding>::namespaced(client.clone(), namespace), binding("Role")).await?;
    create(&Api::<ClusterRole>::all(client.clone()), cluster_role).await?;
    create(&Api::<ClusterRoleBinding>::all(client.clone()), binding("ClusterRole")).await
}

async fn create<K>(api: &Api<K>, object: Value) -> Result<(), Failure>
where
    K: Resource + Clone + Debug + DeserializeOwned + Serialize,
{
    api.create(&PostParams::default(), &serde_json::from_value(object)?).await?;
    Ok(())
}

/// A token of the cloud's IAM, for a day.
async fn login(cloud: &Simulator) -> Result<String, Failure> {
    cloud.add_user("bench", "bench", "bench");
    let user = json!({"name": "bench", "password": "bench", "domain": {"name": "bench"}});
    let identity = json!({"methods": ["password"], "password": {"user": user}});
    let body = json!({"auth": {"identity": identity, "scope": {"project": {"id": PROJECT}}}});
    let client = cloud_client(cloud)?;
    let answer = client.post(format!("{}/v3/auth/tokens", cloud.url())).json(&body).send().await?;
    let token = answer.headers().get("X-Subject-Token").ok_or("the simulator gave no token")?;
    Ok(token.to_str()?.to_owned())
}

/// A plain client for the cloud, with a connection for each request, as the operator has.
pub fn cloud_client(cloud: &Simulator) -> Result<reqwest::Client, Failure> {
    let ca = reqwest::Certificate::from_pem(cloud.ca_pem().as_bytes())?;
    let builder = reqwest::Client::builder().no_proxy().tls_certs_only([ca]);
    Ok(builder.pool_max_idle_per_host(0).retry(reqwest::retry::never()).build()?)
}
