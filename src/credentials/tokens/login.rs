//! From a user to a token: from the cache, or by one login, which runs to its end in a task of its own, since each wrong
//! password counts and its answer must not be lost.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use k8s_openapi::jiff::Timestamp;

use super::{Acquired, LoginPermit, TokenCache, TokenKey, denied::Denied, messages};
use crate::{
    cloud::{Client, auth::User, token::Token},
    credentials::CredentialSource,
    protocol::{hold::Hold, regions::Endpoint},
    runtime::jitter::jittered_at_least,
};

/// A token that is wanted: whose, of which IAM and for which project.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// The names of user and scope in the cache.
    pub key: TokenKey,
    /// The user.
    pub user: User,
    /// Where the user's password was read, for messages.
    pub source: CredentialSource,
    /// The IAM.
    pub iam: Endpoint,
    /// The project.
    pub project: String,
}

impl TokenCache {
    /// The token, from the cache or by a login.
    pub async fn token(self: &Arc<Self>, cloud: &Arc<Client>, wanted: &Wanted) -> Result<Token, Hold> {
        let permit = match self.acquire(wanted.key).await {
            Acquired::Token(token) => return Ok(token),
            Acquired::Denied(denied) => return Err(wanted.held(denied)),
            Acquired::Login(permit) => permit,
        };
        let stale = permit.stale.clone();
        let login = tokio::spawn(log_in(Arc::clone(cloud), wanted.clone(), permit));
        let result = login.await.unwrap_or_else(|_| Err(wanted.held(Denied::Unreachable)));
        match (result, stale) {
            // A renewal failed: the old token is used, unless the refusal has ended it too.
            (Err(_), Some(token)) if !token.has_ended() => Ok(token),
            (result, _) => result,
        }
    }
}

impl TokenCache {
    /// The cached token, if a request may still be claimed with it.
    pub fn present(&self, wanted: &Wanted) -> Option<Token> {
        let token = self.lock().present(wanted.key)?;
        self.may_use(&token, Instant::now()).then_some(token)
    }
}

impl Wanted {
    fn held(&self, denied: Denied) -> Hold {
        messages::denied(denied, &self.source, &self.iam.host, &self.project)
    }

    fn unreachable(&self, retry_after: Duration) -> Hold {
        messages::unreachable(&self.source, &self.iam.host, retry_after)
    }
}

/// One login, unless IAM is unreachable and the time to try again has not come.
async fn log_in(cloud: Arc<Client>, wanted: Wanted, permit: LoginPermit) -> Result<Token, Hold> {
    let Wanted { user, iam, project, .. } = &wanted;
    // IAM may share a host with DWS and still be unreachable alone.
    let name = format!("IAM {}", iam.host);
    let _one = cloud.health().enter(&name).await.map_err(|wait| wanted.unreachable(jittered_at_least(wait)))?;
    let login = cloud.login(user, project, iam, Timestamp::now()).await;
    tracing::info!(iam = iam.host, project, result = login.label(), "asked IAM for a token");
    let is_host_unreachable = login.is_host_unreachable();
    let result = permit.finish(login);
    // Any answer shows that the host is reachable. A failure of this user's login does not affect other users.
    let pause = is_host_unreachable.then(|| cloud.health().failed(&name));
    if pause.is_none() {
        cloud.health().reached(&name);
    }
    result.map_err(|denied| match (denied, pause) {
        (Denied::Unreachable, Some(pause)) => wanted.unreachable(pause),
        (denied, _) => wanted.held(denied),
    })
}
