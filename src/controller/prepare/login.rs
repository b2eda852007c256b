//! From an account to what a request is authenticated with: an access key is that already, a user needs a token. Nothing is
//! claimed yet, and nothing that is asked of IAM here changes anything.

use std::time::Duration;

use k8s_openapi::jiff::Timestamp;

use super::{NotReady, object_name};
use crate::{
    admission::Reach,
    api::ClusterRedistribution,
    cloud::{
        auth::{Key, User},
        token::Token,
    },
    controller::{context::Context, messages::iam as told},
    credentials::{
        CredentialsError, Rung,
        secret::Account,
        tokens::{Denied, Entered, Names, Permit},
    },
    protocol::{decide::Plan, regions::Endpoint},
    runtime::jitter::jittered,
};

/// A moment, in which somebody else's login may be over.
const MOMENT: Duration = Duration::from_secs(1);

/// The IAM of the plan's region; a hold if nobody said where it is.
pub fn iam<'a>(context: &'a Context, plan: &Plan, rung: &Rung) -> Result<&'a Endpoint, CredentialsError> {
    let region = &plan.endpoint.region;
    let unknown = || CredentialsError::NoIam { of: rung.in_words(), region: region.clone() };
    context.rules.regions.iam(region).ok_or_else(unknown)
}

/// What the call will be authenticated with.
pub async fn key(
    context: &Context,
    object: &ClusterRedistribution,
    plan: &Plan,
    rung: &Rung,
    (account, patience): (Account, Duration),
) -> Result<Key, NotReady> {
    let user = match account {
        Account::Pair(pair) => return Ok(Key::Pair(pair)),
        Account::User(user) => user,
    };
    let iam = iam(context, plan, rung).map_err(super::wrong)?;
    // Nothing is claimed yet, so nobody has to wait for it once nothing may be claimed any more.
    tokio::select! {
        token = token(context, object, plan, rung, (&user, iam, patience)) => token.map(Key::Token),
        () = context.closing.cancelled() => Err(NotReady::InAMoment(MOMENT)),
    }
}

async fn token(
    context: &Context,
    object: &ClusterRedistribution,
    plan: &Plan,
    rung: &Rung,
    (user, iam, patience): (&User, &Endpoint, Duration),
) -> Result<Token, NotReady> {
    let project = &object.spec.project_id;
    let account = context.credentials.account(user);
    let purpose = context.credentials.purpose(account, iam, project, &plan.endpoint);
    let held = |denied| NotReady::Held(told::denied(denied, rung, &iam.host, project));
    // While IAM is known to be away nobody waits for whoever finds out whether it still is.
    let patience = if context.gate.is_away(&name_of(iam)) { Duration::ZERO } else { patience };
    match context.logins.enter(Names { account, purpose }, patience).await {
        Entered::Token(token) => Ok(token),
        Entered::Busy => Err(NotReady::InAMoment(jittered(MOMENT * 2))),
        Entered::Denied(denied) => Err(held(denied)),
        Entered::Login(permit) => {
            let meanwhile = permit.meanwhile();
            match (log_in(context, object, rung, user, iam, permit).await, meanwhile) {
                // It is only time to renew it: what there is does, unless the refusal has ended that too.
                (Err(_), Some(token)) if !token.has_ended() => Ok(token),
                (result, _) => result,
            }
        }
    }
}

/// What the gate knows it by: IAM may have the host of DWS, and still be away alone.
fn name_of(iam: &Endpoint) -> String {
    format!("IAM {}", iam.host)
}

/// One login, unless IAM was found away and the time to try again has not come.
async fn log_in(
    context: &Context,
    object: &ClusterRedistribution,
    rung: &Rung,
    user: &User,
    iam: &Endpoint,
    permit: Permit<'_>,
) -> Result<Token, NotReady> {
    let project = &object.spec.project_id;
    let name = name_of(iam);
    let away = |again| NotReady::Held(told::away(rung, &iam.host, again));
    match context.gate.reach(&name, false) {
        Reach::Open | Reach::Probe => {}
        Reach::Probing(rest) => return Err(NotReady::InAMoment(jittered(rest.max(MOMENT)))),
        Reach::Wait(rest) => {
            context.gate.wait(&object_name(object));
            return Err(away(jittered(rest.max(MOMENT) * 2)));
        }
    }
    let login = context.cloud.login(user, project, iam, Timestamp::now()).await;
    tracing::info!(iam = iam.host, project, result = login.label(), "asked IAM for a token");
    let is_host_away = login.is_host_away();
    let result = permit.finish(login);
    // Any answer shows that the host is there. What is wrong with this user's login is not held against the others.
    let pause = is_host_away.then(|| context.gate.unreachable(&name));
    if pause.is_none() {
        context.gate.reachable(&name);
    }
    result.map_err(|denied| match (denied, pause) {
        (Denied::Away, Some(pause)) => away(pause),
        (denied, _) => NotReady::Held(told::denied(denied, rung, &iam.host, project)),
    })
}
