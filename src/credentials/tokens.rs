//! The tokens of users, in memory only: from the cache, or by a login. One login at a time for each user, which runs to its
//! end in a task of its own, since each wrong password counts and its answer must not be lost. Reads no Secret.

mod cache;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt;
use parking_lot::Mutex;

pub use self::cache::TokenKey;
use self::cache::{Acquire, Core, Denied};
use super::{CredentialSource, MARGIN, REFUSED_RECHECK, lockout::Rejection};
use crate::{
    api::Reason,
    cloud::{
        Client,
        auth::{KeyIdentity, Token, User},
        login::LoginFailure,
    },
    protocol::{hold::Hold, regions::Endpoint},
    runtime::{
        locks::{Lock, Locks},
        throttle::{jittered, jittered_at_least},
    },
};

#[derive(Clone, Debug)]
pub struct Wanted {
    pub key: TokenKey,
    pub user: User,
    /// Of the password, for messages.
    pub source: CredentialSource,
    pub iam: Endpoint,
    pub project: String,
}

pub struct TokenCache {
    core: Mutex<Core>,
    /// In flight, by user.
    logins: Locks<KeyIdentity>,
    /// Remaining lifetime of a token at a claim.
    min_at_claim: Duration,
}

impl TokenCache {
    pub fn new(request_timeout: Duration, send_budget: Duration) -> Arc<Self> {
        let core = Mutex::new(Core::new(request_timeout + MARGIN));
        Arc::new(Self { core, logins: Locks::default(), min_at_claim: request_timeout + send_budget })
    }

    /// From the cache or by a login.
    pub async fn token(self: &Arc<Self>, cloud: &Arc<Client>, wanted: &Wanted) -> Result<Token, Hold> {
        let mut turn: Option<Lock<KeyIdentity>> = None;
        loop {
            let acquired = self.core.lock().acquire(wanted.key, Instant::now());
            match (acquired, turn.take()) {
                (Acquire::Cached(token), _) => return Ok(token),
                (Acquire::Denied(denied), _) => return Err(wanted.held(denied)),
                (Acquire::BackOff(wait), turn) => {
                    drop(turn);
                    tokio::time::sleep(wait).await;
                }
                // The old token serves while another login of the user is in flight.
                (Acquire::Login(Some(old)), None) => match self.logins.lock(wanted.key.user).now_or_never() {
                    Some(locked) => turn = Some(locked),
                    None => return Ok(old),
                },
                (Acquire::Login(None), None) => turn = Some(self.logins.lock(wanted.key.user).await),
                (Acquire::Login(old), Some(turn)) => {
                    let login = tokio::spawn(log_in(Arc::clone(self), Arc::clone(cloud), wanted.clone(), turn));
                    let result = login.await.unwrap_or_else(|_| Err(wanted.unreachable(jittered(REFUSED_RECHECK))));
                    // If a renewal failed, the old token is used, unless the refusal has ended it too.
                    return result.or_else(|hold| old.filter(|old| !old.has_ended()).ok_or(hold));
                }
            }
        }
    }

    /// If a request may still be claimed with it.
    pub fn present(&self, wanted: &Wanted) -> Option<Token> {
        self.core.lock().present(wanted.key).filter(|token| self.may_use(token, Instant::now()))
    }

    /// An answer to another request may have ended the token, and the preparation took time.
    pub fn may_use(&self, token: &Token, now: Instant) -> bool {
        token.left(now) >= self.min_at_claim
    }
}

/// Logs in, unless IAM is unreachable and the time to try again has not come.
async fn log_in(
    cache: Arc<TokenCache>,
    cloud: Arc<Client>,
    wanted: Wanted,
    _turn: Lock<KeyIdentity>,
) -> Result<Token, Hold> {
    let Wanted { user, iam, project, .. } = &wanted;
    // IAM may share a host with DWS and still be unreachable alone.
    let name = format!("IAM {}", iam.host);
    let _probe = cloud.health().enter(&name).await.map_err(|wait| wanted.unreachable(jittered_at_least(wait)))?;
    let started = Instant::now();
    let login = cloud.login(user, project, iam).await;
    let failure = login.as_ref().err().copied();
    tracing::info!(iam = iam.host, project, ?failure, "asked IAM for a token");
    let result = cache.core.lock().finish(wanted.key, login, started, Instant::now());
    // Any answer shows that the host is reachable. A failure of this user's login does not affect other users.
    let is_away = matches!(failure, Some(LoginFailure::Unreachable | LoginFailure::Silent));
    let pause = is_away.then(|| cloud.health().failed(&name));
    if pause.is_none() {
        cloud.health().reached(&name);
    }
    result.map_err(|denied| match (denied, pause) {
        (Denied::Failed(LoginFailure::Unreachable, _), Some(pause)) => wanted.unreachable(pause),
        (denied, _) => wanted.held(denied),
    })
}

impl Wanted {
    fn unreachable(&self, retry_after: Duration) -> Hold {
        Hold { retry_after, ..self.held(Denied::Failed(LoginFailure::Unreachable, retry_after)) }
    }

    /// No message holds the remaining time or quotes IAM.
    fn held(&self, denied: Denied) -> Hold {
        let ((reason, why, advice), wait) = match denied {
            Denied::Rejected(why, wait) => (rejected(why), wait.unwrap_or(REFUSED_RECHECK)),
            Denied::Failed(why, wait) => (failed(why, &self.project), wait),
        };
        let (host, secret) = (&self.iam.host, self.source.in_message());
        let retry_after = match denied {
            Denied::Failed(LoginFailure::Throttled(_), _) => wait + jittered(Duration::from_secs(1)),
            // A changed Secret has to be noticed before a long pause is over.
            _ => jittered(wait.min(REFUSED_RECHECK).max(Duration::from_secs(1))),
        };
        Hold { reason, message: format!("IAM at {host} gives no token for {secret}: {why}. {advice}"), retry_after }
    }
}

