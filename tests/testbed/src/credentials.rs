//! Credentials with which a process reaches an API server as a ServiceAccount. It gives no rights.

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, Client, api::PostParams};
use serde_json::json;

/// A token of an existing ServiceAccount, for a day.
pub async fn token(client: &Client, namespace: &str, name: &str) -> Result<String, kube::Error> {
    let request = TokenRequest {
        spec: TokenRequestSpec { expiration_seconds: Some(86_400), ..TokenRequestSpec::default() },
        ..TokenRequest::default()
    };
    let api = Api::<ServiceAccount>::namespaced(client.clone(), namespace);
    let answer = api.create_token_request(name, &PostParams::default(), &request).await?;
    Ok(answer.status.map(|status| status.token).unwrap_or_default())
}

/// Credentials with which a process reaches an API server as a ServiceAccount.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    pub url: &'a str,
    pub ca_pem: &'a str,
    pub token: &'a str,
    pub namespace: &'a str,
}

impl Credentials<'_> {
    /// A kubeconfig that needs no other file.
    pub fn kubeconfig(&self) -> String {
        let ca = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, self.ca_pem);
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "testbed", "cluster": {"server": self.url, "certificate-authority-data": ca}}],
            "users": [{"name": "operator", "user": {"token": self.token}}],
            "contexts": [{"name": "testbed", "context": {"cluster": "testbed", "user": "operator", "namespace": self.namespace}}],
            "current-context": "testbed",
        });
        format!("{kubeconfig:#}\n")
    }
}
