use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Instant,
};

use kube::core::error_boundary::InvalidObject;
use tokio::sync::mpsc;

use super::*;
use crate::{
    api::{Attempt, AttemptState},
    controller::attempt::Delivered,
    runtime::synced::Synced,
    testing::{
        mock::{Fault, Server, claim, context, sample_is_woken},
        sample::{UID, attempt, attempted, fresh},
    },
};

fn attempt_of(server: &Server) -> Attempt {
    server.object().status.unwrap().attempt.unwrap()
}

fn reason_of(server: &Server) -> String {
    server.value()["status"]["conditions"][1]["reason"].as_str().unwrap().to_owned()
}

fn stored(server: &Server) -> Arc<StoredObject> {
    Arc::new(StoredObject { seen: None, object: Ok(server.object()) })
}

#[tokio::test]
async fn a_claim_applied_behind_an_intermediarys_refusal_is_retracted() {
    for code in [400, 403, 404, 405, 413, 422] {
        let mut first = true;
        let server = Server::new(&fresh(1), move |method, _| {
            (method == "PUT" && std::mem::take(&mut first)).then_some(Fault::AppliedButError(code))
        });
        let context = context(&server, true);
        assert!(matches!(claim(&context, &server).await, Delivered::NotClaimed(_)), "{code}");
        assert_eq!(attempt_of(&server).state, "Claimed", "it was applied nevertheless");
        reconcile(stored(&server), Arc::clone(&context)).await.unwrap();
        let attempt = attempt_of(&server);
        assert_eq!((attempt.state.as_str(), attempt.closed), ("NotSent", Some(false)), "{code}");
    }
}

#[tokio::test]
async fn nothing_is_claimed_before_the_first_list_of_the_scope_is_complete() {
    let server = Server::new(&fresh(1), |_, _| None);
    server.secret_answers(503);
    let mut context = Arc::into_inner(context(&server, true)).unwrap();
    let synced = Synced::new(&["elsewhere".to_owned(), "team".to_owned()]);
    context.synced = synced.clone();
    let context = Arc::new(context);
    assert!(synced.complete(0));
    let action = reconcile(stored(&server), Arc::clone(&context)).await.unwrap();
    assert_eq!((action, server.secret_reads()), (Action::await_change(), 0));
    assert!(synced.complete(1));
    let _held = reconcile(stored(&server), context).await;
    assert_eq!(server.secret_reads(), 1, "its call is prepared");
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
    let context = context(&server, true);
    assert!(matches!(claim(&context, &server).await, Delivered::NotClaimed(WriteError::Refused(_))));
    reconcile(stored(&server), Arc::clone(&context)).await.unwrap();
    assert_eq!(attempt_of(&server).state, "NotSent");
}

#[tokio::test]
async fn an_abandoned_claim_is_retracted_by_its_process_even_without_the_lease() {
    for (state, closed, reason) in
        [(AttemptState::Claimed, Some(false), "ClaimTooSlow"), (AttemptState::Unknown, Some(true), "NotSent")]
    {
        let server = Server::new(&attempted(1, attempt("a", 1, state)), |_, _| None);
        let context = context(&server, false);
        reconcile(stored(&server), Arc::clone(&context)).await.unwrap();
        assert_eq!(
            attempt_of(&server).state,
            state.as_str(),
            "it is not this process's claim, and another process leads"
        );
        context.attempts().abandon(UID, "a");
        reconcile(stored(&server), Arc::clone(&context)).await.unwrap();
        let attempt = attempt_of(&server);
        assert_eq!((attempt.state.as_str(), attempt.closed), ("NotSent", closed));
        assert_eq!(reason_of(&server), reason);
        // A closed generation stays closed, and nothing new begins without the lease.
        context.attempts().note(&server.object(), Instant::now());
        reconcile(stored(&server), Arc::clone(&context)).await.unwrap();
        assert_eq!(attempt_of(&server), attempt);
    }
}

