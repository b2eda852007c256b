use std::time::{Duration, Instant};

use futures::FutureExt;

use super::{Admission, Core};
use crate::{
    cloud::outcome::KeyEffect,
    testing::mock::{candidate, sample_is_woken},
};

#[tokio::test]
async fn a_change_of_key_leaves_the_old_queue_and_wakes_its_next_object() {
    let (admission, mut woken) = sample_is_woken().await;
    let _permit = admission.enter(candidate("sample", "first", 2)).await.unwrap();
    assert_eq!(woken.try_recv().unwrap().1, "next");
}

#[tokio::test]
async fn a_call_for_its_cluster_makes_it_leave_its_queue_and_wakes_the_next() {
    let (admission, mut woken) = sample_is_woken().await;
    let _permit = admission.enter(candidate("other", "first", 2)).await.unwrap();
    let refusal = admission.enter(candidate("sample", "first", 1)).await.unwrap_err();
    assert!(matches!(refusal, super::Refusal::AnotherCall { .. }), "{refusal:?}");
    assert_eq!(woken.try_recv().unwrap().1, "next");
}

#[tokio::test]
async fn a_woken_object_that_comes_is_admitted_and_no_other_is_woken() {
    let (admission, mut woken) = sample_is_woken().await;
    let admitted = admission.enter(candidate("sample", "first", 1)).await.unwrap();
    assert!(woken.try_recv().is_err());
    drop(admitted);
    assert_eq!(woken.try_recv().unwrap().1, "next");
}

#[tokio::test]
async fn the_first_retry_after_a_429_wakes_those_before_it_and_follows() {
    let (mut core, minute) = (Core::new(2, 0.0), Duration::from_secs(60));
    let throttled_at = Instant::now().checked_sub(minute).unwrap();
    core.enter(&candidate("first", "any", 1), false, throttled_at).unwrap();
    core.leave(&candidate("first", "any", 1), Some(KeyEffect::Throttled(minute)), throttled_at);
    assert!(core.enter(&candidate("earlier", "first", 1), true, throttled_at).is_err());
    let (admission, mut woken) = Admission::new(core);
    let mut later = std::pin::pin!(admission.enter(candidate("later", "second", 1)));
    assert!(later.as_mut().now_or_never().is_none());
    assert_eq!(woken.try_recv().unwrap().1, "earlier");
    let admitted = admission.enter(candidate("earlier", "first", 1)).await.unwrap();
    assert!(later.as_mut().now_or_never().is_none(), "a key without an answer yet gets one call");
    drop(admitted);
    later.await.unwrap();
}
