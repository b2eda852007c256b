//! A probe meets what a call meets: many addresses of which few answer, and DNS that takes its time.

use std::{
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

use futures::FutureExt;
use k8s_openapi::jiff::Timestamp;
use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::{
    api::Reason,
    cloud::{
        ClientSettings, RedistributionRequest, SendPermit,
        auth::{AccessKey, Key},
        names::Names,
        outcome::Outcome,
    },
    protocol::regions::Regions,
    runtime::clock::Clock,
    testing::sample,
};

/// Answers nothing: its queue is full, so that the kernel drops what comes.
fn dead(address: SocketAddr) -> (Socket, TcpStream) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&address.into()).unwrap();
    listener.listen(0).unwrap();
    (listener, TcpStream::connect(address).unwrap())
}

/// Four dead addresses and a last one that is living, or dead as well, behind `localhost`, which DNS tells after that time.
async fn five(is_living: bool, dns: Duration) -> (Client, Endpoint, Vec<(Socket, TcpStream)>) {
    let living = TcpListener::bind("127.200.0.1:0").await.unwrap();
    let port = living.local_addr().unwrap().port();
    let at = |last: u8| SocketAddr::from(([127, 0, 78, last], port));
    let mut addresses: Vec<_> = (1..=5).map(at).collect();
    let mut sockets: Vec<_> = addresses.iter().take(4).map(|address| dead(*address)).collect();
    if is_living {
        addresses.pop();
        addresses.push(living.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = living.accept().await {
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                });
            }
        });
    } else {
        sockets.push(dead(at(5)));
    }
    let names = Names::new(move |_| {
        let addresses = addresses.clone();
        async move {
            tokio::time::sleep(dns).await;
            Ok(addresses)
        }
        .boxed()
    });
    let settings = ClientSettings {
        ca_bundle: None,
        proxy: None,
        // Shared by five addresses, so that a busy machine still comes to the last one in time.
        connect_timeout: Duration::from_secs(6),
        request_timeout: Duration::from_secs(15),
    };
    let url = format!("http://localhost:{port}").parse().unwrap();
    let endpoint = Regions::new(Some("lab"), &[], &[("lab".to_owned(), url)]).unwrap().resolve(None).unwrap();
    (Client::with(&settings, names).unwrap(), endpoint, sockets)
}

async fn send(client: &Client, endpoint: &Endpoint) -> Outcome {
    let permit = SendPermit::mint("a".to_owned(), Clock::of_this_host().deadline(Duration::from_secs(20)));
    let key = Key::AccessKey(AccessKey {
        access: "AccessKey".to_owned(),
        secret: "SecretKey".to_owned().into(),
        token: None,
    });
    client.send(permit, &RedistributionRequest::from(&sample::spec()), &key, endpoint, Timestamp::now()).await
}

#[tokio::test]
async fn four_dead_addresses_before_a_living_one_stop_neither_call_nor_probe() {
    let (client, endpoint, _dead) = five(true, Duration::ZERO).await;
    client.probe(&endpoint).await.unwrap();
    let outcome = send(&client, &endpoint).await;
    assert!(matches!(&outcome, Outcome::Answered(answer) if answer.reason == Reason::Delivered), "{outcome:?}");
}

#[tokio::test]
async fn what_no_call_gets_through_to_is_not_open_to_a_probe_either() {
    let (client, endpoint, _dead) = five(false, Duration::ZERO).await;
    let outcome = send(&client, &endpoint).await;
    assert!(matches!(&outcome, Outcome::NotSent(not) if not.reason == Reason::EndpointUnreachable), "{outcome:?}");
    assert!(matches!(client.probe(&endpoint).await, Err(ProbeError::Connection(_))));
}

#[tokio::test]
async fn dns_that_takes_longer_than_a_connection_may_stops_neither() {
    let (client, endpoint, _dead) = five(true, Duration::from_secs(7)).await;
    // As before a claim.
    client.resolve(&endpoint).await.unwrap();
    let outcome = send(&client, &endpoint).await;
    assert!(matches!(&outcome, Outcome::Answered(answer) if answer.reason == Reason::Delivered), "{outcome:?}");
    client.probe(&endpoint).await.unwrap();
    assert_eq!(client.unresolved(&endpoint), None);
}

#[tokio::test]
async fn a_call_never_waits_for_dns_longer_than_for_its_connection_and_names_it() {
    let (client, endpoint, _dead) = five(true, Duration::from_secs(60)).await;
    let begun = Instant::now();
    let outcome = send(&client, &endpoint).await;
    assert!(matches!(&outcome, Outcome::NotSent(not) if not.reason == Reason::EndpointUnreachable), "{outcome:?}");
    assert!(begun.elapsed() < Duration::from_secs(50));
    let failing = Names::new(|_| async { Err(std::io::Error::other("Name or service not known")) }.boxed());
    let client = Client { names: failing, ..client };
    let error = client.probe(&endpoint).await.unwrap_err().to_string();
    assert_eq!(error, "DNS does not resolve localhost: Name or service not known");
    assert_eq!(client.unresolved(&endpoint), Some("localhost"));
}
