//! The resolution order of credentials: one source is chosen before any Secret is read, and its errors are reported;
//! nothing falls through to another account. Secrets are read with `get` when needed, never listed, watched or kept.

pub mod lockout;
mod secret;
mod source;
mod tokens;

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use backon::{ExponentialBuilder, Retryable};
use hmac::{Hmac, KeyInit, Mac};
use k8s_openapi::jiff::Timestamp;
use kube::Client;
use parking_lot::Mutex;
use secrecy::ExposeSecret;
use sha2::Sha256;
use tokio::sync::Semaphore;

pub(crate) use self::{secret::CredentialsError, source::CredentialSource};
use crate::{
    api::Reason,
    cloud::{
        self,
        auth::{Key, KeyDigests, KeyIdentity, User},
    },
    credentials::{
        secret::{Account, parse},
        source::{Failures, read_files, read_secret},
        tokens::{TokenCache, TokenKey, Wanted},
    },
    protocol::{hold::Hold, regions::Endpoint},
    runtime::throttle::jittered,
};

/// Refused credentials are read again after this: their values may have changed.
pub const REFUSED_RECHECK: Duration = Duration::from_secs(30);
/// First pause and number of further tries, if the API server does not answer: that says nothing about the object.
const RETRIES: (Duration, usize) = (Duration::from_millis(500), 2);
/// The Secret of an object's namespace that is used if no other source is configured.
pub const DEFAULT_SECRET: &str = "dws-redistribution-credentials";
/// Remaining lifetime of a temporary key or a new token beyond the request timeout.
const MARGIN: Duration = Duration::from_secs(60);

/// What a request is made with, without a secret.
#[derive(Clone, Debug)]
pub struct CredentialId {
    pub digests: KeyDigests,
    pub source: CredentialSource,
}

#[derive(Clone, Debug)]
pub struct Credential {
    pub key: Key,
    pub id: CredentialId,
    /// The source could not be read before: objects held for that may go on.
    pub is_recovered: bool,
}

#[derive(Clone, Debug)]
pub struct Purpose<'a> {
    pub source: CredentialSource,
    pub endpoint: &'a Endpoint,
    /// `None` if that is not known.
    pub iam: Option<&'a Endpoint>,
    pub project: &'a str,
}

pub struct Credentials {
    client: Client,
    limit: Arc<Semaphore>,
    cloud: Arc<cloud::Client>,
    tokens: Arc<TokenCache>,
    failures: Mutex<Failures>,
    settings: Settings,
    digest_key: [u8; 32],
}

#[derive(Clone, Debug, Default)]
pub struct Settings {
    pub default_dir: Option<PathBuf>,
    /// `*` for all.
    pub default_for: Vec<String>,
    /// No credential may expire before.
    pub request_timeout: Duration,
    /// From the start of a claim to its request.
    pub send_budget: Duration,
}

impl Credentials {
    /// `limit`: of the requests at the API server at once.
    pub fn new(client: Client, limit: Arc<Semaphore>, cloud: Arc<cloud::Client>, settings: Settings) -> Self {
        Self {
            client,
            limit,
            cloud,
            tokens: TokenCache::new(settings.request_timeout, settings.send_budget),
            failures: Mutex::default(),
            settings,
            digest_key: rand::random(),
        }
    }

    /// By the annotation and namespace alone.
    pub fn choose(&self, annotation: Option<&str>, namespace: &str) -> CredentialSource {
        let secret = |name: &str| CredentialSource::Secret { namespace: namespace.to_owned(), name: name.to_owned() };
        match annotation {
            Some(name) => secret(name),
            None if self.settings.default_for.iter().any(|allowed| allowed == "*" || allowed == namespace) => {
                CredentialSource::Controller
            }
            None => secret(DEFAULT_SECRET),
        }
    }

    /// Reads the source now; for a user without a token, a login follows.
    pub async fn resolve(&self, purpose: &Purpose<'_>) -> Result<Credential, Hold> {
        let source = &purpose.source;
        let (account, is_recovered) = self.read(source).await?;
        let key = match account {
            Account::AccessKey(key) => Key::AccessKey(key),
            Account::User(user) => Key::Token(self.tokens.token(&self.cloud, &self.wanted(purpose, user)?).await?),
        };
        let id = CredentialId { digests: self.digests(&key, purpose.endpoint), source: source.clone() };
        Ok(Credential { key, id, is_recovered })
    }

    /// The credential again after a wait, by another read of its source: the same, or with the user's present token. Never
    /// logs in. `None`: the source holds other values, or there is no token.
    pub async fn refresh(&self, purpose: &Purpose<'_>, credential: Credential) -> Result<Option<Credential>, Hold> {
        let (account, _) = self.read(&purpose.source).await?;
        Ok(match (account, &credential.key) {
            (Account::AccessKey(key), Key::AccessKey(_)) => {
                (self.digests(&Key::AccessKey(key), purpose.endpoint) == credential.id.digests).then_some(credential)
            }
            (Account::User(user), Key::Token(token)) if self.user_identity(&user) == token.user() => {
                if self.tokens.may_use(token, Instant::now()) {
                    return Ok(Some(credential));
                }
                // Another request of the user may have renewed it.
                let token = self.tokens.present(&self.wanted(purpose, user)?);
                token.map(|token| Credential { key: Key::Token(token), ..credential })
            }
            _ => None,
        })
    }

