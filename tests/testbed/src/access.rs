//! The rights that the chart gives, read from `deploy/install.yaml`, given to a ServiceAccount of a test. The roles are
//! those of that file and of nothing else, so that a right which is missing there fails a test; with one exception:
//! Secrets may be read under any name, since tests name theirs freely, or not at all.

use std::{fmt::Debug, time::Duration};

use k8s_openapi::api::{
    authorization::v1::{ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec},
    core::v1::ServiceAccount,
    rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding},
};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, Patch, PatchParams, PostParams},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::{eventually::try_eventually, failure::Failure, objects::FIELD_MANAGER};

pub const MANIFEST: &str = include_str!("../../../deploy/install.yaml");
const ROLE: &str = "redistribution-operator";
/// The ClusterRole that reads Secrets, split from it.
const CREDENTIALS_ROLE: &str = "redistribution-operator-credentials";

/// How long it may take until a right that was given or removed takes effect.
const EFFECTIVE_WITHIN: Duration = Duration::from_secs(600);

/// The receiver of the rights, and their namespaces.
#[derive(Clone, Debug)]
pub struct Grant<'a> {
    /// Namespace of the ServiceAccount, and of the Lease.
    pub namespace: &'a str,
    /// Name of the ServiceAccount; it is created if needed.
    pub name: &'a str,
    /// Namespaces where the rights hold; none means all.
    pub watch: &'a [String],
    /// Whether Secrets may be read. If not, an earlier grant is removed.
    pub secrets: bool,
}

impl Grant<'_> {
    /// Gives the rights and waits until they take effect. May be repeated, with another value for `secrets`.
    pub async fn apply(&self, client: &Client) -> Result<(), Failure> {
        let account = json!({"metadata": {"name": self.name}});
        apply::<ServiceAccount>(&Api::namespaced(client.clone(), self.namespace), self.name, account).await?;

        for role in cluster_roles()? {
            let role_name = role.name_any();
            let value = serde_json::to_value(&role)?;
            apply(&Api::<ClusterRole>::all(client.clone()), &role_name, value).await?;
            let granted = self.secrets || role_name != CREDENTIALS_ROLE;
            let rules = role.rules.unwrap_or_default();
            if self.watch.is_empty() {
                let api = Api::<ClusterRoleBinding>::all(client.clone());
                self.bind(&api, "ClusterRole", &role_name, granted).await?;
                self.effective(client, &rules, "", granted).await?;
            }
            for namespace in self.watch {
                let api = Api::<RoleBinding>::namespaced(client.clone(), namespace);
                self.bind(&api, "ClusterRole", &role_name, granted).await?;
                self.effective(client, &rules, namespace, granted).await?;
            }
        }
        for role in roles::<Role>("Role")? {
            let role_name = role.name_any();
            let value = json!({"metadata": {"name": role_name}, "rules": role.rules});
            apply(&Api::<Role>::namespaced(client.clone(), self.namespace), &role_name, value).await?;
            let api = Api::<RoleBinding>::namespaced(client.clone(), self.namespace);
            self.bind(&api, "Role", &role_name, true).await?;
            self.effective(client, &role.rules.unwrap_or_default(), self.namespace, true).await?;
        }
        Ok(())
    }

    /// Removes the rights on all namespaces, except those on the Lease, and waits until they are lost.
    pub async fn revoke(&self, client: &Client) -> Result<(), Failure> {
        let api = Api::<ClusterRoleBinding>::all(client.clone());
        for role in cluster_roles()? {
            self.bind(&api, "ClusterRole", &role.name_any(), false).await?;
            self.effective(client, role.rules.as_deref().unwrap_or_default(), "", false).await?;
        }
        Ok(())
    }

    /// Waits until the operator's rights in the watched namespaces, except those on Secrets, are lost, after the caller
    /// deleted its bindings.
    pub async fn lost(&self, client: &Client) -> Result<(), Failure> {
        let [role, _] = cluster_roles()?;
        for namespace in self.watch {
            self.effective(client, role.rules.as_deref().unwrap_or_default(), namespace, false).await?;
        }
        Ok(())
    }

    async fn bind<K>(&self, api: &Api<K>, kind: &str, role: &str, granted: bool) -> Result<(), Failure>
    where
        K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
    {
        let name = format!("{}-{role}-{}-{}", kind.to_lowercase(), self.namespace, self.name);
        if !granted {
            return match api.delete(&name, &DeleteParams::default()).await {
                Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
                result => Ok(result.map(drop)?),
            };
        }
        let binding = json!({
            "metadata": {"name": name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": self.name, "namespace": self.namespace}],
        });
        apply(api, &name, binding).await
    }

    /// The authorizer sees a new binding a little later than the API does.
    async fn effective(
        &self,
        client: &Client,
        rules: &[PolicyRule],
        namespace: &str,
        granted: bool,
    ) -> Result<(), Failure> {
        let reviews = Api::<SubjectAccessReview>::all(client.clone());
        for (rule, verb) in rules.iter().flat_map(|rule| rule.verbs.iter().map(move |verb| (rule, verb))) {
            let review = self.review(rule, verb, namespace);
            let what = format!(
                "{}/{} may{} {verb} {:?}",
                self.namespace,
                self.name,
                if granted { "" } else { " not" },
                rule.resources
            );
            try_eventually(EFFECTIVE_WITHIN, &what, async || {
                match reviews.create(&PostParams::default(), &review).await {
                    Ok(answer) if answer.status.as_ref().is_some_and(|status| status.allowed == granted) => Ok(()),
                    Ok(answer) => Err(format!("{:?}", answer.status)),
                    Err(error) => Err(error.to_string()),
                }
            })
            .await?;
        }
        Ok(())
    }

    fn review(&self, rule: &PolicyRule, verb: &str, namespace: &str) -> SubjectAccessReview {
        let first = |list: &Option<Vec<String>>| list.as_ref().and_then(|list| list.first().cloned());
        let name = first(&rule.resource_names);
        let resource = first(&rule.resources).unwrap_or_default();
        let (resource, subresource) = match resource.split_once('/') {
            Some((resource, subresource)) => (resource.to_owned(), Some(subresource.to_owned())),
            None => (resource, None),
        };
        let accounts = "system:serviceaccounts";
        SubjectAccessReview {
            spec: SubjectAccessReviewSpec {
                user: Some(format!("system:serviceaccount:{}:{}", self.namespace, self.name)),
                groups: Some(vec![
                    accounts.into(),
                    format!("{accounts}:{}", self.namespace),
                    "system:authenticated".into(),
                ]),
                resource_attributes: Some(ResourceAttributes {
                    group: first(&rule.api_groups),
                    resource: Some(resource),
                    subresource,
                    verb: Some(verb.to_owned()),
                    name,
                    namespace: Some(namespace.to_owned()),
                    ..ResourceAttributes::default()
                }),
                ..SubjectAccessReviewSpec::default()
            },
            ..SubjectAccessReview::default()
        }
    }
}

