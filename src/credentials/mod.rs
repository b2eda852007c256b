//! The resolution order of credentials: one source is chosen before any Secret is read, and its errors are reported;
//! nothing falls through to another account. Secrets are read with `get` when needed, never listed or watched, and cached
//! for a second.

mod cache;
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
        cache::{CredentialCache, SharedRead, VALID_FOR},
        secret::{Credential, parse},
        source::SourceReader,
    },
    protocol::regions::Endpoint,
};

/// The Secret of an object's namespace that is used if no other source is configured.
pub const DEFAULT_SECRET: &str = "dws-redistribution-credentials";
/// Minimum remaining lifetime of a temporary key beyond the request timeout.
const MARGIN: Duration = Duration::from_secs(60);

/// The source of credentials.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CredentialSource {
    /// The default credentials of the controller.
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

    /// The inverse of [`Self::describe`], for an object in `namespace`.
    pub fn parse(text: &str, namespace: &str) -> Option<Self> {
        match text.strip_prefix("Namespace/") {
            Some(name) => Some(Self::Secret { namespace: namespace.to_owned(), name: name.to_owned() }),
            None => (text == "Controller").then_some(Self::Controller),
        }
    }

    /// Its name at the beginning of an error message.
    pub fn display_name(&self) -> String {
        match self {
            Self::Controller => "The controller's own credentials".to_owned(),
            Self::Secret { namespace, name } => format!("Secret {namespace}/{name}"),
        }
    }
}

/// Chooses and reads the credentials of objects, and derives the identities of keys and users.
pub struct Credentials {
    reader: SourceReader,
    default_for: Vec<String>,
    request_timeout: Duration,
    digest_key: [u8; 32],
    cache: Arc<Mutex<CredentialCache>>,
}

impl Credentials {
    /// `default_dir`: directory of the default credentials; `default_for`: namespaces that use them, `*` for all.
    pub fn new(
        client: Client,
        default_dir: Option<PathBuf>,
        default_for: &[String],
        request_timeout: Duration,
    ) -> Self {
        let (default_for, cache) = (default_for.to_vec(), Arc::default());
        let reader = SourceReader { client, default_dir };
        Self { reader, default_for, request_timeout, digest_key: rand::random(), cache }
    }

    /// Chooses the one source for an object, by its annotation and namespace alone.
    pub fn choose(&self, annotation: Option<&str>, namespace: &str) -> CredentialSource {
        let secret = |name: &str| CredentialSource::Secret { namespace: namespace.to_owned(), name: name.to_owned() };
        match annotation {
            Some(name) => secret(name),
            None if self.default_for.iter().any(|allowed| allowed == "*" || allowed == namespace) => {
                CredentialSource::Controller
            }
            None => secret(DEFAULT_SECRET),
        }
    }

    /// The credential of that source, at most a second old and never from a read that started before `since`. Callers
    /// within a second after the start of a read wait for that read.
    pub async fn read(
        &self,
        source: &CredentialSource,
        since: Instant,
        now: Timestamp,
    ) -> Result<Credential, CredentialsError> {
        let started = Instant::now();
        let read = {
            let mut cache = self.cache();
            if let Some(credential) = cache.get(source, since, started) {
                return Ok(credential);
            }
            cache.in_flight(source, since, started).unwrap_or_else(|| {
                let read = self.start_read(source.clone(), started, now);
                cache.start(source, started, &read);
                read
            })
        };
        read.await
    }

    fn start_read(&self, source: CredentialSource, started: Instant, now: Timestamp) -> SharedRead {
        let (reader, cache) = (self.reader.clone(), Arc::clone(&self.cache));
        let must_outlive = self.request_timeout + MARGIN;
        let read = async move {
            let name = source.display_name();
            let result = reader.read(&source, &name).await.and_then(|data| parse(&data, &name, now, must_outlive));
            locked(&cache).finish(&source, started, result.as_ref().ok(), Instant::now());
            let cache = Arc::clone(&cache);
            tokio::spawn(async move {
                tokio::time::sleep_until((started + VALID_FOR).into()).await;
                locked(&cache).remove_expired(Instant::now());
            });
            result
        };
        read.boxed().shared()
    }

    /// Invalidates the cache for that source, since its credential was refused: it may have changed since it was read.
    pub fn forget(&self, source: &CredentialSource) {
        self.cache().invalidate(source);
    }

    fn cache(&self) -> MutexGuard<'_, CredentialCache> {
        locked(&self.cache)
    }

    /// The identity of a key for admission. By its values, not a resourceVersion: the same wrong values in another Secret
    /// are the same wrong key, and another label on the Secret does not make it right. For a token by its user, since
    /// tokens change.
    pub fn identity(&self, key: &Key, endpoint: &Endpoint) -> KeyIdentity {
        let url = endpoint.url.as_str().as_bytes();
        match key {
            Key::AccessKey(key) => {
                let token = key.token.as_ref().map_or("", |token| token.expose_secret());
                self.digest(&[key.access.as_bytes(), key.secret.expose_secret().as_bytes(), token.as_bytes(), url])
            }
            Key::Token(token) => self.digest(&[b"token", token.user().bytes(), url]),
        }
    }

    /// The identity of a user for the lock-out: the same user is locked everywhere, at whichever IAM the login is.
    pub fn user_identity(&self, user: &User) -> KeyIdentity {
        self.digest(&user.parts())
    }

    /// The identity of a token's scope: fetched by this user at this IAM, for calls of this project at this endpoint.
    pub fn token_scope(&self, user: KeyIdentity, iam: &Endpoint, project: &str, endpoint: &Endpoint) -> KeyIdentity {
        let (iam, endpoint) = (iam.url.as_str().as_bytes(), endpoint.url.as_str().as_bytes());
        self.digest(&[b"scope", user.bytes(), iam, project.as_bytes(), endpoint])
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

fn locked(cache: &Mutex<CredentialCache>) -> MutexGuard<'_, CredentialCache> {
    cache.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
