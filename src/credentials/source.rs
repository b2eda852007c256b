//! Reads a source on each call: a Secret by `get`, or the files of the default credentials. Caches nothing but
//! failures, and checks no value.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, Instant},
};

use backon::ExponentialBackoff;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use tokio::time::timeout;

use super::secret::{CredentialsError, Data, KEYS};
use crate::{protocol::annotations::CREDENTIALS_SECRET, runtime::throttle::doubling};

const API_TIMEOUT: Duration = Duration::from_secs(10);
/// First pause: a user may be about to create the Secret.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
const MAX_PAUSE: Duration = Duration::from_secs(300);
/// Without a use.
const FORGET_AFTER: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum CredentialSource {
    Controller,
    /// In the object's namespace.
    Secret {
        namespace: String,
        name: String,
    },
}

impl CredentialSource {
    /// As `status.attempt.credentials` shows it: `Controller`, or `Namespace/<secret>`.
    pub fn in_status(&self) -> String {
        match self {
            Self::Controller => "Controller".to_owned(),
            Self::Secret { name, .. } => format!("Namespace/{name}"),
        }
    }

    /// The inverse of [`Self::in_status`], for an object in `namespace`.
    pub fn parse(text: &str, namespace: &str) -> Option<Self> {
        match text.strip_prefix("Namespace/") {
            Some(name) => Some(Self::Secret { namespace: namespace.to_owned(), name: name.to_owned() }),
            None => (text == "Controller").then_some(Self::Controller),
        }
    }

    /// As the subject of an error message.
    pub fn subject(&self) -> String {
        match self {
            Self::Controller => "The controller's own credentials".to_owned(),
            Self::Secret { namespace, name } => format!("Secret {namespace}/{name}"),
        }
    }

    /// Inside a message, with what chooses it.
    pub fn in_message(&self) -> String {
        match self {
            Self::Controller => "the controller's default credentials".to_owned(),
            Self::Secret { namespace, name } => {
                format!("Secret {namespace}/{name} (annotation {CREDENTIALS_SECRET}, or the default name)")
            }
        }
    }
}

pub async fn read_secret(
    client: &Client,
    (namespace, name): (&str, &str),
    subject: String,
) -> Result<Data, CredentialsError> {
    let secrets = Api::<Secret>::namespaced(client.clone(), namespace);
    let unavailable = match timeout(API_TIMEOUT, secrets.get(name)).await {
        Ok(Ok(secret)) => {
            return Ok(secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect());
        }
        Ok(Err(kube::Error::Api(status))) => match status.code {
            404 => return Err(CredentialsError::NotFound(subject)),
            403 => return Err(CredentialsError::Forbidden(subject)),
            code => format!("the API server answered {code}"),
        },
        // Never the error's own text: it could quote the Secret.
        Ok(Err(kube::Error::SerdeError(_))) => "the answer could not be read".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "the API server did not answer in time".to_owned(),
    };
    Err(CredentialsError::Unavailable(subject, unavailable))
}

pub async fn read_files(directory: &Path, subject: String) -> Result<Data, CredentialsError> {
    let shown = directory.display();
    match stable(|| read_once(directory)).await {
        Ok(Some(data)) if data.is_empty() => Err(CredentialsError::NotFound(subject)),
        Ok(Some(data)) => Ok(data),
        Ok(None) => Err(CredentialsError::Unavailable(subject, format!("the files in {shown} are being replaced"))),
        Err(error) => {
            let why = format!("a file in {shown} cannot be read: {}", error.kind());
            Err(CredentialsError::Unreadable(subject, why))
        }
    }
}

async fn read_once(directory: &Path) -> std::io::Result<Data> {
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

/// The result of two equal reads in a row; `None` if no two are equal. A mounted Secret may be updated during a read,
/// apparently file by file: an old access key with a new secret key makes a wrong signature, which costs an object its
/// one call and counts towards the lock of the key.
async fn stable<Read>(mut read: impl FnMut() -> Read) -> std::io::Result<Option<Data>>
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

#[derive(Debug)]
struct Failure {
    error: CredentialsError,
    next: Instant,
    backoff: ExponentialBackoff,
}

/// A failure is shared by all objects of the source until its next read, which comes later each time. The clock is an
/// argument.
#[derive(Debug, Default)]
pub struct Failures(HashMap<CredentialSource, Failure>);

impl Failures {
    /// Why it is not read now, and for how long.
    pub fn known(&self, source: &CredentialSource, now: Instant) -> Option<(CredentialsError, Duration)> {
        let failure = self.0.get(source)?;
        let wait = failure.next.saturating_duration_since(now);
        (!wait.is_zero()).then(|| (failure.error.clone(), wait))
    }

    /// Returns the pause until the next read. Failures of reads that began together count once.
    pub fn failed(&mut self, source: &CredentialSource, error: &CredentialsError, now: Instant) -> Duration {
        self.0.retain(|_, failure| now.saturating_duration_since(failure.next) < FORGET_AFTER);
        let new = || Failure { error: error.clone(), next: now, backoff: doubling(FIRST_PAUSE, MAX_PAUSE) };
        let failure = self.0.entry(source.clone()).or_insert_with(new);
        failure.error = error.clone();
        if failure.next <= now {
            failure.next = now + failure.backoff.next().unwrap_or(MAX_PAUSE);
        }
        failure.next.saturating_duration_since(now)
    }

    /// The pause of this source is over.
    #[cfg(test)]
    pub fn make_due(&mut self, source: &CredentialSource) {
        if let Some(failure) = self.0.get_mut(source) {
            failure.next = Instant::now();
        }
    }

    /// Returns whether the last read had failed.
    pub fn succeeded(&mut self, source: &CredentialSource) -> bool {
        self.0.remove(source).is_some()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

#[cfg(test)]
mod shared_failures {
    use super::*;

    #[test]
    fn a_failure_is_shared_until_the_next_read_which_comes_later_each_time() {
        let (mut failures, mut now) = (Failures::default(), Instant::now());
        let source = CredentialSource::Secret { namespace: "team".to_owned(), name: "dws".to_owned() };
        let error = || CredentialsError::NotFound("Secret team/dws".to_owned());
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let pause = failures.failed(&source, &error(), now);
            assert_eq!(failures.failed(&source, &error(), now), pause, "failures that began together count once");
            assert_eq!(failures.known(&source, now).map(|(_, wait)| wait), Some(pause));
            assert!(failures.known(&CredentialSource::Controller, now).is_none());
            now += pause;
            assert!(failures.known(&source, now).is_none());
            pauses.push(pause.as_secs());
        }
        assert_eq!(pauses, [5, 10, 20, 40, 80, 160, 300, 300]);
        assert!(failures.succeeded(&source) && !failures.succeeded(&source));
        assert_eq!(failures.failed(&source, &error(), now), FIRST_PAUSE);
    }
}
