use futures::FutureExt;
use tokio::task::unconstrained;

use super::*;
use crate::{cloud::auth::KeyDigests, credentials::CredentialSource};

fn id(key: u8, values: u8) -> CredentialId {
    let digests = KeyDigests { key: KeyIdentity::from([key; 32]), values: KeyIdentity::from([values; 32]) };
    CredentialId { digests, source: CredentialSource::Controller }
}

fn cluster(name: &str) -> Cluster {
    Cluster { endpoint: "dws.example.com".to_owned(), project: "project".to_owned(), cluster: name.to_owned() }
}

async fn enter(admission: &Arc<Admission>, namespace: &str, of: &str, id: CredentialId) -> Admitted {
    admission.cluster(namespace, cluster(of)).await.place().await.with(id).await
}

fn admitted(admission: &Arc<Admission>, namespace: &str, of: &str, id: CredentialId) -> Option<Admitted> {
    unconstrained(enter(admission, namespace, of, id)).now_or_never()
}

#[test]
fn requests_to_one_cluster_wait_for_their_namespace_and_credential() {
    let admission = Admission::new(64, 0.0);
    let held = admitted(&admission, "a", "one", id(1, 1));
    assert!(held.is_some());
    assert!(admitted(&admission, "a", "one", id(2, 2)).is_none(), "the same namespace");
    assert!(admitted(&admission, "b", "one", id(1, 1)).is_none(), "the same credential");
    assert!(admitted(&admission, "b", "one", id(2, 2)).is_some(), "another namespace with another credential");
    assert!(admitted(&admission, "a", "two", id(1, 1)).is_some(), "another cluster");
    drop(held);
    assert!(admitted(&admission, "a", "one", id(2, 2)).is_some());
    assert!(admission.of_namespace.is_empty() && admission.of_credential.is_empty());
}

#[test]
fn a_namespace_that_waits_for_a_credential_keeps_no_place_from_others() {
    let admission = Admission::new(8, 0.0);
    let _held = admitted(&admission, "a", "one", id(1, 1));
    let mut waiting: Vec<_> = (0..100).map(|_| Box::pin(enter(&admission, "b", "one", id(1, 1)))).collect();
    assert!(waiting.iter_mut().all(|wait| unconstrained(wait).now_or_never().is_none()));
    assert!(admitted(&admission, "c", "two", id(3, 3)).is_some());
}
/// What is there at once, however often that was asked for within one poll.
fn now<T>(future: impl Future<Output = T>) -> Option<T> {
    unconstrained(future).now_or_never()
}

#[tokio::test]
async fn a_namespace_holds_one_reserved_place_and_its_share_of_the_rest() {
    let places = Places::new(16);
    let mut held: Vec<_> = (0..5).filter_map(|_| now(places.enter("a"))).collect();
    assert_eq!(held.len(), 5, "a reserved one and a quarter");
    assert!(now(places.enter("a")).is_none());
    assert!(now(places.enter("b")).is_some());
    held.pop();
    assert!(now(places.enter("a")).is_some());
    drop(held);
    assert!(places.namespaces.is_empty());
}

#[tokio::test]
async fn a_namespace_finds_a_place_beside_fewer_than_half_as_many_others() {
    for concurrency in [1, 2, 3, 8, 64] {
        let places = Places::new(concurrency);
        let mut held = Vec::new();
        for other in 0..concurrency.div_ceil(2) - 1 {
            while let Some(place) = now(places.enter(&other.to_string())) {
                held.push(place);
            }
        }
        assert!(now(places.enter("last")).is_some(), "{concurrency}");
    }
}

#[tokio::test]
async fn a_namespace_whose_requests_never_end_keeps_no_other_waiting() {
    let places = Places::new(8);
    let mut held = Vec::new();
    while let Some(place) = now(places.enter("hung")) {
        held.push(place);
    }
    let mut waiting: Vec<_> = (0..12).map(|_| Box::pin(places.enter("hung"))).collect();
    assert!(waiting.iter_mut().all(|wait| now(wait).is_none()));
    for _ in 0..20 {
        assert!(now(places.enter("healthy")).is_some());
    }
}

#[tokio::test]
async fn a_free_place_goes_to_the_namespace_that_has_waited_longest() {
    let places = Places::new(2);
    // One reserved place and one shared.
    let (reserved, _shared) = (now(places.enter("a")), now(places.enter("b")));
    let (mut c, mut d) = (Box::pin(places.enter("c")), Box::pin(places.enter("d")));
    let mut a = Box::pin(places.enter("a"));
    for wait in [&mut c, &mut d, &mut a] {
        assert!(now(wait).is_none());
    }
    drop(reserved);
    assert!(now(&mut a).is_none() && now(&mut d).is_none());
    assert!(now(&mut c).is_some());
}
