//! From credentials to the key of a request: an access key needs nothing more, a user needs a token. Nothing is claimed
//! yet, and no request to IAM here changes anything.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::{NotReady, object_name};
use crate::{
    admission::Health,
    api::ClusterRedistribution,
    cloud::{
        auth::{Key, User},
        token::Token,
    },
    controller::{context::Context, messages::iam as messages},
    credentials::{
        CredentialSource, CredentialsError,
        secret::Credential,
        tokens::{Acquired, Denied, LoginPermit, TokenKey},
    },
    protocol::{decide::Plan, regions::Endpoint},
    runtime::jitter::jittered,
};

/// A short pause, in which another object's login may end.
const MOMENT: Duration = Duration::from_secs(1);

/// The IAM of the plan's region; a hold if it is not known.
pub fn iam<'a>(context: &'a Context, plan: &Plan, source: &CredentialSource) -> Result<&'a Endpoint, CredentialsError> {
    let region = &plan.endpoint.region;
    let unknown = || CredentialsError::NoIam { credentials: source.display_name(), region: region.clone() };
    context.rules.regions.iam(region).ok_or_else(unknown)
}

/// The key of the call.
pub async fn key(
    context: &Context,
    object: &ClusterRedistribution,
    plan: &Plan,
    source: &CredentialSource,
    (credential, max_wait): (Credential, Duration),
) -> Result<Key, NotReady> {
    let user = match credential {
        Credential::AccessKey(key) => return Ok(Key::AccessKey(key)),
        Credential::User(user) => user,
    };
    let iam = iam(context, plan, source).map_err(super::not_ready)?;
    // Nothing is claimed yet, so the shutdown need not wait for this.
    tokio::select! {
        token = token(context, object, plan, source, (&user, iam, max_wait)) => token.map(Key::Token),
        () = context.closing.cancelled() => Err(NotReady::RecheckSoon(MOMENT)),
    }
}

async fn token(
    context: &Context,
    object: &ClusterRedistribution,
    plan: &Plan,
    source: &CredentialSource,
    (user, iam, max_wait): (&User, &Endpoint, Duration),
) -> Result<Token, NotReady> {
    let project = &object.spec.project_id;
    let account = context.credentials.user_identity(user);
    let scope = context.credentials.token_scope(account, iam, project, &plan.endpoint);
    let held = |denied| NotReady::Hold(messages::denied(denied, source, &iam.host, project));
    // While IAM is known to be unreachable, objects do not wait for the login that probes it.
    let max_wait = if context.admission.is_unreachable(&name_of(iam)) { Duration::ZERO } else { max_wait };
    match context.tokens.acquire(TokenKey { user: account, scope }, max_wait).await {
        Acquired::Token(token) => Ok(token),
        Acquired::InProgress => Err(NotReady::RecheckSoon(jittered(MOMENT * 2))),
        Acquired::Denied(denied) => Err(held(denied)),
        Acquired::Login(permit) => {
            let stale = permit.stale_token();
            match (log_in(context, object, source, user, iam, permit).await, stale) {
                // A renewal failed: the old token is used, unless the refusal has ended it too.
                (Err(_), Some(token)) if !token.has_ended() => Ok(token),
                (result, _) => result,
            }
        }
    }
}

/// The name of IAM in admission: IAM may share a host with DWS and still be unreachable alone.
fn name_of(iam: &Endpoint) -> String {
    format!("IAM {}", iam.host)
}

/// One login, unless IAM is unreachable and the time to try again has not come.
async fn log_in(
    context: &Context,
    object: &ClusterRedistribution,
    source: &CredentialSource,
    user: &User,
    iam: &Endpoint,
    permit: LoginPermit<'_>,
) -> Result<Token, NotReady> {
    let project = &object.spec.project_id;
    let name = name_of(iam);
    let unreachable = |recheck_after| NotReady::Hold(messages::unreachable(source, &iam.host, recheck_after));
    match context.admission.health(&name, false) {
        Health::Open | Health::Probe => {}
        Health::Probing(pause) => return Err(NotReady::RecheckSoon(jittered(pause.max(MOMENT)))),
        Health::Wait(pause) => {
            context.admission.wait(&object_name(object));
            return Err(unreachable(jittered(pause.max(MOMENT) * 2)));
        }
    }
    let login = context.cloud.login(user, project, iam, Timestamp::now()).await;
    tracing::info!(iam = iam.host, project, result = login.label(), "asked IAM for a token");
    let is_host_unreachable = login.is_host_unreachable();
    let result = permit.finish(login);
    // Any answer shows that the host is reachable. A failure of this user's login does not affect other users.
    let pause = is_host_unreachable.then(|| context.admission.unreachable(&name));
    if pause.is_none() {
        context.admission.reachable(&name);
    }
    result.map_err(|denied| match (denied, pause) {
        (Denied::Unreachable, Some(pause)) => unreachable(pause),
        (denied, _) => NotReady::Hold(messages::denied(denied, source, &iam.host, project)),
    })
}
