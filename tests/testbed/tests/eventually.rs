//! Waiting for a condition: the returned value, and the message when the condition does not come.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use std::{convert::Infallible, time::Duration};

use testbed::{eventually, try_eventually};

#[tokio::test]
async fn the_first_success_is_returned() {
    let mut looks = 0;
    let seen = eventually(Duration::from_secs(30), "the third look", async || {
        looks += 1;
        if looks < 3 { Err(format!("look {looks}")) } else { Ok(looks) }
    });
    assert_eq!(seen.await, 3);
}

#[tokio::test]
async fn the_deadline_message_names_the_expected_and_the_last_seen_state() {
    let never = try_eventually(Duration::from_millis(20), "rain", async || Err::<Infallible, _>("sunshine"));
    assert_eq!(never.await.unwrap_err().to_string(), "expected within 20ms: rain; last seen: sunshine");
}

#[tokio::test]
async fn a_check_that_never_returns_does_not_outlast_the_deadline() {
    let never = try_eventually(Duration::from_millis(20), "an answer", async || {
        std::future::pending::<()>().await;
        Err::<Infallible, _>("")
    });
    assert!(never.await.unwrap_err().to_string().ends_with("(and one more look did not return in time)"));
}
