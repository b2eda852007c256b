use std::time::{Duration, Instant};

use futures::FutureExt;

use super::{Admission, Core};
use crate::{
    cloud::outcome::KeyEffect,
    testing::mock::{candidate, sample_is_woken},
};

#[tokio::test]
async fn who_comes_with_another_key_leaves_the_line_of_the_first_and_the_next_is_called_up() {
    let (admission, mut woken) = sample_is_woken().await;
    let _permit = admission.enter(candidate("sample", "first", 2)).await.unwrap();
    assert_eq!(woken.try_recv().unwrap().1, "next");
}

#[tokio::test]
async fn who_meets_another_call_for_its_cluster_leaves_its_line_and_the_next_is_called_up() {
    let (admission, mut woken) = sample_is_woken().await;
    let _permit = admission.enter(candidate("other", "first", 2)).await.unwrap();
    let refusal = admission.enter(candidate("sample", "first", 1)).await.unwrap_err();
    assert!(matches!(refusal, super::Refusal::AnotherCall { .. }), "{refusal:?}");
    assert_eq!(woken.try_recv().unwrap().1, "next");
}

#[tokio::test]
async fn who_comes_as_it_was_called_up_is_let_in_and_nobody_else_is_called_up() {
    let (admission, mut woken) = sample_is_woken().await;
    let admitted = admission.enter(candidate("sample", "first", 1)).await.unwrap();
    assert!(woken.try_recv().is_err());
    drop(admitted);
    assert_eq!(woken.try_recv().unwrap().1, "next");
}

#[tokio::test]
async fn after_a_429_whoever_looks_first_has_those_before_it_called_up_and_follows_them() {
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
    assert!(later.as_mut().now_or_never().is_none(), "a key without an answer yet carries one call");
    drop(admitted);
    later.await.unwrap();
}
