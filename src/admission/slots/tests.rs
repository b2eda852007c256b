use futures::FutureExt;
use tokio::{sync::mpsc, task::JoinHandle};

use super::*;
use crate::{api::Reason, credentials::CredentialSource};

const SECOND: Duration = Duration::from_secs(1);

fn id(key: u8, values: u8) -> CredentialId {
    let digests = KeyDigests { key: KeyIdentity::from([key; 32]), values: KeyIdentity::from([values; 32]) };
    CredentialId { digests, source: CredentialSource::Controller }
}

/// Requests of one namespace, each of which is answered at once and reports itself.
fn requests(
    slots: &Arc<Slots>,
    (of, name): (CredentialId, &'static str),
    count: usize,
    sent: &mpsc::UnboundedSender<&'static str>,
) -> Vec<JoinHandle<()>> {
    let one = |_| {
        let (slots, sent, of) = (Arc::clone(slots), sent.clone(), of.clone());
        tokio::spawn(async move {
            let mut slot = slots.slot(&of, Some(name.to_owned())).await.unwrap();
            slot.sends();
            slot.answered(Some(KeyEffect::Good));
            sent.send(name).unwrap();
        })
    };
    (0..count).map(one).collect()
}

async fn in_order(mut sent: mpsc::UnboundedReceiver<&'static str>, count: usize) -> Vec<&'static str> {
    let mut order = Vec::new();
    while order.len() < count {
        order.push(sent.recv().await.unwrap());
    }
    order
}

#[tokio::test(start_paused = true)]
async fn a_namespace_waits_one_slot_for_each_other_namespace_of_its_key() {
    let slots = Slots::new(SECOND);
    let (sender, sent) = mpsc::unbounded_channel();
    for name in ["a", "b", "c"] {
        requests(&slots, (id(1, 1), name), 1_000, &sender);
    }
    tokio::time::sleep(10 * SECOND).await;
    let began = Instant::now();
    requests(&slots, (id(1, 1), "late"), 1, &sender);
    let order = in_order(sent, 40).await;
    let at = order.iter().position(|name| *name == "late").unwrap();
    // Eleven were sent before it came; then at most one of each other namespace and the one that is under way.
    assert!((11..=11 + 4).contains(&at), "{at}: {order:?}");
    assert!(began.elapsed() <= 60 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn a_namespace_has_one_turn_also_once_its_values_are_proven() {
    let slots = Slots::new(SECOND);
    let (sender, sent) = mpsc::unbounded_channel();
    let mut first = slots.slot(&id(1, 1), Some("many".to_owned())).await.unwrap();
    first.sends();
    // These begin before the first answer, which proves the values.
    requests(&slots, (id(1, 1), "many"), 10, &sender);
    tokio::time::sleep(SECOND).await;
    first.answered(Some(KeyEffect::Good));
    requests(&slots, (id(1, 1), "many"), 10, &sender);
    requests(&slots, (id(1, 1), "few"), 5, &sender);
    let order = in_order(sent, 20).await;
    let between: Vec<_> = order.split(|name| *name == "few").map(<[_]>::len).collect();
    assert!(between.len() == 6 && between.iter().take(5).skip(1).all(|many| *many <= 1), "{order:?}");
}

#[tokio::test(start_paused = true)]
async fn requests_of_one_namespace_go_in_the_order_of_their_arrival() {
    let slots = Slots::new(SECOND);
    let (sender, sent) = mpsc::unbounded_channel();
    for name in ["1", "2", "3", "4"] {
        let (slots, sender) = (Arc::clone(&slots), sender.clone());
        tokio::spawn(async move {
            let mut slot = slots.slot(&id(1, 1), Some("team".to_owned())).await.unwrap();
            slot.sends();
            slot.answered(Some(KeyEffect::Good));
            sender.send(name).unwrap();
        });
        tokio::task::yield_now().await;
    }
    let began = Instant::now();
    assert_eq!(in_order(sent, 4).await, ["1", "2", "3", "4"]);
    assert_eq!(began.elapsed(), 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn another_key_waits_for_no_slot_of_this_one() {
    let slots = Slots::new(3600 * SECOND);
    for key in 1..=20 {
        assert!(slots.slot(&id(key, key), Some("team".to_owned())).now_or_never().is_some(), "{key}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_ends_the_wait_of_all_that_would_use_the_same_values() {
    let slots = Slots::new(SECOND);
    let mut first = slots.slot(&id(1, 1), Some("a".to_owned())).await.unwrap();
    first.sends();
    let waiting: Vec<_> = (0..10)
        .map(|_| {
            let slots = Arc::clone(&slots);
            tokio::spawn(async move { slots.slot(&id(1, 1), Some("b".to_owned())).await.map(drop) })
        })
        .collect();
    tokio::task::yield_now().await;
    first.answered(Some(KeyEffect::RejectedByGateway));
    for wait in waiting {
        let hold = wait.await.unwrap().unwrap_err();
        assert!(hold.message.contains("which had not worked before"), "{hold:?}");
    }
    assert!(slots.turns.is_empty() && slots.queues.is_empty() && slots.trials.is_empty());
}

#[tokio::test(start_paused = true)]
async fn unproven_values_never_make_five_wrong_signatures_of_one_key() {
    for refusals in 0..=2 {
        let slots = Slots::new(Duration::ZERO);
        for values in 101..101 + refusals {
            slots.keys.lock().learn(id(1, values).digests, KeyEffect::RejectedByGateway, now());
        }
        assert_eq!(usize::from(refusals) + refused_signatures(&slots).await, 4);
    }
}

/// How many of forty requests with wrong values of one key are refused by the gateway.
async fn refused_signatures(slots: &Arc<Slots>) -> usize {
    let mut tries = Vec::new();
    for values in 0..40_u8 {
        let slots = Arc::clone(slots);
        tries.push(tokio::spawn(async move {
            let mut slot = slots.slot(&id(1, values), Some(format!("team-{values}"))).await?;
            slot.sends();
            tokio::time::sleep(Duration::from_millis(200)).await;
            slot.answered(Some(KeyEffect::RejectedByGateway));
            Ok::<_, Hold>(())
        }));
    }
    let mut refused = 0;
    for one in tries {
        refused += usize::from(one.await.unwrap().is_ok());
    }
    refused
}

#[tokio::test(start_paused = true)]
async fn a_key_has_one_unproven_request_without_an_answer_for_ten_seconds() {
    let slots = Slots::new(Duration::ZERO);
    let slot = async |values| slots.slot(&id(1, values), Some("team".to_owned())).await.unwrap();
    let began = Instant::now();
    let unsent = slot(1).await;
    assert!(slot(2).now_or_never().is_none());
    drop(unsent);
    let mut answered = slot(2).await;
    answered.sends();
    answered.answered(Some(KeyEffect::Neutral));
    let mut dropped = slot(3).await;
    dropped.sends();
    drop(dropped);
    assert_eq!(began.elapsed(), Duration::ZERO);
    for (values, seconds) in [(1, 10), (2, 20)] {
        let mut hung = slot(values).await;
        assert_eq!(began.elapsed(), seconds * SECOND);
        hung.sends();
        hung.answered(None);
    }
    slots.keys.lock().worked(id(1, 1).digests);
    let _several = (slot(1).await, slot(1).await);
    assert_eq!(began.elapsed(), 20 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn proven_values_wait_for_no_trial_of_another_secret_of_their_key() {
    let slots = Slots::new(Duration::ZERO);
    slots.keys.lock().worked(id(1, 1).digests);
    let mut hung = slots.slot(&id(1, 2), Some("wrong".to_owned())).await.unwrap();
    hung.sends();
    let last = id(1, 3);
    let mut second = Box::pin(slots.slot(&last, Some("wrong".to_owned())));
    assert!((&mut second).now_or_never().is_none());
    for name in ["right", "wrong"] {
        assert!(slots.slot(&id(1, 1), Some(name.to_owned())).now_or_never().is_some(), "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_429_ends_the_wait_and_a_dropped_wait_takes_nothing() {
    let slots = Slots::new(SECOND);
    drop(slots.slot(&id(1, 1), Some("a".to_owned())).await.unwrap());
    let waiting = tokio::spawn({
        let slots = Arc::clone(&slots);
        async move { slots.slot(&id(1, 1), Some("b".to_owned())).await.map(drop) }
    });
    let dropped = tokio::spawn({
        let slots = Arc::clone(&slots);
        async move { slots.slot(&id(1, 1), Some("c".to_owned())).await.map(drop) }
    });
    tokio::task::yield_now().await;
    dropped.abort();
    slots.keys.lock().throttle(id(1, 1).digests.key, (Instant::now() + 60 * SECOND).into_std());
    assert_eq!(waiting.await.unwrap().unwrap_err().reason, Reason::Throttled);
    tokio::time::sleep(60 * SECOND).await;
    assert!(slots.slot(&id(1, 1), Some("c".to_owned())).await.is_ok());
    assert!(slots.turns.is_empty() && slots.queues.is_empty() && slots.trials.is_empty());
}
