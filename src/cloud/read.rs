//! Reads the state of a cluster and of its redistribution: signed GETs, which change nothing. It must not decide what
//! follows from them.

use std::time::Duration;

use http::Method;
use k8s_openapi::jiff::Timestamp;

use super::{
    Client, Wish,
    cause::innermost,
    cluster::{self, ClusterState, Task},
    details::{self, Details},
    exchange::{NO_ID, READ_LIMIT, TOO_LARGE, Unsigned, classified_read, reply, signed},
    outcome::{Answer, Body, KeyEffect},
};
use crate::{api::Reason, cloud::auth::Key, protocol::regions::Endpoint};

/// Longest wait for what is only read. Shorter than for a call: nothing is lost with it, and others wait for the worker.
pub(super) const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// What a look showed.
#[derive(Clone, Debug, PartialEq)]
pub enum Looked<T> {
    /// What was asked for.
    Seen(T),
    /// An answer that does not show it. Its reason and what it says of the key are as for a call; its message is not.
    Refused(Answer),
    /// No connection, or no TLS.
    Unreachable,
    /// Something that could not be read, or nothing in time. In a few words.
    Unreadable(&'static str),
}

impl<T> Looked<T> {
    /// What it says of the key, if anything.
    pub const fn key_effect(&self) -> Option<KeyEffect> {
        match self {
            Self::Seen(_) => Some(KeyEffect::Good),
            Self::Refused(answer) => Some(answer.key_effect),
            Self::Unreachable | Self::Unreadable(_) => None,
        }
    }

    /// What was seen.
    pub const fn seen(&self) -> Option<&T> {
        match self {
            Self::Seen(seen) => Some(seen),
            Self::Refused(_) | Self::Unreachable | Self::Unreadable(_) => None,
        }
    }

    fn read_as<U>(self, read: impl FnOnce(T) -> Option<U>, otherwise: &'static str) -> Looked<U> {
        match self {
            Self::Seen(seen) => read(seen).map_or(Looked::Unreadable(otherwise), Looked::Seen),
            Self::Refused(answer) => Looked::Refused(answer),
            Self::Unreachable => Looked::Unreachable,
            Self::Unreadable(why) => Looked::Unreadable(why),
        }
    }

    const fn label_or(&self, seen: &'static str) -> &'static str {
        match self {
            Self::Seen(_) => seen,
            Self::Refused(_) => "refused",
            Self::Unreachable => "unreachable",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

impl Looked<ClusterState> {
    /// Bounded word for metrics.
    pub const fn label(&self) -> &'static str {
        self.label_or(match self {
            Self::Seen(ClusterState { task: Task::Waiting, .. }) => "waiting",
            _ => "not_waiting",
        })
    }
}

impl Looked<Option<Details>> {
    /// What is shown: one, or certainly none. `None`: that is not known.
    ///
    /// What is answered where no redistribution is under way is not documented. A 404 of the service itself that does not
    /// speak of the cluster says just that; one of the gateway says nothing.
    #[allow(clippy::option_option, reason = "not known, none, one")]
    pub fn shown(&self) -> Option<Option<&Details>> {
        match self {
            Self::Seen(seen) => Some(seen.as_ref()),
            Self::Refused(Answer { status_code: 404, reason: Reason::NotFound, error_code: Some(code), .. })
                if code.starts_with("DWS.") =>
            {
                Some(None)
            }
            Self::Refused(_) | Self::Unreachable | Self::Unreadable(_) => None,
        }
    }

    /// Bounded word for metrics.
    pub fn label(&self) -> &'static str {
        match self.shown() {
            Some(None) => "none",
            _ => self.label_or("seen"),
        }
    }
}

impl Client {
    /// Looks at the cluster that a wish is for.
    pub async fn look(&self, wish: &Wish, key: &Key, endpoint: &Endpoint, now: Timestamp) -> Looked<ClusterState> {
        let otherwise = "the answer holds no cluster";
        let looked = self.read(wish.cluster_path(), wish, key, endpoint, now, otherwise).await;
        looked.read_as(|body| cluster::read(&body), otherwise)
    }

    /// Looks at the redistribution of the cluster that a wish is for; `None` if there is none to show.
    pub async fn details(
        &self,
        wish: &Wish,
        key: &Key,
        endpoint: &Endpoint,
        now: Timestamp,
    ) -> Looked<Option<Details>> {
        let otherwise = "the answer holds no redistribution";
        let looked = self.read(wish.path(), wish, key, endpoint, now, otherwise).await;
        looked.read_as(|body| details::read(&body), otherwise)
    }

    async fn read(
        &self,
        path: Option<String>,
        wish: &Wish,
        key: &Key,
        endpoint: &Endpoint,
        now: Timestamp,
        otherwise: &'static str,
    ) -> Looked<Vec<u8>> {
        let request = path.ok_or_else(|| NO_ID.to_owned()).and_then(|path| {
            let unsigned =
                Unsigned { method: Method::GET, path: &path, project: &wish.project_id, body: String::new() };
            signed(&self.http, unsigned, key, endpoint, now)
        });
        let mut request = match request {
            Ok(request) => request,
            Err(why) => {
                tracing::debug!(why, "the look could not be made");
                return Looked::Unreadable("the request could not be made");
            }
        };
        *request.timeout_mut() = Some(READ_TIMEOUT.min(self.request_timeout));
        if let Err(error) = self.resolve(endpoint).await {
            tracing::debug!(%error, "no address for a look");
            return Looked::Unreachable;
        }
        let response = match self.http.execute(request).await {
            Ok(response) => response,
            Err(error) => {
                tracing::debug!(error = innermost(&error), "no readable answer to a look");
                return if error.is_connect() {
                    Looked::Unreachable
                } else if error.is_timeout() {
                    Looked::Unreadable("no answer came in time")
                } else {
                    Looked::Unreadable("the connection broke before an answer")
                };
            }
        };
        let reply = reply(response, READ_LIMIT).await;
        let answer = classified_read(&reply, key, now);
        match (reply.body, answer.reason) {
            // A 2xx without an error of its own.
            (Body::Complete(bytes), Reason::Delivered) => Looked::Seen(bytes),
            (Body::Complete(_), Reason::OutcomeUnknown) if (200..=299).contains(&reply.status) => {
                Looked::Unreadable(otherwise)
            }
            (_, Reason::OutcomeUnknown) if (300..=399).contains(&reply.status) => {
                Looked::Unreadable("the answer is a redirect, which is not followed")
            }
            (Body::TooLarge(_), Reason::Delivered | Reason::OutcomeUnknown) => Looked::Unreadable(TOO_LARGE),
            (_, Reason::Delivered | Reason::OutcomeUnknown) => Looked::Unreadable("the answer could not be read"),
            _ => Looked::Refused(answer),
        }
    }
}
