//! Reads what a source holds, each time anew: a Secret by `get`, or the controller's own files. It keeps nothing and judges no
//! value.

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

/// See the module.
#[derive(Clone)]
pub struct SourceReader {
    pub client: Client,
    /// Directory of the controller's own credentials.
    pub own: Option<PathBuf>,
}

impl SourceReader {
    /// `of`: the source in words, for errors.
    pub async fn read(&self, source: &CredentialSource, of: &str) -> Result<Data, CredentialsError> {
        match source {
            CredentialSource::Controller => self.read_own(of).await,
            CredentialSource::Secret { namespace, name } => self.read_secret(namespace, name, of).await,
        }
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
#[allow(clippy::unwrap_used)]
mod tests;
