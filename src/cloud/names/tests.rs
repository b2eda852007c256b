//! DNS that is slow, silent, wrong and right again.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const NAME: &str = "dws.example.com";

/// A resolver whose answers take so many seconds, and how often it was asked.
fn taking(seconds: impl Fn(usize) -> (u64, bool) + Send + Sync + 'static) -> (Names, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let names = Names::new(move |_| {
        let (seconds, is_good) = seconds(count.fetch_add(1, Ordering::SeqCst));
        async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            if is_good {
                Ok(vec![([192, 0, 2, 1], 0).into()])
            } else {
                Err(io::Error::other("Name or service not known"))
            }
        }
        .boxed()
    });
    (names, asked)
}

#[tokio::test(start_paused = true)]
async fn an_answer_after_fifteen_seconds_is_waited_for_and_serves_a_minute() {
    let (names, asked) = taking(|_| (15, true));
    let begun = Instant::now();
    let (one, two) = tokio::join!(names.resolve(NAME), names.resolve(NAME));
    assert_eq!((one.unwrap().len(), two.unwrap().len(), begun.elapsed().as_secs()), (1, 1, 15));
    tokio::time::sleep(Duration::from_secs(59)).await;
    let again = Instant::now();
    names.resolve(NAME).await.unwrap();
    assert_eq!((again.elapsed(), asked.load(Ordering::SeqCst)), (Duration::ZERO, 1));
    tokio::time::sleep(Duration::from_secs(1)).await;
    names.resolve(NAME).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_comes_when_nobody_waits_serves_the_next() {
    let (names, asked) = taking(|_| (33, true));
    let error = names.resolve(NAME).await.unwrap_err();
    assert_eq!(error.to_string(), "DNS did not answer for dws.example.com within 20 s");
    assert!(names.is_failing(NAME));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let begun = Instant::now();
    names.resolve(NAME).await.unwrap();
    assert_eq!((begun.elapsed(), asked.load(Ordering::SeqCst), names.is_failing(NAME)), (Duration::ZERO, 1, false));
}

#[tokio::test(start_paused = true)]
async fn a_wrong_answer_serves_nobody_else() {
    let (names, asked) = taking(|count| (0, count > 0));
    let error = names.resolve(NAME).await.unwrap_err();
    assert_eq!(error.to_string(), "DNS does not resolve dws.example.com: Name or service not known");
    assert!(names.is_failing(NAME));
    names.resolve(NAME).await.unwrap();
    assert_eq!((asked.load(Ordering::SeqCst), names.is_failing(NAME)), (2, false));
}

#[tokio::test(start_paused = true)]
async fn addresses_at_which_nobody_answers_are_asked_for_anew() {
    let (names, asked) = taking(|_| (1, true));
    names.resolve(NAME).await.unwrap();
    names.forget(NAME);
    names.resolve(NAME).await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 2);
}
