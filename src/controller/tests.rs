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

fn guarded(server: &Server) -> Arc<StoredObject> {
    Arc::new(StoredObject { seen: None, object: Ok(server.object()) })
}

#[tokio::test]
async fn a_claim_that_a_refusal_of_somebody_on_the_way_has_hidden_is_recalled_and_not_given_up_as_unknown() {
    for code in [400, 403, 404, 405, 413, 422] {
        let mut first = true;
        let server = Server::new(&fresh(1), move |method, _| {
            (method == "PUT" && std::mem::take(&mut first)).then_some(Fault::AppliedButError(code))
        });
        let context = context(&server, true);
        assert!(matches!(claim(&context, &server).await, Delivered::NotClaimed(_)), "{code}");
        assert_eq!(attempt_of(&server).state, "Claimed", "it was applied all the same");
        reconcile(guarded(&server), Arc::clone(&context)).await.unwrap();
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
    let action = reconcile(guarded(&server), Arc::clone(&context)).await.unwrap();
    assert_eq!((action, server.secret_reads()), (Action::await_change(), 0));
    assert!(synced.complete(1));
    let _held = reconcile(guarded(&server), context).await;
    assert_eq!(server.secret_reads(), 1, "its call is prepared");
}

#[tokio::test]
async fn a_claim_that_nobody_could_be_asked_about_is_recalled_too() {
    let mut requests = 0;
    let server = Server::new(&fresh(1), move |_, _| {
        requests += 1;
        // The claim, and the look for it.
        [Some(Fault::AppliedButError(504)), Some(Fault::Rejected(403)), None]
            .into_iter()
            .nth(requests.min(3) - 1)
            .flatten()
    });
    let context = context(&server, true);
    assert!(matches!(claim(&context, &server).await, Delivered::NotClaimed(WriteError::Refused(_))));
    reconcile(guarded(&server), Arc::clone(&context)).await.unwrap();
    assert_eq!(attempt_of(&server).state, "NotSent");
}

#[tokio::test]
async fn what_was_given_up_is_recalled_by_whoever_knows_it_also_after_losing_the_lease() {
    for (state, closed, reason) in
        [(AttemptState::Claimed, Some(false), "ClaimTooSlow"), (AttemptState::Unknown, Some(true), "NotSent")]
    {
        let server = Server::new(&attempted(1, attempt("a", 1, state)), |_, _| None);
        let context = context(&server, false);
        reconcile(guarded(&server), Arc::clone(&context)).await.unwrap();
        assert_eq!(attempt_of(&server).state, state.as_str(), "nothing of ours, and somebody else leads");
        context.attempts().abandon(UID, "a");
        reconcile(guarded(&server), Arc::clone(&context)).await.unwrap();
        let attempt = attempt_of(&server);
        assert_eq!((attempt.state.as_str(), attempt.closed), ("NotSent", closed));
        assert_eq!(reason_of(&server), reason);
        // Closed stays closed, and nothing else is begun without the lease.
        context.attempts().note(&server.object(), Instant::now());
        reconcile(guarded(&server), Arc::clone(&context)).await.unwrap();
        assert_eq!(attempt_of(&server), attempt);
    }
}

#[tokio::test]
async fn recalling_a_claim_of_an_older_generation_makes_the_newer_one_neither_wait_nor_forget() {
    let server = Server::new(&attempted(2, attempt("a", 1, AttemptState::Claimed)), |_, _| None);
    let context = context(&server, true);
    context.attempts().abandon(UID, "a");
    context.attempts().sending(UID, 2, Instant::now());
    reconcile(guarded(&server), Arc::clone(&context)).await.unwrap();
    assert_eq!(attempt_of(&server).state, "NotSent");
    assert!(context.attempts().may_have_sent(UID, 2));
    assert_eq!(context.attempts().retry_in(UID, 2, Instant::now()), None);
}

#[tokio::test]
async fn what_was_not_sent_stays_known_of_an_object_that_seemed_gone_while_that_was_written_down() {
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
    assert_eq!(attempt_of(&server).state, "Claimed", "nobody could write anything else");
    seems_gone.store(false, Ordering::SeqCst);
    reconcile(guarded(&server), Arc::clone(&context)).await.unwrap();
    assert_eq!(attempt_of(&server).state, "NotSent");
}

#[tokio::test]
async fn an_object_that_seems_gone_leaves_its_line_to_the_next_and_is_looked_at_again() {
    let server = Server::new(&fresh(1), |method, _| (method == "GET").then_some(Fault::Rejected(404)));
    let (context, mut called) = in_line(&server).await;
    let action = reconcile(guarded(&server), Arc::clone(&context)).await.unwrap();
    assert_ne!(action, Action::await_change(), "should the watch not tell");
    assert_eq!(called.try_recv().unwrap().1, "next");
}

#[tokio::test]
async fn nothing_is_said_against_an_endpoint_that_somebody_merely_tries() {
    let server = Server::new(&fresh(1), |_, _| None);
    let context = context(&server, true);
    let host = context.rules.regions.resolve(None).unwrap().host;
    assert_eq!(context.admission.health(&host, true), crate::admission::Health::Probe, "another object tries it");
    let before = server.value();
    reconcile(guarded(&server), Arc::clone(&context)).await.unwrap();
    assert_eq!(server.value(), before, "nothing is written");
    context.admission.unreachable(&host);
    reconcile(guarded(&server), Arc::clone(&context)).await.unwrap();
    assert_eq!(reason_of(&server), "EndpointUnreachable");
}

#[tokio::test]
async fn credentials_that_cannot_be_read_again_and_again_are_said_and_looked_at_on() {
    let server = Server::new(&fresh(1), |_, _| None);
    server.secret_answers(500);
    let context = context(&server, true);
    for look in 1..=4 {
        let object = guarded(&server);
        let error = reconcile(Arc::clone(&object), Arc::clone(&context)).await.unwrap_err();
        assert!(matches!(error, Error::Credentials { .. }), "{error}");
        let said = server.value()["status"]["conditions"][1]["reason"] == "CredentialsInvalid";
        assert_eq!(said, look >= 3, "look {look}");
        let _pause = error_policy(object, &error, Arc::clone(&context));
    }
    let message = server.value()["status"]["conditions"][1]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("the API server answered 500"), "{message}");
}