/// The operator's own role, without its rule on Secrets.
fn cluster_roles() -> Result<[ClusterRole; 2], Failure> {
    let mut role = roles::<ClusterRole>("ClusterRole")?
        .into_iter()
        .find(|role| role.name_any() == ROLE)
        .ok_or("deploy/install.yaml has no operator's ClusterRole")?;
    let of_secrets = |rule: &PolicyRule| rule.resources.iter().flatten().any(|resource| resource == "secrets");
    let (mut secrets, others): (Vec<_>, Vec<_>) =
        role.rules.take().unwrap_or_default().into_iter().partition(of_secrets);
    for rule in &mut secrets {
        rule.resource_names = None;
    }
    let mut credentials = role.clone();
    credentials.metadata.name = Some(CREDENTIALS_ROLE.to_owned());
    (role.rules, credentials.rules) = (Some(others), Some(secrets));
    Ok([role, credentials])
}

/// The objects of this kind in the manifest.
fn roles<K: DeserializeOwned>(kind: &str) -> Result<Vec<K>, Failure> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(MANIFEST)?;
    let roles: Vec<K> = documents
        .into_iter()
        .filter(|document| document["kind"] == kind)
        .map(serde_json::from_value)
        .collect::<Result<_, _>>()?;
    if roles.is_empty() { Err(format!("deploy/install.yaml has no {kind}").into()) } else { Ok(roles) }
}

/// Server-side apply; a conflict between two tests that apply the same object at once is no refusal.
async fn apply<K>(api: &Api<K>, name: &str, mut object: Value) -> Result<(), Failure>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned,
{
    object["apiVersion"] = json!(K::api_version(&()));
    object["kind"] = json!(K::kind(&()));
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let applied = try_eventually(EFFECTIVE_WITHIN, "the object is applied", async || {
        match api.patch(name, &parameters, &Patch::Apply(&object)).await {
            Err(kube::Error::Api(status)) if status.code == 409 => Err(status.message.clone()),
            result => Ok(result),
        }
    });
    Ok(applied.await?.map(drop)?)
}