#[tokio::test]
async fn retracting_an_older_generations_claim_does_not_affect_the_newer_one() {
    let server = Server::new(&attempted(2, attempt("a", 1, AttemptState::Claimed)), |_, _| None);
    let context = context(&server, true);
    context.attempts().abandon(UID, "a");
    context.attempts().sending(UID, 2, Instant::now());
    reconcile(stored(&server), Arc::clone(&context)).await.unwrap();
    assert_eq!(attempt_of(&server).state, "NotSent");
    assert!(context.attempts().may_have_sent(UID, 2));
    assert_eq!(context.attempts().retry_in(UID, 2, Instant::now()), None);
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
    let context = context(&server, true);
    assert!(matches!(claim(&context, &server).await, Delivered::NotSent));
    assert_eq!(attempt_of(&server).state, "Claimed", "no other state could be written");
    seems_gone.store(false, Ordering::SeqCst);
    reconcile(stored(&server), Arc::clone(&context)).await.unwrap();
    assert_eq!(attempt_of(&server).state, "NotSent");
}

#[tokio::test]
async fn an_object_that_seems_gone_leaves_the_queue_and_is_requeued() {
    let server = Server::new(&fresh(1), |method, _| (method == "GET").then_some(Fault::Rejected(404)));
    let (context, mut woken) = context_with_woken_sample(&server).await;
    let action = reconcile(stored(&server), Arc::clone(&context)).await.unwrap();
    assert_ne!(action, Action::await_change(), "in case the watch does not deliver it");
    assert_eq!(woken.try_recv().unwrap().1, "next");
}

#[tokio::test]
async fn an_endpoint_that_is_being_probed_is_not_reported() {
    let server = Server::new(&fresh(1), |_, _| None);
    let context = context(&server, true);
    let host = context.rules.regions.resolve(None).unwrap().host;
    assert_eq!(context.admission.health(&host, true), crate::admission::Health::Probe, "another object probes it");
    let before = server.value();
    reconcile(stored(&server), Arc::clone(&context)).await.unwrap();
    assert_eq!(server.value(), before, "nothing is written");
    context.admission.unreachable(&host);
    reconcile(stored(&server), Arc::clone(&context)).await.unwrap();
    assert_eq!(reason_of(&server), "EndpointUnreachable");
}

#[tokio::test]
async fn credentials_that_repeatedly_cannot_be_read_are_reported_and_retried() {
    let server = Server::new(&fresh(1), |_, _| None);
    server.secret_answers(500);
    let context = context(&server, true);
    for reconciliation in 1..=4 {
        let object = stored(&server);
        let error = reconcile(Arc::clone(&object), Arc::clone(&context)).await.unwrap_err();
        assert!(matches!(error, Error::Credentials { .. }), "{error}");
        let is_reported = server.value()["status"]["conditions"][1]["reason"] == "CredentialsInvalid";
        assert_eq!(is_reported, reconciliation >= 3, "reconciliation {reconciliation}");
        let _pause = error_policy(object, &error, Arc::clone(&context));
    }
    let message = server.value()["status"]["conditions"][1]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("the API server answered 500"), "{message}");
}

#[tokio::test]
async fn a_suspended_object_is_reported_even_with_unreadable_credentials() {
    let mut object = fresh(1);
    object.metadata.annotations = Some([(crate::protocol::annotations::SUSPEND.to_owned(), "true".to_owned())].into());
    let server = Server::new(&object, |_, _| None);
    server.secret_answers(500);
    let context = context(&server, true);
    reconcile(stored(&server), Arc::clone(&context)).await.unwrap();
    assert_eq!(reason_of(&server), "Suspended");
    let message = server.value()["status"]["conditions"][1]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("This would still prevent the call") && message.contains("answered 500"), "{message}");
}

/// A context whose admission has woken `sample`; and the objects that it wakes next.
async fn context_with_woken_sample(server: &Server) -> (Arc<Context>, mpsc::UnboundedReceiver<ObjectName>) {
    let (admission, woken) = sample_is_woken().await;
    let mut context = context(server, true);
    Arc::get_mut(&mut context).unwrap().admission = admission;
    (context, woken)
}

