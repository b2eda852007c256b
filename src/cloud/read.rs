//! Reads the state of a cluster and of its redistribution by GETs. This module must not decide what follows from them.

use k8s_openapi::jiff::Timestamp;

use super::{
    Client,
    client::NoAnswer,
    cluster::{ClusterState, Details, Task, read_cluster, read_details},
    exchange::{Operation, READ_LIMIT, TOO_LARGE, classified, reply},
    outcome::{Answer, Body, KeyEffect},
};
use crate::{
    api::{ClusterRedistributionSpec as Spec, Reason},
    cloud::auth::Key,
    protocol::regions::Endpoint,
};

#[derive(Clone, Debug, PartialEq)]
pub enum ReadResult<T> {
    Found(T),
    /// An answer without the resource. Its reason and its effect on the key are as for a call; its message is not.
    Refused(Answer),
    Unreachable,
    /// An answer that could not be read, or none before the timeout. Holds a short description.
    Unreadable(&'static str),
}

impl<T> ReadResult<T> {
    /// What the answer proves about the key, if there was one.
    pub const fn key_effect(&self) -> Option<KeyEffect> {
        match self {
            Self::Found(_) => Some(KeyEffect::Good),
            Self::Refused(answer) => Some(answer.key_effect),
            // Nothing has left that the gateway could count.
            Self::Unreachable => Some(KeyEffect::Neutral),
            Self::Unreadable(_) => None,
        }
    }

    pub const fn found(&self) -> Option<&T> {
        match self {
            Self::Found(found) => Some(found),
            Self::Refused(_) | Self::Unreachable | Self::Unreadable(_) => None,
        }
    }

    const fn label_or(&self, found: &'static str) -> &'static str {
        match self {
            Self::Found(_) => found,
            Self::Refused(_) => "refused",
            Self::Unreachable => "unreachable",
            Self::Unreadable(_) => "unreadable",
        }
    }
}

impl ReadResult<ClusterState> {
    /// The metric label, one of a fixed set.
    pub const fn label(&self) -> &'static str {
        self.label_or(match self {
            Self::Found(ClusterState { task: Task::Waiting, .. }) => "waiting",
            _ => "not_waiting",
        })
    }
}

impl ReadResult<Option<Details>> {
    /// The redistribution that the cloud shows: `Some(None)` if it certainly shows none, `None` if that is not known.
    ///
    /// The cloud's answer while no redistribution is under way is not documented. A 404 of the service itself that is not
    /// about the cluster means that there is none; a 404 of the gateway proves nothing.
    #[allow(clippy::option_option, reason = "not known, none, one")]
    pub fn shown(&self) -> Option<Option<&Details>> {
        match self {
            Self::Found(found) => Some(found.as_ref()),
            Self::Refused(Answer { status_code: 404, reason: Reason::NotFound, error_code: Some(code), .. })
                if code.starts_with("DWS.") =>
            {
                Some(None)
            }
            Self::Refused(_) | Self::Unreachable | Self::Unreadable(_) => None,
        }
    }

    /// The metric label, one of a fixed set.
    pub fn label(&self) -> &'static str {
        match self.shown() {
            Some(None) => "none",
            _ => self.label_or("seen"),
        }
    }
}

impl Client {
    pub async fn cluster(&self, spec: &Spec, key: &Key, endpoint: &Endpoint) -> ReadResult<ClusterState> {
        self.read(Operation::ReadCluster, spec, key, endpoint, read_cluster).await
    }

    /// `None` if the cloud shows no redistribution.
    pub async fn details(&self, spec: &Spec, key: &Key, endpoint: &Endpoint) -> ReadResult<Option<Details>> {
        self.read(Operation::ReadRedistribution, spec, key, endpoint, read_details).await
    }

    async fn read<T>(
        &self,
        operation: Operation,
        spec: &Spec,
        key: &Key,
        endpoint: &Endpoint,
        parse: fn(&[u8]) -> Option<T>,
    ) -> ReadResult<T> {
        let now = Timestamp::now();
        let request = self.signed(operation, spec, key, endpoint, now);
        let reply = match self.ask(endpoint, request).await {
            Ok(response) => reply(response, READ_LIMIT).await,
            Err(NoAnswer::NotSent(_) | NoAnswer::TooLate) => return ReadResult::Unreachable,
            Err(NoAnswer::Silent) => return ReadResult::Unreadable("no answer came in time"),
            Err(NoAnswer::Unreadable(why)) => return ReadResult::Unreadable(why),
        };
        let otherwise = match operation {
            Operation::ReadCluster => "the answer holds no cluster",
            Operation::ReadRedistribution | Operation::Redistribute => "the answer holds no redistribution",
        };
        let answer = classified(&reply, key, true, now);
        let why = match (&reply.body, answer.reason) {
            // A 2xx without an error code of its own.
            (Body::Complete(bytes), Reason::Delivered) => match parse(bytes) {
                Some(found) => return ReadResult::Found(found),
                None => otherwise,
            },
            (Body::Complete(_), Reason::OutcomeUnknown) if (200..=299).contains(&reply.status) => otherwise,
            (_, Reason::OutcomeUnknown) if (300..=399).contains(&reply.status) => {
                "the answer is a redirect, which is not followed"
            }
            (Body::TooLarge(_), Reason::Delivered | Reason::OutcomeUnknown) => TOO_LARGE,
            (_, Reason::Delivered | Reason::OutcomeUnknown) => "the answer could not be read",
            _ => return ReadResult::Refused(answer),
        };
        ReadResult::Unreadable(why)
    }
}
