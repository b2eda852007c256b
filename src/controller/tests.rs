use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use super::{
    run::{error_policy, is_expected},
    tasks::Ended,
    *,
};
use crate::{
    api::{Attempt, AttemptState},
    runtime::synced::Synced,
    testing::{
        mock::{Fault, Server, Setup, claim, reconciler},
        sample::{UID, attempt, attempted, fresh},
    },
};

fn attempt_of(server: &Server) -> Attempt {
    *server.object().status.unwrap().attempt.unwrap()
}

fn reason_of(server: &Server) -> String {
    server.value()["status"]["conditions"][1]["reason"].as_str().unwrap().to_owned()
}

fn stored(server: &Server) -> StoredObject {
    StoredObject { object: Ok(server.object()) }
}

fn leader(server: &Server) -> Arc<Reconciler> {
    reconciler(server, Setup::default())
}

/// Reconciles again and again, as triggers do, until status shows this reason.
async fn until_reported(controller: &Arc<Reconciler>, server: &Server, reason: &str) {
    let is_reported = || server.value()["status"]["conditions"][1]["reason"] == reason;
    let reported = async {
        while !is_reported() {
            controller.reconcile(&stored(server)).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reported).await.unwrap();
}

#[tokio::test]
async fn a_claim_applied_behind_an_intermediarys_refusal_is_retracted() {
    for code in [400, 403, 404, 405, 413, 422] {
        let mut first = true;
        let server = Server::new(&fresh(1), move |method, _| {
            (method == "PUT" && std::mem::take(&mut first)).then_some(Fault::AppliedButError(code))
        });
        let controller = leader(&server);
        assert!(matches!(claim(&controller, &server).await, Ended::Failed(_)), "{code}");
        assert_eq!(attempt_of(&server).state, "Claimed", "it was applied nevertheless");
        controller.reconcile(&stored(&server)).await.unwrap();
        let attempt = attempt_of(&server);
        assert_eq!((attempt.state.as_str(), attempt.closed), ("NotSent", Some(false)), "{code}");
    }
}

#[tokio::test]
async fn a_claim_that_could_not_be_read_back_is_retracted() {
    let mut requests = 0;
    let server = Server::new(&fresh(1), move |_, _| {
        requests += 1;
        // The claim, and its read-back.
        [Some(Fault::AppliedButError(504)), Some(Fault::Rejected(403)), None]
            .into_iter()
            .nth(requests.min(3) - 1)
            .flatten()
    });
    let controller = leader(&server);
    assert!(matches!(claim(&controller, &server).await, Ended::Failed(Error { source: StoreError::Refused(_), .. })));
    controller.reconcile(&stored(&server)).await.unwrap();
    assert_eq!(attempt_of(&server).state, "NotSent");
}

#[tokio::test]
async fn an_abandoned_claim_is_retracted_by_its_process_even_without_the_lease() {
    for (state, closed, reason) in
        [(AttemptState::Claimed, Some(false), "ClaimTooSlow"), (AttemptState::Unknown, Some(true), "NotSent")]
    {
        let server = Server::new(&attempted(1, attempt("a", 1, state)), |_, _| None);
        let controller = reconciler(&server, Setup { leads: false, ..Setup::default() });
        controller.reconcile(&stored(&server)).await.unwrap();
        assert_eq!(
            attempt_of(&server).state,
            state.as_str(),
            "it is not this process's claim, and another process leads"
        );
        controller.decider.attempts().abandon(UID, "a");
        controller.reconcile(&stored(&server)).await.unwrap();
        let attempt = attempt_of(&server);
        assert_eq!((attempt.state.as_str(), attempt.closed), ("NotSent", closed));
        assert_eq!(reason_of(&server), reason);
        // A closed generation stays closed, and nothing new begins without the lease.
        controller.decider.attempts().note(&server.object(), Instant::now());
        controller.reconcile(&stored(&server)).await.unwrap();
        assert_eq!(attempt_of(&server), attempt);
    }
}

#[tokio::test]
async fn retracting_an_older_generations_claim_does_not_affect_the_newer_one() {
    let server = Server::new(&attempted(2, attempt("a", 1, AttemptState::Claimed)), |_, _| None);
    let controller = leader(&server);
    controller.decider.attempts().abandon(UID, "a");
    controller.decider.attempts().sending(UID, 2, Instant::now());
    controller.reconcile(&stored(&server)).await.unwrap();
    assert_eq!(attempt_of(&server).state, "NotSent");
    assert!(controller.decider.attempts().may_have_sent(UID, 2));
    assert_eq!(controller.decider.attempts().retry_in(UID, 2, Instant::now()), None);
}

#[tokio::test]
async fn a_not_sent_outcome_is_kept_for_an_object_that_seemed_gone() {
    let seems_gone = Arc::new(AtomicBool::new(true));
    let hides = Arc::clone(&seems_gone);
    let mut is_claimed = false;
    let server = Server::new(&fresh(1), move |_, _| {
        let hides = is_claimed && hides.load(Ordering::SeqCst);
        is_claimed = true;
        hides.then_some(Fault::Rejected(404))
    });
    let controller = leader(&server);
    assert!(matches!(claim(&controller, &server).await, Ended::Done));
    assert_eq!(attempt_of(&server).state, "Claimed", "no other state could be written");
    seems_gone.store(false, Ordering::SeqCst);
    controller.reconcile(&stored(&server)).await.unwrap();
    assert_eq!(attempt_of(&server).state, "NotSent");
}

#[tokio::test]
async fn a_suspended_object_is_reported_even_with_unreadable_credentials() {
    let mut object = fresh(1);
    object.metadata.annotations = Some([(crate::protocol::annotations::SUSPEND.to_owned(), "true".to_owned())].into());
    let server = Server::new(&object, |_, _| None);
    server.secret_answers(500);
    let controller = leader(&server);
    controller.reconcile(&stored(&server)).await.unwrap();
    assert_eq!(reason_of(&server), "Suspended");
    let message = server.value()["status"]["conditions"][1]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("This would still prevent the call") && message.contains("answered 500"), "{message}");
}

