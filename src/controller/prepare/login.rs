//! From an account to what a request is authenticated with: an access key is that already, a user needs a token. Nothing is
//! claimed yet, and nothing that is asked of IAM here changes anything.

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
    controller::{context::Context, messages::iam as told},
    credentials::{
        CredentialSource, CredentialsError,
        secret::Credential,
        tokens::{Acquired, Denied, LoginPermit, TokenKey},
    },
    protocol::{decide::Plan, regions::Endpoint},
    runtime::jitter::jittered,
};

/// A moment, in which somebody else's login may be over.
const MOMENT: Duration = Duration::from_secs(1);

/// The IAM of the plan's region; a hold if nobody said where it is.
pub fn iam<'a>(context: &'a Context, plan: &Plan, source: &CredentialSource) -> Result<&'a Endpoint, CredentialsError> {
    let region = &plan.endpoint.region;
    let unknown = || CredentialsError::NoIam { credentials: source.display_name(), region: region.clone() };
    context.rules.regions.iam(region).ok_or_else(unknown)
}

/// What the call will be authenticated with.
pub async fn key(
    context: &Context,
    object: &ClusterRedistribution,
    plan: &Plan,
    source: &CredentialSource,
    (account, patience): (Credential, Duration),
) -> Result<Key, NotReady> {
    let user = match account {
        Credential::AccessKey(pair) => return Ok(Key::AccessKey(pair)),
        Credential::User(user) => user,
    };
    let iam = iam(context, plan, source).map_err(super::wrong)?;
    // Nothing is claimed yet, so nobody has to wait for it once nothing may be claimed any more.
    tokio::select! {
        token = token(context, object, plan, source, (&user, iam, patience)) => token.map(Key::Token),
        () = context.closing.cancelled() => Err(NotReady::Shortly(MOMENT)),
    }
}

async fn token(
    context: &Context,
    object: &ClusterRedistribution,
    plan: &Plan,
    source: &CredentialSource,
    (user, iam, patience): (&User, &Endpoint, Duration),
) -> Result<Token, NotReady> {
    let project = &object.spec.project_id;
    let account = context.credentials.user_identity(user);
    let scope = context.credentials.token_scope(account, iam, project, &plan.endpoint);
    let held = |denied| NotReady::Hold(told::denied(denied, source, &iam.host, project));
    // While IAM is known to be away nobody waits for whoever finds out whether it still is.
    let patience = if context.admission.is_unreachable(&name_of(iam)) { Duration::ZERO } else { patience };
    match context.tokens.acquire(TokenKey { user: account, scope }, patience).await {
        Acquired::Token(token) => Ok(token),
        Acquired::InProgress => Err(NotReady::Shortly(jittered(MOMENT * 2))),
        Acquired::Denied(denied) => Err(held(denied)),
        Acquired::Login(permit) => {
            let meanwhile = permit.stale_token();
            match (log_in(context, object, source, user, iam, permit).await, meanwhile) {
                // It is only time to renew it: what there is does, unless the refusal has ended that too.
                (Err(_), Some(token)) if !token.has_ended() => Ok(token),
                (result, _) => result,
            }
        }
    }
}

/// What the admission knows it by: IAM may have the host of DWS, and still be away alone.
fn name_of(iam: &Endpoint) -> String {
    format!("IAM {}", iam.host)
}

/// One login, unless IAM was found away and the time to try again has not come.
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
    let away = |again| NotReady::Hold(told::away(source, &iam.host, again));
    match context.admission.health(&name, false) {
        Health::Open | Health::Probe => {}
        Health::Probing(rest) => return Err(NotReady::Shortly(jittered(rest.max(MOMENT)))),
        Health::Wait(rest) => {
            context.admission.wait(&object_name(object));
            return Err(away(jittered(rest.max(MOMENT) * 2)));
        }
    }
    let login = context.cloud.login(user, project, iam, Timestamp::now()).await;
    tracing::info!(iam = iam.host, project, result = login.label(), "asked IAM for a token");
    let is_host_unreachable = login.is_host_unreachable();
    let result = permit.finish(login);
    // Any answer shows that the host is there. What is wrong with this user's login is not held against the others.
    let pause = is_host_unreachable.then(|| context.admission.unreachable(&name));
    if pause.is_none() {
        context.admission.reachable(&name);
    }
    result.map_err(|denied| match (denied, pause) {
        (Denied::Unreachable, Some(pause)) => away(pause),
        (denied, _) => NotReady::Hold(told::denied(denied, source, &iam.host, project)),
    })
}
