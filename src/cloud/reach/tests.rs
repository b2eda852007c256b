//! A probe has the conditions of a call: several addresses of which few answer, and slow DNS.

use std::net::{SocketAddr, TcpStream};

use futures::FutureExt;
use socket2::{Domain, Socket, Type};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::{
    cloud::{
        ClientSettings, SendPermit,
        auth::{AccessKey, Key},
        names::DnsCache,
        outcome::Outcome,
    },
    protocol::regions::Regions,
    runtime::clock::Clock,
    testing::sample,
};

/// An address that does not answer: its accept queue is full, so that the kernel drops new connections.
fn dead(address: SocketAddr) -> (Socket, TcpStream) {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&address.into()).unwrap();
    listener.listen(0).unwrap();
    (listener, TcpStream::connect(address).unwrap())
}

/// Four dead addresses and a fifth that answers if `is_alive`, behind `localhost`, which DNS resolves after the time `dns`.
async fn five_addresses(is_alive: bool, dns: Duration) -> (Client, Endpoint, Vec<(Socket, TcpStream)>) {
    let alive = TcpListener::bind("127.200.0.1:0").await.unwrap();
    let port = alive.local_addr().unwrap().port();
    let at = |last: u8| SocketAddr::from(([127, 0, 78, last], port));
    let mut addresses: Vec<_> = (1..=5).map(at).collect();
    let mut sockets: Vec<_> = addresses.iter().take(4).map(|address| dead(*address)).collect();
    if is_alive {
        addresses.pop();
        addresses.push(alive.local_addr().unwrap());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = alive.accept().await {
                tokio::spawn(async move {
                    let _ = stream.read(&mut [0; 4096]).await;
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
                });
            }
        });
    } else {
        sockets.push(dead(at(5)));
    }
    let dns = DnsCache::new(move |_| {
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
        // Shared by five addresses, so that also a busy machine tries the last one in time.
        connect_timeout: Duration::from_secs(6),
        request_timeout: Duration::from_secs(15),
    };
    let url = format!("http://localhost:{port}").parse().unwrap();
    let endpoint =
        Regions::new(Some("lab"), &[], &[("lab".to_owned(), url)]).unwrap().resolve(None).unwrap().as_ref().clone();
    (Client::with(&settings, dns).unwrap(), endpoint, sockets)
}

async fn send(client: &Client, endpoint: &Endpoint) -> Outcome {
    let permit = SendPermit::mint("a".to_owned(), Clock::of_this_host().deadline(Duration::from_secs(20)));
    let key = Key::AccessKey(AccessKey {
        access: "AccessKey".to_owned(),
        secret: "SecretKey".to_owned().into(),
        token: None,
    });
    client.send(permit, &sample::spec(), &key, endpoint).await
}

#[tokio::test]
async fn call_and_probe_connect_after_four_dead_addresses() {
    let (client, endpoint, _dead) = five_addresses(true, Duration::ZERO).await;
    client.probe(&endpoint).await.unwrap();
    let outcome = send(&client, &endpoint).await;
    assert!(matches!(&outcome, Outcome::Answered(answer) if answer.reason == Reason::Delivered), "{outcome:?}");
}

#[tokio::test]
async fn probe_fails_where_a_call_cannot_connect() {
    let (client, endpoint, _dead) = five_addresses(false, Duration::ZERO).await;
    let outcome = send(&client, &endpoint).await;
    assert!(matches!(&outcome, Outcome::NotSent { reason: Reason::EndpointUnreachable, .. }), "{outcome:?}");
    let error = client.probe(&endpoint).await.unwrap_err();
    assert!(!error.contains("DNS"), "{error}");
}

#[tokio::test]
async fn call_and_probe_connect_with_dns_slower_than_the_connect_timeout() {
    let (client, endpoint, _dead) = five_addresses(true, Duration::from_secs(7)).await;
    // As before a claim.
    client.resolve(&endpoint).await.unwrap();
    let outcome = send(&client, &endpoint).await;
    assert!(matches!(&outcome, Outcome::Answered(answer) if answer.reason == Reason::Delivered), "{outcome:?}");
    client.probe(&endpoint).await.unwrap();
    assert_eq!(client.unresolved(&endpoint), None);
}

#[tokio::test]
async fn a_call_waits_for_dns_no_longer_than_for_its_connection() {
    let (client, endpoint, _dead) = five_addresses(true, Duration::from_secs(60)).await;
    let begun = Instant::now();
    let outcome = send(&client, &endpoint).await;
    assert!(matches!(&outcome, Outcome::NotSent { reason: Reason::EndpointUnreachable, .. }), "{outcome:?}");
    assert!(begun.elapsed() < Duration::from_secs(50));
    let failing = DnsCache::new(|_| async { Err(std::io::Error::other("Name or service not known")) }.boxed());
    let client = Client { dns: failing, ..client };
    let error = client.probe(&endpoint).await.unwrap_err();
    assert_eq!(error, "DNS does not resolve localhost: Name or service not known");
    assert_eq!(client.unresolved(&endpoint), Some("localhost"));
}
