//! Reads the state of a cluster: one signed GET, which changes nothing. It must not decide what follows from it.

use http::Method;
use k8s_openapi::jiff::Timestamp;

use super::{
    Client, Wish,
    cause::innermost,
    cluster::{self, ClusterState, Task},
    credentials::Key,
    endpoint::Endpoint,
    exchange::{NO_ID, Unsigned, classified, reply, signed},
    outcome::{Answer, Body, KeyEffect},
};
use crate::resource::Reason;

/// What a look at a cluster showed.
#[derive(Clone, Debug, PartialEq)]
pub enum Looked {
    /// The cluster.
    Cluster(ClusterState),
    /// An answer that shows no cluster. Its reason and what it says of the key are as for a call; its message is not.
    Refused(Answer),
    /// No connection, or no TLS.
    Unreachable,
    /// Something that could not be read, or nothing in time. In a few words.
    Unreadable(&'static str),
}

impl Looked {
    /// All that [`Self::label`] may be.
    pub const LABELS: [&str; 5] = ["waiting", "not_waiting", "refused", "unreachable", "unreadable"];

    /// What it says of the key, if anything.
    pub const fn key_effect(&self) -> Option<KeyEffect> {
        match self {
            Self::Cluster(_) => Some(KeyEffect::Good),
            Self::Refused(answer) => Some(answer.key_effect),
            Self::Unreachable | Self::Unreadable(_) => None,
        }
    }

    /// Bounded word for metrics.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Cluster(ClusterState { task: Task::Waiting, .. }) => "waiting",
            Self::Cluster(_) => "not_waiting",
            Self::Refused(_) => "refused",
            Self::Unreachable => "unreachable",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

impl Client {
    /// Looks at the cluster that a wish is for.
    pub async fn look(&self, wish: &Wish, key: &Key, endpoint: &Endpoint, now: Timestamp) -> Looked {
        let request = wish.cluster_path().ok_or_else(|| NO_ID.to_owned()).and_then(|path| {
            let unsigned =
                Unsigned { method: Method::GET, path: &path, project: &wish.project_id, body: String::new() };
            signed(&self.http, unsigned, key, endpoint, now)
        });
        let request = match request {
            Ok(request) => request,
            Err(why) => {
                tracing::debug!(why, "the look at the cluster could not be made");
                return Looked::Unreadable("the request could not be made");
            }
        };
        let response = match self.http.execute(request).await {
            Ok(response) => response,
            Err(error) => {
                tracing::debug!(error = innermost(&error), "no readable answer to the look at the cluster");
                return if error.is_connect() {
                    Looked::Unreachable
                } else if error.is_timeout() {
                    Looked::Unreadable("no answer came in time")
                } else {
                    Looked::Unreadable("the connection broke before an answer")
                };
            }
        };
        let reply = reply(response).await;
        let answer = classified(&reply, key, now);
        match (&reply.body, answer.reason) {
            // A 2xx without an error code.
            (Body::Complete(bytes), Reason::Delivered) => {
                cluster::read(bytes).map_or(Looked::Unreadable("the answer holds no cluster"), Looked::Cluster)
            }
            (_, Reason::Delivered | Reason::OutcomeUnknown) => Looked::Unreadable("the answer could not be read"),
            _ => Looked::Refused(answer),
        }
    }
}
