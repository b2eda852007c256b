//! The start of a test: the CRD and a namespace of its own. It must not create objects that are under test.

use std::time::Duration;

use k8s_openapi::{
    api::core::v1::Namespace, apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Client, ResourceExt,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};

use crate::{eventually::try_eventually, failure::Failure};

/// Name under which the testbed applies objects.
pub const FIELD_MANAGER: &str = "testbed";

/// How long it may take until a CRD that was applied is served.
const EFFECTIVE_WITHIN: Duration = Duration::from_secs(600);

/// Applies a CRD and waits until it is established and each of its versions is served and discovered.
pub async fn apply_crd(client: &Client, yaml: &str) -> Result<CustomResourceDefinition, Failure> {
    let crd: CustomResourceDefinition = serde_saphyr::from_str(yaml)?;
    let (api, name) = (Api::<CustomResourceDefinition>::all(client.clone()), crd.name_any());
    // Two tests that apply it at the same moment may meet in a conflict, which is no refusal.
    try_eventually(EFFECTIVE_WITHIN, "the CRD is applied", async || {
        match api.patch(&name, &PatchParams::apply(FIELD_MANAGER).force(), &Patch::Apply(&crd)).await {
            Err(kube::Error::Api(status)) if status.code == 409 => Err(status.message.clone()),
            result => Ok(result),
        }
    })
    .await??;
    let established = try_eventually(EFFECTIVE_WITHIN, "the CRD is established and served", async || {
        let seen = api.get(&name).await.map_err(|error| error.to_string())?;
        let conditions = seen.status.as_ref().and_then(|status| status.conditions.as_ref());
        match conditions.into_iter().flatten().find(|condition| condition.type_ == "Established") {
            Some(condition) if condition.status == "True" => {}
            other => return Err(format!("Established is {other:?}")),
        }
        is_served(client, &seen).await?;
        Ok(seen)
    });
    Ok(established.await?)
}

async fn is_served(client: &Client, crd: &CustomResourceDefinition) -> Result<(), String> {
    let (group, plural) = (&crd.spec.group, &crd.spec.names.plural);
    for version in crd.spec.versions.iter().filter(|version| version.served) {
        let path = format!("/apis/{group}/{}", version.name);
        let discovered = get(client, &path).await?;
        let resources =
            discovered["resources"].as_array().is_some_and(|list| list.iter().any(|r| r["name"] == **plural));
        if !resources {
            return Err(format!("{path} does not list {plural}"));
        }
        get(client, &format!("{path}/{plural}?limit=1")).await?;
    }
    Ok(())
}

async fn get(client: &Client, path: &str) -> Result<serde_json::Value, String> {
    let request = http::Request::get(path).body(Vec::new()).map_err(|error| error.to_string())?;
    client.request(request).await.map_err(|error| format!("{path}: {error}"))
}

/// A new namespace whose name begins with `prefix`.
pub async fn fresh_namespace(client: &Client, prefix: &str) -> Result<String, Failure> {
    let metadata = ObjectMeta { generate_name: Some(format!("{prefix}-")), ..ObjectMeta::default() };
    let namespace = Namespace { metadata, ..Namespace::default() };
    let made = Api::<Namespace>::all(client.clone()).create(&PostParams::default(), &namespace).await?;
    Ok(made.name_any())
}
