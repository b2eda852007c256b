//! The meaning of an address. It must not know whether the cluster exists.

use serde::Serialize;

/// The two kinds of read of a cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Read {
    /// Its detail, with the state of its task.
    Cluster,
    Redistribution,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Call,
    Read(Read),
    Login,
    /// Nothing that exists.
    #[default]
    Other,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenerRole {
    Both,
    /// Only the cloud.
    Cloud,
    /// Only IAM.
    Iam,
}

#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Address {
    pub kind: Kind,
    pub project: String,
    /// Cluster of the path, in lower case.
    pub cluster: String,
}

pub fn parse(role: ListenerRole, method: &str, target: &str) -> Address {
    let path = target.split('?').next().unwrap_or_default();
    let parts: Vec<_> = path.split('/').collect();
    let is_iam = role != ListenerRole::Cloud;
    let is_cloud = role != ListenerRole::Iam;
    let (kind, project, cluster) = match (method, parts.as_slice()) {
        ("POST", ["", "v3", "auth", "tokens"]) if is_iam => return Address { kind: Kind::Login, ..Address::default() },
        ("POST", ["", "v2", project, "clusters", cluster, "redistribution"]) if is_cloud => {
            (Kind::Call, project, cluster)
        }
        ("GET", ["", "v2", project, "clusters", cluster, "redistribution"]) if is_cloud => {
            (Kind::Read(Read::Redistribution), project, cluster)
        }
        ("GET", ["", "v1.0", project, "clusters", cluster]) if is_cloud => {
            (Kind::Read(Read::Cluster), project, cluster)
        }
        // The right path by the wrong method is recorded as a call for its cluster, so that no request goes unseen.
        (_, ["", "v2", project, "clusters", cluster, "redistribution"]) if is_cloud => (Kind::Other, project, cluster),
        _ => return Address::default(),
    };
    // A path without a cluster belongs to another kind.
    let kind = if cluster.is_empty() { Kind::Other } else { kind };
    Address { kind, project: (*project).to_owned(), cluster: cluster.to_lowercase() }
}

pub fn parameter<'a>(target: &'a str, name: &str) -> Option<&'a str> {
    let query = target.split_once('?')?.1;
    query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))
}
