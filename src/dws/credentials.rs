//! The credentials ladder: one rung is chosen before any Secret is read, and whatever is wrong with it is said; nothing
//! falls through to another account. Secrets are read with `get` when needed, never listed or watched, and kept for a
//! second.

pub mod error;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use hmac::{Hmac, KeyInit, Mac};
use k8s_openapi::{api::core::v1::Secret, jiff::Timestamp};
use kube::{Api, Client};
use secrecy::ExposeSecret;
use sha2::Sha256;
use tokio::time::timeout;

pub use self::error::CredentialsError;
pub use super::{
    account::{Account, User},
    key::{Key, KeyIdentity, Pair, Token},
};
use super::{
    account::{Data, KEYS, parse},
    endpoint::Endpoint,
    remembered::{Remembered, SERVES},
};

/// The Secret of an object's namespace that is used when nothing else is named.
pub const DEFAULT_SECRET: &str = "dws-redistribution-credentials";
/// A temporary key must outlive the request by this much.
const MARGIN: Duration = Duration::from_secs(60);
const API_TIMEOUT: Duration = Duration::from_secs(10);

/// Where a key comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Rung {
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

impl Rung {
    /// As `status.attempt.credentials` shows it: `Controller`, or `Namespace/<secret>`.
    pub fn describe(&self) -> String {
        match self {
            Self::Controller => "Controller".to_owned(),
            Self::Secret { name, .. } => format!("Namespace/{name}"),
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
pub struct Ladder {
    client: Client,
    own: Option<PathBuf>,
    own_for: Vec<String>,
    request_timeout: Duration,
    digest_key: [u8; 32],
    remembered: Arc<Mutex<Remembered>>,
}

impl Ladder {
    /// `own`: directory of the controller's own credentials; `own_for`: namespaces that use them, `*` for all.
    pub fn new(client: Client, own: Option<PathBuf>, own_for: &[String], request_timeout: Duration) -> Self {
        let (own_for, remembered) = (own_for.to_vec(), Arc::default());
        Self { client, own, own_for, request_timeout, digest_key: rand::random(), remembered }
    }

    /// Chooses the one rung for an object, by its annotation and namespace alone.
    pub fn choose(&self, annotation: Option<&str>, namespace: &str) -> Rung {
        let secret = |name: &str| Rung::Secret { namespace: namespace.to_owned(), name: name.to_owned() };
        match annotation {
            Some(name) => secret(name),
            None if self.own_for.iter().any(|allowed| allowed == "*" || allowed == namespace) => Rung::Controller,
            None => secret(DEFAULT_SECRET),
        }
    }

    /// The account of that rung as it is now, or was within the last second, but never as it was before `since`.
    pub async fn read(&self, rung: &Rung, since: Instant, now: Timestamp) -> Result<Account, CredentialsError> {
        let asked = Instant::now();
        if let Some(account) = self.remembered().get(rung, since, asked) {
            return Ok(account);
        }
        let account = self.read_anew(rung, now).await?;
        self.remembered().keep(rung, &account, asked);
        let remembered = Arc::clone(&self.remembered);
        tokio::spawn(async move {
            tokio::time::sleep(SERVES).await;
            remembered.lock().unwrap_or_else(PoisonError::into_inner).forget_old(Instant::now());
        });
        Ok(account)
    }

    /// What that rung held was refused: it may have been changed since it was read.
    pub fn forget(&self, rung: &Rung) {
        self.remembered().forget(rung);
    }

    fn remembered(&self) -> MutexGuard<'_, Remembered> {
        self.remembered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn read_anew(&self, rung: &Rung, now: Timestamp) -> Result<Account, CredentialsError> {
        let of = rung.in_words();
        let data = match rung {
            Rung::Controller => self.read_own(&of).await?,
            Rung::Secret { namespace, name } => self.read_secret(namespace, name, &of).await?,
        };
        parse(&data, &of, now, self.request_timeout + MARGIN)
    }

    /// The key's name in the gate. Values, not a resourceVersion: the same wrong values in another Secret are the same
    /// wrong key, and another label on the Secret does not make it right. Of a token it is the user's, since tokens change.
    pub fn identity(&self, key: &Key, endpoint: &Endpoint) -> KeyIdentity {
        let url = endpoint.url.as_str().as_bytes();
        match key {
            Key::Pair(pair) => {
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

    async fn read_secret(&self, namespace: &str, name: &str, of: &str) -> Result<Data, CredentialsError> {
        let unavailable = |why: String| CredentialsError::Unavailable { of: of.to_owned(), why };
        let secrets = Api::<Secret>::namespaced(self.client.clone(), namespace);
        let secret = match timeout(API_TIMEOUT, secrets.get(name)).await {
            Ok(Ok(secret)) => secret,
            Err(_) => return Err(unavailable("the API server did not answer in time".to_owned())),
            Ok(Err(kube::Error::Api(status))) => {
                return Err(match status.code {
                    404 => CredentialsError::NotFound(of.to_owned()),
                    403 => CredentialsError::Forbidden(of.to_owned()),
                    code => unavailable(format!("the API server answered {code}")),
                });
            }
            // Never the error's own text: it could hold a piece of what was read.
            Ok(Err(kube::Error::SerdeError(_))) => return Err(unavailable("the answer could not be read".to_owned())),
            Ok(Err(error)) => return Err(unavailable(error.to_string())),
        };
        Ok(secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect())
    }

    async fn read_own(&self, of: &str) -> Result<Data, CredentialsError> {
        let directory = self.own.as_deref().ok_or_else(|| CredentialsError::NotFound(of.to_owned()))?;
        let unavailable = |why: String| CredentialsError::Unavailable { of: of.to_owned(), why };
        let read = settled(|| read_files(directory)).await;
        let unreadable = |error| CredentialsError::Unreadable { of: of.to_owned(), why: unreadable(directory, &error) };
        match read.map_err(unreadable)? {
            None => Err(unavailable(format!("the files in {} are being replaced", directory.display()))),
            Some(data) if data.is_empty() => Err(CredentialsError::NotFound(of.to_owned())),
            Some(data) => Ok(data),
        }
    }
}

async fn read_files(directory: &Path) -> std::io::Result<Data> {
    let mut data = Data::new();
    for key in KEYS {
        match tokio::fs::read(directory.join(key)).await {
            Ok(value) => drop(data.insert(key.to_owned(), value)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(data)
}

/// What two reads in a row agree on; `None` if no two do. A mounted Secret is renewed under the reader's hands, file by
/// file as it seems here: half an old pair and half a new one is a wrong signature, which costs an object its one call
/// and brings the key nearer to its lock.
async fn settled<Read>(mut read: impl FnMut() -> Read) -> std::io::Result<Option<Data>>
where
    Read: Future<Output = std::io::Result<Data>>,
{
    let mut last = read().await?;
    for _ in 0..3 {
        let next = read().await?;
        if next == last {
            return Ok(Some(next));
        }
        last = next;
    }
    Ok(None)
}

fn unreadable(directory: &Path, error: &std::io::Error) -> String {
    format!("a file in {} cannot be read: {}", directory.display(), error.kind())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