    /// What would prevent a request, as far as that is known without a login.
    pub async fn problem(&self, purpose: &Purpose<'_>) -> Option<CredentialsError> {
        match self.read(&purpose.source).await {
            Ok((Account::User(_), _)) if purpose.iam.is_none() => Some(purpose.no_iam()),
            Ok(_) => None,
            Err((error, _)) => Some(error),
        }
    }

    /// Reads the source; `true`: the last read had failed. After a failure it is read again only after the pause in the error.
    async fn read(&self, source: &CredentialSource) -> Result<(Account, bool), (CredentialsError, Duration)> {
        if let Some(known) = self.failures.lock().known(source, Instant::now()) {
            return Err(known);
        }
        let (first, tries) = RETRIES;
        let (subject, must_outlive) = (source.subject(), self.settings.request_timeout + MARGIN);
        let read = || async {
            let _one = self.limit.acquire().await;
            let data = match (source, &self.settings.default_dir) {
                (CredentialSource::Secret { namespace, name }, _) => {
                    read_secret(&self.client, (namespace, name), subject.clone()).await?
                }
                (CredentialSource::Controller, Some(directory)) => read_files(directory, subject.clone()).await?,
                (CredentialSource::Controller, None) => return Err(CredentialsError::NotFound(subject.clone())),
            };
            parse(&data, &subject, Timestamp::now(), must_outlive)
        };
        let account = read
            .retry(ExponentialBuilder::default().with_min_delay(first).with_max_times(tries))
            .sleep(tokio::time::sleep)
            .when(|error| matches!(error, CredentialsError::Unavailable(..)));
        match account.await {
            Ok(account) => Ok((account, self.failures.lock().succeeded(source))),
            Err(error) => {
                let pause = self.failures.lock().failed(source, &error, Instant::now());
                Err((error, pause))
            }
        }
    }

    fn wanted(&self, purpose: &Purpose<'_>, user: User) -> Result<Wanted, Hold> {
        let iam = purpose.iam.ok_or_else(|| (purpose.no_iam(), jittered(REFUSED_RECHECK)))?;
        let identity = self.user_identity(&user);
        // Fetched by this user at this IAM, for calls of this project at this endpoint.
        let (at, endpoint) = (iam.url.as_str().as_bytes(), purpose.endpoint.url.as_str().as_bytes());
        let scope = self.digest(&[b"scope", identity.bytes(), at, purpose.project.as_bytes(), endpoint]);
        Ok(Wanted {
            key: TokenKey { user: identity, scope },
            user,
            source: purpose.source.clone(),
            iam: iam.clone(),
            project: purpose.project.to_owned(),
        })
    }

    /// Of a key's values, not of a resourceVersion: the same wrong values in another Secret are the same wrong key, and
    /// another label on the Secret does not make it right. Of a token's user, since tokens change.
    fn digests(&self, key: &Key, endpoint: &Endpoint) -> KeyDigests {
        let url = endpoint.url.as_str().as_bytes();
        match key {
            Key::AccessKey(key) => {
                let token = key.token.as_ref().map_or("", |token| token.expose_secret());
                let secret = key.secret.expose_secret().as_bytes();
                KeyDigests {
                    key: self.digest(&[b"access key", key.access.as_bytes(), url]),
                    values: self.digest(&[key.access.as_bytes(), secret, token.as_bytes(), url]),
                }
            }
            Key::Token(token) => {
                let user = self.digest(&[b"token", token.user().bytes(), url]);
                KeyDigests { key: user, values: user }
            }
        }
    }

    /// For the lock-out: the same user is locked everywhere, at whichever IAM the login is.
    fn user_identity(&self, user: &User) -> KeyIdentity {
        let password = user.password.expose_secret().as_bytes();
        self.digest(&[b"user", user.name.as_bytes(), user.domain.as_bytes(), password])
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

impl Purpose<'_> {
    fn no_iam(&self) -> CredentialsError {
        CredentialsError::NoIam(self.source.subject(), self.endpoint.region.clone())
    }
}

/// Of an error and the pause after it.
impl From<(CredentialsError, Duration)> for Hold {
    fn from((error, pause): (CredentialsError, Duration)) -> Self {
        let (reason, message) = match error.reason() {
            Some(reason) => (reason, error.to_string()),
            None => (
                Reason::CredentialsInvalid,
                format!("{error}. The operator retries automatically, less often each time"),
            ),
        };
        Self { reason, message, retry_after: pause.max(Duration::from_secs(1)) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests;
