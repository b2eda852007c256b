//! Why a key cannot be used, and the reason of the hold that follows. Names Secrets and their keys, never a value.

use k8s_openapi::jiff::Timestamp;

use crate::{api::Reason, protocol::annotations::CREDENTIALS_SECRET};

/// Why a key cannot be used. Messages name the Secret and what to do, never a value.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The Secret or directory does not exist.
    #[error(
        "{0} does not exist. Create it with the keys accessKey and secretKey, or username, password and domainName, or name another with annotation {CREDENTIALS_SECRET}"
    )]
    NotFound(String),
    /// A key of it is missing or unreadable.
    #[error(
        "{of}: {key} {what}. Correct it; expected are accessKey and secretKey, for temporary keys also securityToken and expiresAt; or username, password and domainName of a user of IAM"
    )]
    Invalid {
        /// The Secret, in words.
        of: String,
        /// The key inside it.
        key: &'static str,
        /// What is wrong with it.
        what: &'static str,
    },
    /// Keys of two kinds at once.
    #[error(
        "{of} holds {keys}, which belong to two kinds of credentials. Keep either accessKey and secretKey (with securityToken and expiresAt if temporary), or username, password and domainName"
    )]
    Mixed {
        /// The Secret, in words.
        of: String,
        /// Names of the keys that are there.
        keys: String,
    },
    /// Nobody knows where the user logs in.
    #[error(
        "{of} holds a user of IAM, and the controller knows no IAM for region {region}: its endpoint is given by --endpoint, or its IAM is published nowhere. Have the administrator name it with --iam-endpoint {region}=https://..., or use a Secret with accessKey and secretKey"
    )]
    NoIam {
        /// The Secret, in words.
        of: String,
        /// The region.
        region: String,
    },
    /// The controller's own files may not be read.
    #[error(
        "{of} cannot be read: {why}. Give the controller's user the right to read the files of --default-credentials-dir"
    )]
    Unreadable {
        /// The credentials, in words.
        of: String,
        /// Why.
        why: String,
    },
    /// RBAC.
    #[error(
        "{0} may not be read by the controller. Grant its ServiceAccount get on this Secret, or name another with annotation {CREDENTIALS_SECRET}"
    )]
    Forbidden(String),
    /// Too little time left.
    #[error("{of} expires at {at}, which is too soon for a call that may take {needed} seconds. Renew it")]
    Expired {
        /// The Secret, in words.
        of: String,
        /// Its `expiresAt`.
        at: Timestamp,
        /// Seconds that would be needed.
        needed: u64,
    },
    /// The API server did not answer: no fact about the object.
    #[error("{of} cannot be read now: {why}")]
    Unavailable {
        /// The Secret, in words.
        of: String,
        /// Why.
        why: String,
    },
}

impl CredentialsError {
    /// The reason of the hold; `None` where trying again is all there is to do.
    pub const fn reason(&self) -> Option<Reason> {
        match self {
            Self::NotFound(_) => Some(Reason::CredentialsNotFound),
            Self::Invalid { .. } | Self::Mixed { .. } | Self::NoIam { .. } | Self::Unreadable { .. } => {
                Some(Reason::CredentialsInvalid)
            }
            Self::Forbidden(_) => Some(Reason::CredentialsForbidden),
            Self::Expired { .. } => Some(Reason::CredentialsExpired),
            Self::Unavailable { .. } => None,
        }
    }
}