#[tokio::test]
async fn a_suspended_object_says_so_also_where_its_credentials_cannot_be_read() {
    let mut object = fresh(1);
    object.metadata.annotations = Some([(crate::protocol::annotations::SUSPEND.to_owned(), "true".to_owned())].into());
    let server = Server::new(&object, |_, _| None);
    server.secret_answers(500);
    let context = context(&server, true);
    reconcile(guarded(&server), Arc::clone(&context)).await.unwrap();
    assert_eq!(reason_of(&server), "Suspended");
    let message = server.value()["status"]["conditions"][1]["message"].as_str().unwrap().to_owned();
    assert!(message.contains("Not in order yet") && message.contains("answered 500"), "{message}");
}

/// The same context with the admission in which `sample` is woken.
async fn in_line(server: &Server) -> (Arc<Context>, mpsc::UnboundedReceiver<ObjectName>) {
    let (admission, called) = sample_is_woken().await;
    let mut context = context(server, true);
    Arc::get_mut(&mut context).unwrap().admission = admission;
    (context, called)
}

#[tokio::test]
async fn who_was_called_up_and_has_no_secret_any_more_leaves_its_line_to_the_next() {
    let server = Server::new(&fresh(1), |_, _| None);
    let (context, mut called) = in_line(&server).await;
    reconcile(guarded(&server), Arc::clone(&context)).await.unwrap();
    assert_eq!(reason_of(&server), "CredentialsNotFound");
    assert_eq!(called.try_recv().unwrap().1, "next");
}

#[tokio::test]
async fn who_was_called_up_and_wants_no_call_any_more_leaves_its_line_to_the_next() {
    let mut object = fresh(1);
    object.metadata.annotations = Some([(crate::protocol::annotations::SUSPEND.to_owned(), "true".to_owned())].into());
    let server = Server::new(&object, |_, _| None);
    let (context, mut called) = in_line(&server).await;
    reconcile(guarded(&server), Arc::clone(&context)).await.unwrap();
    assert_eq!(called.try_recv().unwrap().1, "next");
}

#[tokio::test]
async fn who_was_called_up_and_cannot_be_read_any_more_leaves_its_line_to_the_next() {
    let server = Server::new(&fresh(1), |_, _| None);
    let (context, mut called) = in_line(&server).await;
    let invalid = InvalidObject { metadata: fresh(1).metadata, error: "unknown redis_mode".to_owned() };
    let object = Arc::new(StoredObject { seen: None, object: Err(invalid) });
    // What the API server says of the note on the object decides nothing here.
    drop(reconcile(object, Arc::clone(&context)).await);
    assert_eq!(called.try_recv().unwrap().1, "next");
}

#[tokio::test]
async fn who_was_called_up_and_is_not_in_the_cache_any_more_leaves_its_line_to_the_next() {
    let server = Server::new(&fresh(1), |_, _| None);
    let (context, mut called) = in_line(&server).await;
    let (cache, mut writer) = kube::runtime::reflector::store::<StoredObject>();
    writer.apply_watcher_event(&watcher::Event::Init);
    writer.apply_watcher_event(&watcher::Event::InitDone);
    let woken = futures::stream::iter([object_name(&fresh(1))]).chain(futures::stream::pending());
    let running = tokio::spawn(run(Arc::clone(&context), futures::stream::pending(), cache, woken, 1));
    let next = tokio::time::timeout(Duration::from_secs(60), called.recv()).await.unwrap().unwrap();
    running.abort();
    assert_eq!(next.1, "next");
}

#[tokio::test]
async fn a_status_that_is_not_found_on_an_object_that_is_there_is_tried_later_each_time() {
    let mut object = fresh(1);
    object.metadata.annotations = Some([(crate::protocol::annotations::SUSPEND.to_owned(), "true".to_owned())].into());
    let server = Server::new(&object, |method, _| (method == "PUT").then_some(Fault::Rejected(404)));
    let context = context(&server, true);
    for look in 1..=8 {
        let error = reconcile(guarded(&server), Arc::clone(&context)).await.unwrap_err();
        assert!(matches!(error, Error::Write { source: WriteError::Gone, .. }), "{error}");
        let _pause = error_policy(guarded(&server), &error, Arc::clone(&context));
        assert_eq!(context.failures_of(UID), look, "each pause is longer");
    }
    assert!(context.pause_after_failure(UID, Instant::now()) >= Duration::from_secs(30));
}

#[tokio::test]
async fn many_objects_that_fail_for_long_are_looked_at_less_than_once_a_second() {
    let server = Server::new(&fresh(1), |_, _| None);
    let context = context(&server, true);
    let objects = 50_u32;
    let (begun, each) = (Instant::now(), |now| {
        (0..objects).map(|object| context.pause_after_failure(&object.to_string(), now)).collect::<Vec<_>>()
    });
    for look in 0..10 {
        let now = begun + Duration::from_secs(30) * look;
        assert!(each(now).iter().all(|pause| *pause <= Duration::from_secs(60)), "an outage may end soon");
    }
    let pauses = each(begun + Duration::from_secs(300));
    assert!(pauses.iter().all(|pause| *pause >= Duration::from_secs(1) * objects), "{pauses:?}");
}
