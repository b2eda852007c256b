//! A client that signs, and returns the answer. Status 0 means no answer.

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, ServerName, pem::PemObject},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use super::super::{
    Options, Simulator,
    signature::{Arrived, canonical, expected},
};

pub const PROJECT: &str = "89cd04f168b84af6be287f71730fdb4b";
pub const CALL: &str = r#"{"redis_mode":"online","parallel_jobs":3}"#;

pub struct Client {
    pub cloud: Simulator,
}

#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub head: String,
    pub body: String,
}

impl Reply {
    pub fn header(&self, name: &str) -> Option<&str> {
        let lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.into_iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// A cluster that does not exist.
pub fn other_cluster() -> String {
    "00000000-0000-0000-0000-000000000000".to_owned()
}

impl Client {
    /// Of a cloud with the cluster of the tests.
    pub fn new() -> Self {
        Self::of(&Options::default())
    }

    pub fn of(options: &Options) -> Self {
        let cloud = Simulator::start(options).unwrap();
        cloud.add_cluster(PROJECT, super::C);
        Self { cloud }
    }

    pub async fn signed(&self, method: &str, target: &str, body: &str) -> Reply {
        let date = self.cloud.time().strftime("%Y%m%dT%H%M%SZ").to_string();
        let headers = [("host", "h"), ("x-sdk-date", date.as_str())].map(|(name, value)| (name.into(), value.into()));
        let names = ["host", "x-sdk-date"].map(str::to_owned);
        let canonical = canonical(&Arrived { method, target, headers: &headers, body: body.as_bytes() }, &names);
        let (access, signature) = (self.cloud.access_key(), expected(self.cloud.secret_key(), &date, &canonical));
        let authorization =
            format!("SDK-HMAC-SHA256 Access={access}, SignedHeaders=host;x-sdk-date, Signature={signature}");
        self.send(method, target, &[("x-sdk-date", &date), ("authorization", &authorization)], body).await
    }

    pub async fn call(&self, cluster: &str) -> Reply {
        self.signed("POST", &call_target(cluster), CALL).await
    }

    pub async fn detail(&self, cluster: &str) -> Reply {
        self.signed("GET", &detail_target(cluster), "").await
    }

    pub async fn details(&self, cluster: &str) -> Reply {
        self.signed("GET", &format!("{}?limit=3&offset=0", call_target(cluster)), "").await
    }

    pub async fn task(&self, cluster: &str) -> serde_json::Value {
        self.detail(cluster).await.json()["cluster"]["task_status"].take()
    }

    pub async fn login(&self, user: &str, password: &str) -> Reply {
        let user = serde_json::json!({"name": user, "password": password, "domain": {"name": "domain"}});
        let identity = serde_json::json!({"methods": ["password"], "password": {"user": user}});
        let body = serde_json::json!({"auth": {"identity": identity, "scope": {"project": {"id": PROJECT}}}});
        self.send("POST", "/v3/auth/tokens?nocatalog=true", &[], &body.to_string()).await
    }

    /// To the cloud, unchanged.
    pub async fn send(&self, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        self.send_to(&self.cloud.url(), method, target, headers, body).await
    }

    pub async fn send_to(&self, url: &str, method: &str, target: &str, headers: &[(&str, &str)], body: &str) -> Reply {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(self.cloud.ca_pem().as_bytes()).unwrap()).unwrap();
        let config = ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let stream = TcpStream::connect(url.trim_start_matches("https://")).await.unwrap();
        let name = ServerName::try_from("127.0.0.1").unwrap();
        let mut stream = TlsConnector::from(std::sync::Arc::new(config)).connect(name, stream).await.unwrap();
        let headers: String = headers.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
        let length = body.len();
        let request =
            format!("{method} {target} HTTP/1.1\r\nhost: h\r\n{headers}content-length: {length}\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = Vec::new();
        // However it ends: the bytes that came are the answer.
        while let Ok(1..) = stream.read_buf(&mut bytes).await {}
        let text = String::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or(0);
        Reply { status, head: head.to_owned(), body: body.to_owned() }
    }
}

pub fn call_target(cluster: &str) -> String {
    format!("/v2/{PROJECT}/clusters/{cluster}/redistribution")
}

pub fn detail_target(cluster: &str) -> String {
    format!("/v1.0/{PROJECT}/clusters/{cluster}")
}