#[tokio::test]
async fn a_status_not_found_on_an_existing_object_is_retried_with_backoff() {
    let mut object = fresh(1);
    object.metadata.annotations = Some([(crate::protocol::annotations::SUSPEND.to_owned(), "true".to_owned())].into());
    let server = Server::new(&object, |method, _| (method == "PUT").then_some(Fault::Rejected(404)));
    let controller = leader(&server);
    for failures in 1..=8 {
        let error = controller.reconcile(&stored(&server)).await.unwrap_err();
        assert!(matches!(error, Error { source: StoreError::Gone, .. }), "{error}");
        let _pause = error_policy(Arc::new(stored(&server)), &error, Arc::clone(&controller));
        assert_eq!(controller.failures.count(UID), failures, "each pause is longer");
    }
    assert!(controller.failures.pause_after(UID, Instant::now()) >= Duration::from_secs(30));
}

#[tokio::test]
async fn nothing_begins_before_the_first_list_of_the_scope_is_complete() {
    let server = Server::new(&fresh(1), |_, _| None);
    let synced = Synced::new(&["elsewhere".to_owned(), "team".to_owned()]);
    let controller = reconciler(&server, Setup { synced: synced.clone(), ..Setup::default() });
    assert!(synced.complete(0));
    let action = controller.reconcile(&stored(&server)).await.unwrap();
    assert_eq!((action, server.secret_reads()), (Action::await_change(), 0));
    assert!(synced.complete(1));
    until_reported(&controller, &server, "CredentialsNotFound").await;
    assert_eq!(server.secret_reads(), 1, "its call was prepared");
}

#[tokio::test]
async fn a_task_whose_object_is_gone_fails_and_the_object_is_tried_again_later() {
    let server = Server::new(&fresh(1), |method, _| (method == "GET").then_some(Fault::Rejected(404)));
    server.secret_answers(200);
    let controller = leader(&server);
    let failed = async {
        loop {
            match controller.reconcile(&stored(&server)).await {
                Err(error) => return error,
                Ok(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    let error = tokio::time::timeout(Duration::from_secs(60), failed).await.unwrap();
    assert!(matches!(error, Error { source: StoreError::Gone, .. }), "{error}");
    assert!(is_expected(&error, 1));
    assert_eq!(server.object(), fresh(1), "nothing was written");
}

#[tokio::test]
async fn an_unreachable_endpoint_is_reported_by_the_reconcile_after_its_task() {
    let server = Server::new(&fresh(1), |_, _| None);
    let controller = leader(&server);
    let host = controller.decider.rules.regions.resolve(None).unwrap().host.clone();
    controller.cloud.health().failed(&host);
    until_reported(&controller, &server, "EndpointUnreachable").await;
    assert_eq!(server.secret_reads(), 0, "no Secret is read for it");
}

#[tokio::test(start_paused = true)]
async fn credentials_that_cannot_be_read_three_times_are_reported() {
    let server = Server::new(&fresh(1), |_, _| None);
    server.secret_answers(500);
    let controller = leader(&server);
    until_reported(&controller, &server, "CredentialsInvalid").await;
    assert_eq!(server.secret_reads(), 3);
    let message = server.value()["status"]["conditions"][1]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("the API server answered 500"), "{message}");
}

#[tokio::test]
async fn a_waiting_task_holds_little_more_than_its_plan() {
    let server = Server::new(&fresh(1), |_, _| None);
    let controller = leader(&server);
    let Step::Call(plan) = controller.decider.decide(&fresh(1)) else { panic!("nothing to call") };
    let mut size = 0;
    let run = |handle| {
        let run = Arc::clone(&controller).call(Arc::new(plan.clone()), handle);
        size = size_of_val(&run);
        run
    };
    let _waiting = controller.tasks.ensure(UID, (&Work::Call(Arc::new(plan.clone())), (1, false)), run, |_, _| ());
    // The plan is shared with the table of tasks.
    assert!(size <= 2048, "{size} bytes");
}

#[tokio::test]
async fn a_call_that_only_the_object_in_the_api_server_shows_is_begun() {
    let server = Server::new(&fresh(1), |_, _| None);
    let controller = leader(&server);
    let mut cached = server.object();
    cached.metadata.annotations = Some([(crate::protocol::annotations::SUSPEND.to_owned(), "true".to_owned())].into());
    let cached = StoredObject { object: Ok(cached) };
    let reported = async {
        // The cached view stays as it is, and does not end the task either.
        while server.value()["status"]["conditions"][1]["reason"] != "CredentialsNotFound" {
            controller.reconcile(&cached).await.unwrap();
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), reported).await.unwrap();
    assert_eq!(server.secret_reads(), 1);
}
