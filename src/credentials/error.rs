//! Why credentials cannot be used, and the reason that status then shows. Names Secrets and their keys, never a value.

use k8s_openapi::jiff::Timestamp;

use crate::{api::Reason, protocol::annotations::CREDENTIALS_SECRET};

/// Why credentials cannot be used. Messages name the Secret and the remedy, never a value.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CredentialsError {
    /// The Secret or directory does not exist.
    #[error(
        "{0} does not exist. Create it with the keys accessKey and secretKey, or username, password and domainName, or name another with annotation {CREDENTIALS_SECRET}"
    )]
    NotFound(String),
    /// A key of the Secret is missing or unusable.
    #[error(
        "{credentials}: {key} {what}. Correct it; expected are accessKey and secretKey, for temporary keys also securityToken and expiresAt; or username, password and domainName of a user of IAM"
    )]
    Invalid {
        /// The Secret, as the subject of the message.
        credentials: String,
        /// The key inside it.
        key: &'static str,
        /// The problem, as a predicate of the key.
        what: &'static str,
    },
    /// It holds keys of two kinds of credentials.
    #[error(
        "{credentials} holds {keys}, which belong to two kinds of credentials. Keep either accessKey and secretKey (with securityToken and expiresAt if temporary), or username, password and domainName"
    )]
    Mixed {
        /// The Secret, as the subject of the message.
        credentials: String,
        /// Names of the keys that are present.
        keys: String,
    },
    /// The IAM endpoint for the user's login is not known.
    #[error(
        "{credentials} holds a user of IAM, and the controller knows no IAM for region {region}: its endpoint is given by --endpoint, or its IAM is not published. Have the administrator name it with --iam-endpoint {region}=https://..., or use a Secret with accessKey and secretKey"
    )]
    NoIam {
        /// The Secret, as the subject of the message.
        credentials: String,
        /// The region.
        region: String,
    },
    /// The files of the default credentials cannot be read.
    #[error(
        "{credentials} cannot be read: {why}. Give the controller's user the right to read the files of --default-credentials-dir"
    )]
    Unreadable {
        /// The credentials, as the subject of the message.
        credentials: String,
        /// The error.
        why: String,
    },
    /// RBAC forbids the read.
    #[error(
        "{0} may not be read by the controller. Grant its ServiceAccount get on this Secret, or name another with annotation {CREDENTIALS_SECRET}"
    )]
    Forbidden(String),
    /// The key expires before a call may be over.
    #[error(
        "{credentials} expires at {expires_at}, which is too soon for a call that may take {needed} seconds. Renew it"
    )]
    Expired {
        /// The Secret, as the subject of the message.
        credentials: String,
        /// Its `expiresAt`.
        expires_at: Timestamp,
        /// Seconds that a call needs.
        needed: u64,
    },
    /// The API server did not answer: transient, proves nothing about the object.
    #[error("{credentials} cannot be read now: {why}")]
    Unavailable {
        /// The Secret, as the subject of the message.
        credentials: String,
        /// The error.
        why: String,
    },
}

impl CredentialsError {
    /// The reason that status shows. `None`: a transient error, which is reported as `CredentialsInvalid` once three tries
    /// have failed, with the remark that the operator retries.
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