#[tokio::test]
async fn a_woken_object_without_its_secret_leaves_the_queue() {
    let server = Server::new(&fresh(1), |_, _| None);
    let (context, mut woken) = context_with_woken_sample(&server).await;
    reconcile(stored(&server), Arc::clone(&context)).await.unwrap();
    assert_eq!(reason_of(&server), "CredentialsNotFound");
    assert_eq!(woken.try_recv().unwrap().1, "next");
}

#[tokio::test]
async fn a_woken_object_that_was_suspended_leaves_the_queue() {
    let mut object = fresh(1);
    object.metadata.annotations = Some([(crate::protocol::annotations::SUSPEND.to_owned(), "true".to_owned())].into());
    let server = Server::new(&object, |_, _| None);
    let (context, mut woken) = context_with_woken_sample(&server).await;
    reconcile(stored(&server), Arc::clone(&context)).await.unwrap();
    assert_eq!(woken.try_recv().unwrap().1, "next");
}

#[tokio::test]
async fn a_woken_object_that_cannot_be_decoded_leaves_the_queue() {
    let server = Server::new(&fresh(1), |_, _| None);
    let (context, mut woken) = context_with_woken_sample(&server).await;
    let invalid = InvalidObject { metadata: fresh(1).metadata, error: "unknown redis_mode".to_owned() };
    let object = Arc::new(StoredObject { seen: None, object: Err(invalid) });
    // Whether the API server accepts the condition does not matter here.
    drop(reconcile(object, Arc::clone(&context)).await);
    assert_eq!(woken.try_recv().unwrap().1, "next");
}

#[tokio::test]
async fn a_woken_object_that_left_the_cache_leaves_the_queue() {
    let server = Server::new(&fresh(1), |_, _| None);
    let (context, mut next_woken) = context_with_woken_sample(&server).await;
    let (cache, mut writer) = kube::runtime::reflector::store::<StoredObject>();
    writer.apply_watcher_event(&watcher::Event::Init);
    writer.apply_watcher_event(&watcher::Event::InitDone);
    let woken = futures::stream::iter([object_name(&fresh(1))]).chain(futures::stream::pending());
    let running = tokio::spawn(run(Arc::clone(&context), futures::stream::pending(), cache, woken, 1));
    let next = tokio::time::timeout(Duration::from_secs(60), next_woken.recv()).await.unwrap().unwrap();
    running.abort();
    assert_eq!(next.1, "next");
}

#[tokio::test]
async fn a_status_not_found_on_an_existing_object_is_retried_with_backoff() {
    let mut object = fresh(1);
    object.metadata.annotations = Some([(crate::protocol::annotations::SUSPEND.to_owned(), "true".to_owned())].into());
    let server = Server::new(&object, |method, _| (method == "PUT").then_some(Fault::Rejected(404)));
    let context = context(&server, true);
    for failures in 1..=8 {
        let error = reconcile(stored(&server), Arc::clone(&context)).await.unwrap_err();
        assert!(matches!(error, Error::Write { source: WriteError::Gone, .. }), "{error}");
        let _pause = error_policy(stored(&server), &error, Arc::clone(&context));
        assert_eq!(context.failures_of(UID), failures, "each pause is longer");
    }
    assert!(context.pause_after_failure(UID, Instant::now()) >= Duration::from_secs(30));
}

#[tokio::test]
async fn many_objects_that_fail_for_long_are_retried_less_than_once_a_second() {
    let server = Server::new(&fresh(1), |_, _| None);
    let context = context(&server, true);
    let objects = 50_u32;
    let (begun, each) = (Instant::now(), |now| {
        (0..objects).map(|object| context.pause_after_failure(&object.to_string(), now)).collect::<Vec<_>>()
    });
    for round in 0..10 {
        let now = begun + Duration::from_secs(30) * round;
        assert!(each(now).iter().all(|pause| *pause <= Duration::from_secs(60)), "an outage may end soon");
    }
    let pauses = each(begun + Duration::from_secs(300));
    assert!(pauses.iter().all(|pause| *pause >= Duration::from_secs(1) * objects), "{pauses:?}");
}
