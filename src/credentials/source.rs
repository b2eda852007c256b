//! Reads the data of a source on each call: a Secret by `get`, or the files of the default credentials. Caches nothing
//! and checks no value.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use tokio::time::timeout;

use crate::credentials::{
    CredentialSource, CredentialsError,
    secret::{Data, KEYS},
};

const API_TIMEOUT: Duration = Duration::from_secs(10);

/// Reads the data of sources.
#[derive(Clone)]
pub struct SourceReader {
    pub client: Client,
    /// Directory of the default credentials.
    pub default_dir: Option<PathBuf>,
}

impl SourceReader {
    /// `subject`: the source's, for errors.
    pub async fn read(&self, source: &CredentialSource, subject: &str) -> Result<Data, CredentialsError> {
        match source {
            CredentialSource::Controller => self.read_files(subject).await,
            CredentialSource::Secret { namespace, name } => self.read_secret(namespace, name, subject).await,
        }
    }

    async fn read_secret(&self, namespace: &str, name: &str, subject: &str) -> Result<Data, CredentialsError> {
        let unavailable = |why: String| CredentialsError::Unavailable { credentials: subject.to_owned(), why };
        let secrets = Api::<Secret>::namespaced(self.client.clone(), namespace);
        let secret = match timeout(API_TIMEOUT, secrets.get(name)).await {
            Ok(Ok(secret)) => secret,
            Err(_) => return Err(unavailable("the API server did not answer in time".to_owned())),
            Ok(Err(kube::Error::Api(status))) => {
                return Err(match status.code {
                    404 => CredentialsError::NotFound(subject.to_owned()),
                    403 => CredentialsError::Forbidden(subject.to_owned()),
                    code => unavailable(format!("the API server answered {code}")),
                });
            }
            // Never the error's own text: it could quote the Secret.
            Ok(Err(kube::Error::SerdeError(_))) => return Err(unavailable("the answer could not be read".to_owned())),
            Ok(Err(error)) => return Err(unavailable(error.to_string())),
        };
        Ok(secret.data.unwrap_or_default().into_iter().map(|(key, value)| (key, value.0)).collect())
    }

    async fn read_files(&self, subject: &str) -> Result<Data, CredentialsError> {
        let credentials = || subject.to_owned();
        let directory = self.default_dir.as_deref().ok_or_else(|| CredentialsError::NotFound(credentials()))?;
        let unavailable = |why: String| CredentialsError::Unavailable { credentials: credentials(), why };
        let data = stable(|| read_files(directory)).await;
        let unreadable =
            |error| CredentialsError::Unreadable { credentials: credentials(), why: unreadable(directory, &error) };
        match data.map_err(unreadable)? {
            None => Err(unavailable(format!("the files in {} are being replaced", directory.display()))),
            Some(data) if data.is_empty() => Err(CredentialsError::NotFound(credentials())),
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

fn unreadable(directory: &Path, error: &std::io::Error) -> String {
    format!("a file in {} cannot be read: {}", directory.display(), error.kind())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
