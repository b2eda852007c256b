//! The service's words for a cluster's task.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum TaskState {
    /// Waiting for a redistribution: the only state that accepts one.
    WaitingRedistribution,
    Redistributing,
    RedistributionPaused,
    RedistributeFailure,
    Growing,
    /// Nothing.
    Idle,
    /// Another task, by the service's own word for it.
    Other(String),
}

impl TaskState {
    /// The service's word; `IDLE` is ours, since the service shows none then.
    pub fn word(&self) -> &str {
        match self {
            Self::WaitingRedistribution => "WAITING_REDISTRIBUTION",
            Self::Redistributing => "REDISTRIBUTING",
            Self::RedistributionPaused => "REDISTRIBUTION_PAUSED",
            Self::RedistributeFailure => "REDISTRIBUTE_FAILURE",
            Self::Growing => "GROWING",
            Self::Idle => "IDLE",
            Self::Other(word) => word,
        }
    }

    /// A redistribution is under way, moving or paused.
    pub fn has_a_run(&self) -> bool {
        matches!(self, Self::Redistributing | Self::RedistributionPaused | Self::RedistributeFailure)
    }
}

impl From<&str> for TaskState {
    fn from(word: &str) -> Self {
        let known = [
            Self::WaitingRedistribution,
            Self::Redistributing,
            Self::RedistributionPaused,
            Self::RedistributeFailure,
            Self::Growing,
            Self::Idle,
        ];
        known.into_iter().find(|state| state.word() == word).unwrap_or_else(|| match word {
            "" => Self::Idle,
            other => Self::Other(other.to_owned()),
        })
    }
}

impl From<String> for TaskState {
    fn from(word: String) -> Self {
        word.as_str().into()
    }
}

impl From<TaskState> for String {
    fn from(state: TaskState) -> Self {
        state.word().to_owned()
    }
}
