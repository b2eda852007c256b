use std::{
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use http::{Request, Response};
use kube::client::Body;
use serde_json::Value;

use super::*;

type Answer = Pin<Box<dyn Future<Output = Result<Response<Body>, std::io::Error>> + Send>>;

/// An API server with one Lease; the next `hang` requests to it hang without end.
fn client(lease: &Arc<Mutex<Option<Value>>>, hang: &Arc<AtomicUsize>) -> Client {
    let (lease, hang) = (Arc::clone(lease), Arc::clone(hang));
    let service = tower::service_fn(move |request: Request<Body>| -> Answer {
        let (lease, hang) = (Arc::clone(&lease), Arc::clone(&hang));
        Box::pin(async move {
            if hang.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
                std::future::pending::<()>().await;
            }
            let writes = request.method() != "GET";
            let sent = request.into_body().collect_bytes().await.unwrap();
            let mut lease = lease.lock().unwrap();
            if writes {
                *lease = Some(serde_json::from_slice(&sent).unwrap());
            }
            let (code, body) = match &*lease {
                Some(lease) => (200, lease.clone()),
                None => {
                    (404, serde_json::json!({"kind": "Status", "code": 404, "status": "Failure", "reason": "NotFound"}))
                }
            };
            Ok(Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap())
        })
    });
    Client::new(service, "team")
}

#[tokio::test]
async fn one_request_that_hangs_does_not_cost_the_leader_its_lease() {
    let (lease, hang) = (Arc::default(), Arc::default());
    let settings = Settings {
        identity: "one".to_owned(),
        name: "lease".to_owned(),
        namespace: "team".to_owned(),
        duration: Duration::from_secs(5),
    };
    let lost = settings.renew_deadline() + Duration::from_secs(1);
    let stop = CancellationToken::new();
    let (mut leadership, task) = compete(&client(&lease, &hang), settings, Metrics::default(), stop.clone());
    leadership.wait_for(|leads| *leads).await.unwrap();
    hang.store(1, Ordering::SeqCst);
    let gone = tokio::time::timeout(lost, leadership.wait_for(|leads| !leads)).await;
    assert!(gone.is_err(), "it gave up after one hung request");
    assert_eq!(hang.load(Ordering::SeqCst), 0, "the request that hangs was made");
    stop.cancel();
    task.await.unwrap();
}

#[tokio::test]
async fn a_leader_renews_with_one_write_and_without_a_read() {
    let (reads, writes) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (lease, hang) = (Arc::default(), Arc::default());
    let (inner, counted) = (client(&lease, &hang), (Arc::clone(&reads), Arc::clone(&writes)));
    let service = tower::service_fn(move |request: Request<Body>| {
        let count = if request.method() == "GET" { &counted.0 } else { &counted.1 };
        count.fetch_add(1, Ordering::SeqCst);
        let inner = inner.clone();
        async move { inner.send(request).await }
    });
    let settings = Settings {
        identity: "one".to_owned(),
        name: "lease".to_owned(),
        namespace: "team".to_owned(),
        duration: Duration::from_secs(5),
    };
    let stop = CancellationToken::new();
    let (mut leadership, task) = compete(&Client::new(service, "team"), settings, Metrics::default(), stop.clone());
    leadership.wait_for(|leads| *leads).await.unwrap();
    while writes.load(Ordering::SeqCst) < 4 {
        tokio::time::timeout(Duration::from_millis(50), leadership.changed()).await.ok();
    }
    assert_eq!(reads.load(Ordering::SeqCst), 1);
    stop.cancel();
    task.await.unwrap();
}

const SECOND: Duration = Duration::from_secs(1);

fn lease(version: &str, holder: Option<&str>) -> Lease {
    Lease {
        metadata: ObjectMeta { resource_version: Some(version.to_owned()), ..ObjectMeta::default() },
        spec: Some(LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: Some(15),
            // From a clock that is years behind.
            renew_time: Some(MicroTime(Timestamp::UNIX_EPOCH)),
            ..LeaseSpec::default()
        }),
    }
}

#[test]
fn a_lease_without_a_holder_is_taken_at_once() {
    let (mut observer, now) = (Observer::new("me", 15 * SECOND), Instant::now());
    for holder in [None, Some("")] {
        assert_eq!(observer.step(&lease("1", holder), now), Step::Take);
    }
    assert_eq!(observer.step(&Lease::default(), now), Step::Take);
}

#[test]
fn another_holders_lease_is_taken_once_unchanged_for_its_duration() {
    let (mut observer, start) = (Observer::new("me", SECOND), Instant::now());
    assert_eq!(observer.step(&lease("1", Some("other")), start), Step::Wait);
    assert_eq!(observer.step(&lease("1", Some("other")), start + 14 * SECOND), Step::Wait);
    assert_eq!(observer.step(&lease("2", Some("other")), start + 15 * SECOND), Step::Wait, "it was renewed");
    assert_eq!(observer.step(&lease("2", Some("other")), start + 29 * SECOND), Step::Wait);
    assert_eq!(observer.step(&lease("2", Some("other")), start + 30 * SECOND), Step::Take);
}

#[test]
fn an_own_lease_is_renewed_however_old_it_is() {
    let (mut observer, start) = (Observer::new("me", SECOND), Instant::now());
    assert_eq!(observer.step(&lease("1", Some("me")), start), Step::Renew);
    assert_eq!(observer.step(&lease("1", Some("me")), start + 100 * SECOND), Step::Renew);
}
