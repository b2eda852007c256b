//! Call and probe through a proxy with authentication, to a simulated cloud behind TLS.

use std::sync::Mutex;

use base64::{Engine, engine::general_purpose::STANDARD};
use testbed::simulator::{Options, Simulator};
use tokio::io::{AsyncBufReadExt, BufReader, copy_bidirectional};

use super::*;

/// A proxy that tunnels every request, and the requests that it received.
async fn proxy() -> (Url, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://team:p%40ss@{}", listener.local_addr().unwrap()).parse().unwrap();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let heads = Arc::clone(&requests);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(tunnel(stream, Arc::clone(&heads)));
        }
    });
    (url, requests)
}

async fn tunnel(stream: TcpStream, requests: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let mut near = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if near.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    requests.lock().unwrap().push(head);
    let mut far = TcpStream::connect(target).await?;
    near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    copy_bidirectional(&mut near, &mut far).await.map(drop)
}

fn client(proxy: Option<Url>, cloud: Option<&Simulator>) -> Client {
    let seconds = Duration::from_secs;
    let ca_bundle = cloud.map(|cloud| cloud.ca_file().to_owned());
    Client::new(&ClientSettings { ca_bundle, proxy, connect_timeout: seconds(5), request_timeout: seconds(10) })
        .unwrap()
}

fn endpoint(cloud: &Simulator) -> Endpoint {
    let overrides = [("lab".to_owned(), cloud.url().parse().unwrap())];
    Regions::new(Some("lab"), &[], &overrides).unwrap().resolve(None).unwrap().as_ref().clone()
}

async fn send(client: &Client, cloud: &Simulator) -> Outcome {
    send_by(client, cloud, &Clock::of_this_host()).await
}

async fn send_by(client: &Client, cloud: &Simulator, clock: &Clock) -> Outcome {
    let key = Key::AccessKey(AccessKey {
        access: cloud.access_key().to_owned(),
        secret: cloud.secret_key().into(),
        token: None,
    });
    let permit = SendPermit::mint("a".to_owned(), clock.deadline(Duration::from_secs(5)));
    client.send(permit, &spec(), &key, &endpoint(cloud)).await
}

#[tokio::test]
async fn a_proxy_gets_its_credentials_and_the_target_only() {
    let cloud = Simulator::start(&Options { accept_any_cluster: true, ..Options::default() }).unwrap();
    let (url, requests) = proxy().await;
    let client = client(Some(url), Some(&cloud));
    client.probe(&endpoint(&cloud)).await.unwrap();
    assert_eq!(cloud.total_calls(), 0);
    let outcome = send(&client, &cloud).await;
    assert!(matches!(&outcome, Outcome::Answered(answer) if answer.reason == Reason::Delivered), "{outcome:?}");
    assert_eq!(cloud.total_calls(), 1);
    let requests = requests.lock().unwrap().clone();
    assert_eq!(requests.len(), 2);
    for head in requests {
        assert!(head.starts_with(&format!("CONNECT {} ", cloud.address())), "{head}");
        let lower = head.to_ascii_lowercase();
        assert!(
            lower.contains("proxy-authorization: basic ") && head.contains(&STANDARD.encode("team:p@ss")),
            "{head}"
        );
        for piece in ["sdk-hmac", "x-project-id", "redistribution HTTP"] {
            assert!(!lower.contains(piece), "{head}");
        }
    }
}

#[tokio::test]
async fn a_permit_that_expires_during_tunnel_and_tls_sends_nothing() {
    let cloud = Simulator::start(&Options { accept_any_cluster: true, ..Options::default() }).unwrap();
    let (url, requests) = proxy().await;
    let received = Arc::clone(&requests);
    let clock = Clock::new(move || {
        let passed = if received.lock().unwrap().is_empty() { 0 } else { 17 };
        Reading { since_boot: Duration::from_secs(passed), wall: at(0) }
    });
    let outcome = send_by(&client(Some(url), Some(&cloud)), &cloud, &clock).await;
    assert!(matches!(&outcome, Outcome::NotSent { reason: Reason::ClaimTooSlow, .. }), "{outcome:?}");
    assert_eq!((requests.lock().unwrap().len(), cloud.total_calls()), (1, 0));
}

#[tokio::test]
async fn call_and_probe_refuse_a_certificate_of_an_unknown_authority() {
    let (cloud, other) =
        (Simulator::start(&Options::default()).unwrap(), Simulator::start(&Options::default()).unwrap());
    for trusted in [None, Some(&other)] {
        let client = client(None, trusted);
        let outcome = send(&client, &cloud).await;
        assert!(matches!(&outcome, Outcome::NotSent { reason: Reason::EndpointUnreachable, .. }), "{outcome:?}");
        assert!(client.probe(&endpoint(&cloud)).await.is_err());
    }
    assert_eq!(cloud.total_calls(), 0);
}