type Message = (Reason, String, &'static str);

fn rejected(why: Rejection) -> Message {
    let (why, advice) = match why {
        Rejection::Wrong => (
            "it refused the user, who had not logged in before",
            "Since five wrong passwords lock a user, they are not used again until a value changes or the controller restarts. Correct username, password and domainName (the account's name); this object then continues automatically",
        ),
        Rejection::Locked => (
            "it has locked the user for some minutes, after too many wrong passwords",
            "One object tries again 5 minutes after the last refusal, and the others continue once it succeeds",
        ),
        _ => (
            "it refused the user, who had logged in before",
            "Check whether the password was changed, or the user disabled or deleted. One object tries again 5 minutes after the last refusal, and the others continue once it succeeds",
        ),
    };
    (Reason::CredentialsRejected, why.to_owned(), advice)
}

fn failed(failure: LoginFailure, project: &str) -> Message {
    let unanswered = |why| {
        let advice = "Nothing was called. Since the password may have counted as a wrong one, and five lock a user, the operator retries automatically but slowly: after 5 minutes at first, sooner if the user had logged in before; with a changed Secret within 30 seconds";
        (Reason::EndpointUnreachable, why, advice)
    };
    match failure {
        LoginFailure::Project(status) => (
            Reason::CredentialsForbidden,
            format!("the user has no role in project {project}, or there is no such project (HTTP {status})"),
            "Grant the user a role in it, or correct projectID. The operator tries again after 5 minutes, and with a changed Secret within 30 seconds",
        ),
        LoginFailure::Forbidden => (
            Reason::CredentialsForbidden,
            "the user may not log in (HTTP 403)".to_owned(),
            "Check whether the user has programmatic access, and from which addresses. The operator tries again after 5 minutes, and with a changed Secret within 30 seconds",
        ),
        LoginFailure::Refused(status) => (
            Reason::CredentialsInvalid,
            format!("it rejects the login as invalid (HTTP {status})"),
            "Check username and domainName (the account's name), and --iam-endpoint. The operator tries again after 5 minutes, and with a changed Secret within 30 seconds",
        ),
        LoginFailure::ShortLived => (
            Reason::CredentialsExpired,
            "its tokens expire too soon for a call (--request-timeout and 60 seconds)".to_owned(),
            "Extend the lifetime of tokens, or use an access key. The operator tries again after 5 minutes, and with a changed Secret within 30 seconds",
        ),
        LoginFailure::Throttled(_) => (
            Reason::Throttled,
            "it throttles the logins of the user (HTTP 429)".to_owned(),
            "This object is called when the Retry-After time is over",
        ),
        LoginFailure::Failed(status) => unanswered(format!("it failed (HTTP {status})")),
        LoginFailure::Silent => unanswered("no answer came in time".to_owned()),
        LoginFailure::Unreadable(why) => unanswered(why.to_owned()),
        // Always the same, so that nothing is written while IAM is intermittently available. The first two lead to a
        // rejection.
        LoginFailure::Wrong | LoginFailure::Locked | LoginFailure::Unreachable => (
            Reason::EndpointUnreachable,
            "it cannot be reached, or does not answer".to_owned(),
            "Nothing was called. The operator retries automatically; check DNS, the network, the proxy, --ca-bundle and --iam-endpoint",
        ),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::cloud::ClientSettings;

    #[tokio::test]
    async fn a_user_logs_in_once_at_a_time_and_an_old_token_serves_meanwhile() {
        let timeouts = Duration::from_secs(1);
        let settings =
            ClientSettings { ca_bundle: None, proxy: None, connect_timeout: timeouts, request_timeout: timeouts };
        let cloud = Arc::new(Client::new(&settings).unwrap());
        let cache = TokenCache::new(timeouts, timeouts);
        let wanted = |user: u8, scope: u8| Wanted {
            key: TokenKey { user: KeyIdentity::from([user; 32]), scope: KeyIdentity::from([scope; 32]) },
            user: User { name: "u".to_owned(), password: "p".to_owned().into(), domain: "d".to_owned() },
            source: CredentialSource::Controller,
            iam: Endpoint { region: "r".to_owned(), host: "h".to_owned(), url: "http://127.0.0.1:9".parse().unwrap() },
            project: "project".to_owned(),
        };
        // An hour ago, and due for renewal since.
        let started = Instant::now().checked_sub(Duration::from_secs(3600)).unwrap();
        let login = Ok(("canary".to_owned().into(), Duration::from_secs(3900)));
        cache.core.lock().finish(wanted(1, 1).key, login, started, started).unwrap();
        let turn = cache.logins.lock(wanted(1, 1).key.user).await;
        assert!(cache.token(&cloud, &wanted(1, 1)).await.is_ok(), "its old token serves");
        let mut other_project = Box::pin(async { cache.token(&cloud, &wanted(1, 2)).await });
        assert!((&mut other_project).now_or_never().is_none(), "it waits for the login in flight");
        let other_user = cache.token(&cloud, &wanted(2, 3)).await.unwrap_err();
        assert_eq!(other_user.reason, Reason::EndpointUnreachable, "it does not wait, and meets a closed port");
        drop(turn);
        assert_eq!(other_project.await.unwrap_err().reason, Reason::EndpointUnreachable);
    }
}
