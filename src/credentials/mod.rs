//! The credentials resolution order: one source is chosen before any Secret is read, and whatever is wrong with it is said; nothing
//! falls through to another account. Secrets are read with `get` when needed, never listed or watched, and kept for a
//! second.

mod recent;
pub mod secret;
mod source;
pub mod tokens;

pub mod error;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::FutureExt;
use hmac::{Hmac, KeyInit, Mac};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use secrecy::ExposeSecret;
use sha2::Sha256;

pub use self::error::CredentialsError;
use crate::{
    cloud::{
        auth::{Key, User},
        identity::KeyIdentity,
    },
    credentials::{
        recent::{Reading, Remembered, VALID_FOR},
        secret::{Credential, parse},
        source::SourceReader,
    },
    protocol::regions::Endpoint,
};

/// The Secret of an object's namespace that is used when nothing else is named.
pub const DEFAULT_SECRET: &str = "dws-redistribution-credentials";
/// A temporary key must outlive the request by this much.
const MARGIN: Duration = Duration::from_secs(60);

/// Where a key comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CredentialSource {
    /// The controller's own.
    Controller,
    /// A Secret in the object's namespace.
    Secret {
        /// The object's namespace.
        namespace: String,
        /// The Secret.
        name: String,
    },
}

impl CredentialSource {
    /// As `status.attempt.credentials` shows it: `Controller`, or `Namespace/<secret>`.
    pub fn describe(&self) -> String {
        match self {
            Self::Controller => "Controller".to_owned(),
            Self::Secret { name, .. } => format!("Namespace/{name}"),
        }
    }

    /// The source behind such a text of an object in that namespace.
    pub fn described(text: &str, namespace: &str) -> Option<Self> {
        match text.strip_prefix("Namespace/") {
            Some(name) => Some(Self::Secret { namespace: namespace.to_owned(), name: name.to_owned() }),
            None => (text == "Controller").then_some(Self::Controller),
        }
    }

    /// In an error, at its beginning.
    pub fn in_words(&self) -> String {
        match self {
            Self::Controller => "The controller's own credentials".to_owned(),
            Self::Secret { namespace, name } => format!("Secret {namespace}/{name}"),
        }
    }
}

/// See the module.
pub struct Credentials {
    reader: SourceReader,
    own_for: Vec<String>,
    request_timeout: Duration,
    digest_key: [u8; 32],
    remembered: Arc<Mutex<Remembered>>,
}

impl Credentials {
    /// `own`: directory of the controller's own credentials; `own_for`: namespaces that use them, `*` for all.
    pub fn new(client: Client, own: Option<PathBuf>, own_for: &[String], request_timeout: Duration) -> Self {
        let (own_for, remembered) = (own_for.to_vec(), Arc::default());
        Self { reader: SourceReader { client, own }, own_for, request_timeout, digest_key: rand::random(), remembered }
    }

    /// Chooses the one source for an object, by its annotation and namespace alone.
    pub fn choose(&self, annotation: Option<&str>, namespace: &str) -> CredentialSource {
        let secret = |name: &str| CredentialSource::Secret { namespace: namespace.to_owned(), name: name.to_owned() };
        match annotation {
            Some(name) => secret(name),
            None if self.own_for.iter().any(|allowed| allowed == "*" || allowed == namespace) => {
                CredentialSource::Controller
            }
            None => secret(DEFAULT_SECRET),
        }
    }

    /// The account of that source as it is now, or was within the last second, but never as it was before `since`. Who comes
    /// within a second after a read began waits for that read.
    pub async fn read(
        &self,
        source: &CredentialSource,
        since: Instant,
        now: Timestamp,
    ) -> Result<Credential, CredentialsError> {
        let asked = Instant::now();
        let reading = {
            let mut remembered = self.remembered();
            if let Some(account) = remembered.get(source, since, asked) {
                return Ok(account);
            }
            remembered.under_way(source, since, asked).unwrap_or_else(|| {
                let reading = self.begin(source.clone(), asked, now);
                remembered.begun(source, asked, &reading);
                reading
            })
        };
        reading.await
    }

    fn begin(&self, source: CredentialSource, asked: Instant, now: Timestamp) -> Reading {
        let (reader, remembered) = (self.reader.clone(), Arc::clone(&self.remembered));
        let must_outlive = self.request_timeout + MARGIN;
        let reading = async move {
            let of = source.in_words();
            let read = reader.read(&source, &of).await.and_then(|data| parse(&data, &of, now, must_outlive));
            locked(&remembered).ended(&source, asked, read.as_ref().ok(), Instant::now());
            let remembered = Arc::clone(&remembered);
            tokio::spawn(async move {
                tokio::time::sleep_until((asked + VALID_FOR).into()).await;
                locked(&remembered).forget_old(Instant::now());
            });
            read
        };
        reading.boxed().shared()
    }

    /// What that source held was refused: it may have been changed since it was read.
    pub fn forget(&self, source: &CredentialSource) {
        self.remembered().forget(source);
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        locked(&self.remembered)
    }

    /// The key's name in the admission. Values, not a resourceVersion: the same wrong values in another Secret are the same
    /// wrong key, and another label on the Secret does not make it right. Of a token it is the user's, since tokens change.
    pub fn identity(&self, key: &Key, endpoint: &Endpoint) -> KeyIdentity {
        let url = endpoint.url.as_str().as_bytes();
        match key {
            Key::AccessKey(pair) => {
                let token = pair.token.as_ref().map_or("", |token| token.expose_secret());
                self.digest(&[pair.access.as_bytes(), pair.secret.expose_secret().as_bytes(), token.as_bytes(), url])
            }
            Key::Token(token) => self.digest(&[b"token", token.account().bytes(), url]),
        }
    }

    /// The user's name for lock-out: the same user is locked everywhere, whichever IAM is asked.
    pub fn account(&self, user: &User) -> KeyIdentity {
        self.digest(&user.parts())
    }

    /// The name of what a token is for: fetched by this user at this IAM, for calls of this project at this endpoint.
    pub fn purpose(&self, account: KeyIdentity, iam: &Endpoint, project: &str, endpoint: &Endpoint) -> KeyIdentity {
        let (iam, endpoint) = (iam.url.as_str().as_bytes(), endpoint.url.as_str().as_bytes());
        self.digest(&[b"purpose", account.bytes(), iam, project.as_bytes(), endpoint])
    }

    fn digest(&self, parts: &[&[u8]]) -> KeyIdentity {
        // Any length of key is valid for HMAC.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.digest_key) else { return KeyIdentity::from([0; 32]) };
        for part in parts {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        KeyIdentity::from(<[u8; 32]>::from(mac.finalize().into_bytes()))
    }
}

fn locked(remembered: &Mutex<Remembered>) -> MutexGuard<'_, Remembered> {
    remembered.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
