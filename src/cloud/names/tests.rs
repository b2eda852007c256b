//! DNS that is slow, silent, failing and working again.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const NAME: &str = "dws.example.com";

/// A resolver whose answers take this number of seconds, and the number of its queries.
fn taking(seconds: impl Fn(usize) -> (u64, bool) + Send + Sync + 'static) -> (DnsCache, Arc<AtomicUsize>) {
    let queries = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&queries);
    let dns = DnsCache::new(move |_| {
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
    (dns, queries)
}

#[tokio::test(start_paused = true)]
async fn resolve_waits_fifteen_seconds_and_caches_the_answer_for_a_minute() {
    let (dns, queries) = taking(|_| (15, true));
    let begun = Instant::now();
    let (one, two) = tokio::join!(dns.resolve(NAME), dns.resolve(NAME));
    assert_eq!((one.unwrap().len(), two.unwrap().len(), begun.elapsed().as_secs()), (1, 1, 15));
    tokio::time::sleep(Duration::from_secs(59)).await;
    let again = Instant::now();
    dns.resolve(NAME).await.unwrap();
    assert_eq!((again.elapsed(), queries.load(Ordering::SeqCst)), (Duration::ZERO, 1));
    tokio::time::sleep(Duration::from_secs(1)).await;
    dns.resolve(NAME).await.unwrap();
    assert_eq!(queries.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn resolve_caches_an_answer_that_arrives_after_the_timeout() {
    let (dns, queries) = taking(|_| (33, true));
    let error = dns.resolve(NAME).await.unwrap_err();
    assert_eq!(error, "DNS did not answer for dws.example.com within 20 s");
    assert!(dns.is_failing(NAME));
    tokio::time::sleep(Duration::from_secs(60)).await;
    let begun = Instant::now();
    dns.resolve(NAME).await.unwrap();
    assert_eq!((begun.elapsed(), queries.load(Ordering::SeqCst), dns.is_failing(NAME)), (Duration::ZERO, 1, false));
}

#[tokio::test(start_paused = true)]
async fn resolve_does_not_cache_a_failure() {
    let (dns, queries) = taking(|count| (0, count > 0));
    let error = dns.resolve(NAME).await.unwrap_err();
    assert_eq!(error, "DNS does not resolve dws.example.com: Name or service not known");
    assert!(dns.is_failing(NAME));
    dns.resolve(NAME).await.unwrap();
    assert_eq!((queries.load(Ordering::SeqCst), dns.is_failing(NAME)), (2, false));
}

#[tokio::test(start_paused = true)]
async fn resolve_queries_again_after_addresses_were_dropped() {
    let (dns, queries) = taking(|_| (1, true));
    dns.resolve(NAME).await.unwrap();
    dns.forget(NAME);
    dns.resolve(NAME).await.unwrap();
    assert_eq!(queries.load(Ordering::SeqCst), 2);
}
