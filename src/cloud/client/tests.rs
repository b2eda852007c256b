//! The wire, case by case: the outcome that the strict client returns for each behavior of a peer, and how many requests
//! the peer received. The peers are plain sockets, so that each case is exact to the byte.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::*;

mod answers;
mod proxied;

use crate::{
    cloud::{
        auth::{AccessKey, KeyIdentity, Token},
        signing,
    },
    protocol::regions::Regions,
    runtime::clock::{Clock, Reading},
    testing::sample::{at, spec},
};

const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nx-request-id: r-1\r\n\r\n";

fn client() -> Client {
    client_with(None)
}

fn client_with(proxy: Option<Url>) -> Client {
    let settings = ClientSettings {
        ca_bundle: None,
        proxy,
        // Ten times the time that an idle machine needs, so that a busy one connects too.
        connect_timeout: Duration::from_secs(3),
        request_timeout: Duration::from_secs(4),
    };
    Client::new(&settings).unwrap()
}

fn endpoint(url: &str) -> Endpoint {
    let url = url.parse().unwrap();
    Regions::new(Some("lab"), &[], &[("lab".to_owned(), url)]).unwrap().resolve(None).unwrap().as_ref().clone()
}

fn key() -> Key {
    Key::AccessKey(AccessKey {
        access: "AccessKey".to_owned(),
        secret: "SecretKey".to_owned().into(),
        token: Some("Token".to_owned().into()),
    })
}

fn permit() -> SendPermit {
    SendPermit::mint("a".to_owned(), Clock::of_this_host().deadline(Duration::from_secs(10)))
}

async fn send(endpoint: &Endpoint) -> Outcome {
    client().send(permit(), &spec(), &key(), endpoint).await
}

/// A peer that serves each connection by a given function, and counts the requests that it read whole.
struct Peer {
    address: String,
    requests: Arc<AtomicUsize>,
    seen: Arc<std::sync::Mutex<String>>,
}

impl Peer {
    async fn new<Served>(serve: impl Fn(Connection) -> Served + Send + 'static) -> Self
    where
        Served: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let (requests, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(std::sync::Mutex::new(String::new())));
        let peer = Self { address, requests: Arc::clone(&requests), seen: Arc::clone(&seen) };
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(Connection { stream, requests: Arc::clone(&requests), seen: Arc::clone(&seen) }));
            }
        });
        peer
    }

    async fn answering(answer: &'static str) -> Self {
        Self::new(move |mut connection| async move {
            connection.read_request().await;
            connection.stream.write_all(answer.as_bytes()).await.unwrap();
        })
        .await
    }

    async fn send(&self) -> Outcome {
        send(&endpoint(&format!("http://{}", self.address))).await
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

struct Connection {
    stream: TcpStream,
    requests: Arc<AtomicUsize>,
    seen: Arc<std::sync::Mutex<String>>,
}

impl Connection {
    /// Reads one request to the end of its body.
    async fn read_request(&mut self) {
        let mut bytes = Vec::new();
        loop {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
                if body.len() >= length.parse::<usize>().unwrap() {
                    *self.seen.lock().unwrap() = text;
                    self.requests.fetch_add(1, Ordering::SeqCst);
                    return;
                }
            }
            if self.stream.read_buf(&mut bytes).await.unwrap() == 0 {
                return;
            }
        }
    }

    /// Ends the connection by RST instead of FIN.
    fn reset(self) {
        self.stream.set_zero_linger().unwrap();
    }
}

fn is_unreachable(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::NotSent { reason: Reason::EndpointUnreachable, .. })
}

fn is_too_slow(outcome: &Outcome) -> bool {
    matches!(outcome, Outcome::NotSent { reason: Reason::ClaimTooSlow, .. })
}

fn answered(outcome: &Outcome) -> (u16, Reason) {
    match outcome {
        Outcome::Answered(answer) => (answer.status_code, answer.reason),
        other => panic!("expected an answer, got {other:?}"),
    }
}

#[tokio::test]
async fn the_request_is_exactly_the_documented_one_and_signed() {
    let peer = Peer::answering(OK).await;
    let outcome = peer.send().await;
    assert_eq!(answered(&outcome), (200, Reason::Delivered));
    let seen = peer.seen.lock().unwrap().clone();
    let (head, body) = seen.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    assert_eq!(
        lines.next(),
        Some(
            "POST /v2/89cd04f168b84af6be287f71730fdb4b/clusters/e59d6b86-9072-46eb-a996-13f8b44994c1/redistribution HTTP/1.1"
        )
    );
    let header = |name: &str| {
        head.lines().find_map(|line| line.strip_prefix(&format!("{name}: "))).unwrap_or_default().to_owned()
    };
    assert_eq!(body, r#"{"redis_mode":"online","parallel_jobs":3}"#);
    assert_eq!(header("content-type"), "application/json;charset=UTF-8");
    assert_eq!(header("x-project-id"), "89cd04f168b84af6be287f71730fdb4b");
    assert_eq!(header("x-security-token"), "Token");
    assert_eq!(header("host"), peer.address);
    let signed = [
        ("host", peer.address.as_str()),
        ("x-project-id", &header("x-project-id")),
        ("x-sdk-date", &header("x-sdk-date")),
    ];
    let path = Operation::Redistribute.path(&spec()).unwrap();
    let request = signing::Request { method: "POST", path: &path, query: &[], headers: &signed, body: body.as_bytes() };
    assert_eq!(
        header("authorization"),
        signing::authorization("AccessKey", "SecretKey", &header("x-sdk-date"), &request)
    );
}

#[tokio::test]
async fn no_connection_is_not_sent() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert!(is_unreachable(&send(&endpoint(&format!("http://{free}"))).await), "refused");
    assert!(is_unreachable(&send(&endpoint("https://nonexistent.invalid")).await), "no such name");
}

#[tokio::test]
async fn a_stalled_or_failing_tls_handshake_is_not_sent() {
    let silent = Peer::new(|connection| async move {
        let _held = connection;
        std::future::pending::<()>().await;
    })
    .await;
    assert!(is_unreachable(&send(&endpoint(&format!("https://{}", silent.address))).await), "silent");
    let plain = Peer::new(|mut connection| async move {
        let _ = connection.stream.write_all(b"220 this is no TLS\r\n").await;
        let _ = connection.stream.read_u8().await;
    })
    .await;
    assert!(is_unreachable(&send(&endpoint(&format!("https://{}", plain.address))).await), "not TLS");
}

#[tokio::test]
async fn an_expired_permit_neither_connects_nor_sends() {
    let peer = Peer::answering(OK).await;
    let expired = SendPermit::mint("a".to_owned(), Clock::of_this_host().deadline(Duration::ZERO));
    let outcome = client().send(expired, &spec(), &key(), &endpoint(&format!("http://{}", peer.address))).await;
    assert!(is_too_slow(&outcome), "{outcome:?}");
    assert_eq!(peer.requests(), 0);
}

#[tokio::test]
async fn a_permit_that_expires_while_connecting_sends_nothing() {
    for jumped in [(17, 0), (0, 17)] {
        let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
        let peer = Peer::new(move |mut connection| {
            let sender = sender.clone();
            async move {
                let mut bytes = Vec::new();
                connection.stream.read_to_end(&mut bytes).await.unwrap();
                sender.send(bytes).unwrap();
            }
        })
        .await;
        // The third reading is that after the connection was established; the first two are at the claim and at the start.
        let readings = AtomicUsize::new(0);
        let clock = Clock::new(move || {
            let (boot, wall) = if readings.fetch_add(1, Ordering::SeqCst) < 2 { (0, 0) } else { jumped };
            Reading { since_boot: Duration::from_secs(boot), wall: at(wall) }
        });
        let permit = SendPermit::mint("a".to_owned(), clock.deadline(Duration::from_secs(2)));
        let endpoint = endpoint(&format!("http://{}", peer.address));
        let outcome = client().send(permit, &spec(), &key(), &endpoint).await;
        assert!(is_too_slow(&outcome), "{outcome:?}");
        assert_eq!(received.recv().await.unwrap(), b"", "it connected, and wrote nothing");
    }
}

#[tokio::test]
async fn a_connection_that_ends_before_an_answer_is_unknown() {
    let before = Peer::new(|connection| async move { drop(connection) }).await;
    let outcome = before.send().await;
    assert!(matches!(outcome, Outcome::Unknown { .. }), "closed unread: {outcome:?}");
    let after = Peer::new(|mut connection| async move { connection.read_request().await }).await;
    assert!(matches!(after.send().await, Outcome::Unknown { .. }));
    assert_eq!(after.requests(), 1);
    let reset = Peer::new(|mut connection| async move {
        connection.read_request().await;
        connection.reset();
    })
    .await;
    assert!(matches!(reset.send().await, Outcome::Unknown { .. }));
    assert_eq!(reset.requests(), 1);
}

#[tokio::test]
async fn no_answer_in_time_is_unknown() {
    let peer = Peer::new(|mut connection| async move {
        connection.read_request().await;
        std::future::pending::<()>().await;
    })
    .await;
    assert!(matches!(peer.send().await, Outcome::Unknown { .. }));
    assert_eq!(peer.requests(), 1);
}

#[tokio::test]
async fn an_incomplete_head_is_no_answer() {
    let peer = Peer::new(|mut connection| async move {
        connection.read_request().await;
        connection.stream.write_all(b"HTTP/1.1 200 OK\r\nx-request-id: r").await.unwrap();
        connection.reset();
    })
    .await;
    assert!(matches!(peer.send().await, Outcome::Unknown { .. }));
    assert_eq!(peer.requests(), 1);
}

#[tokio::test]
async fn a_complete_head_is_an_answer_even_with_an_incomplete_body() {
    let truncated = Peer::answering("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{").await;
    assert_eq!(answered(&truncated.send().await), (200, Reason::OutcomeUnknown));
    let chunked = Peer::answering("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{").await;
    assert_eq!(answered(&chunked.send().await), (200, Reason::OutcomeUnknown));
    let refused = Peer::answering("HTTP/1.1 403 Forbidden\r\ncontent-length: 10\r\n\r\n{").await;
    assert_eq!(answered(&refused.send().await), (403, Reason::OutcomeUnknown), "its code may have proved nothing");
}

#[tokio::test]
async fn a_large_body_is_read_only_up_to_the_limit() {
    let peer = Peer::new(|mut connection| async move {
        connection.read_request().await;
        let _ = connection.stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n").await;
        let chunk = [b' '; 8192];
        while connection.stream.write_all(&chunk).await.is_ok() {}
    })
    .await;
    assert_eq!(answered(&peer.send().await), (200, Reason::OutcomeUnknown));
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_is_not_followed() {
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let answer = format!("HTTP/1.1 {status}\r\nlocation: /again\r\ncontent-length: 0\r\n\r\n");
        let peer = Peer::answering(answer.leak()).await;
        assert_eq!(answered(&peer.send().await).1, Reason::OutcomeUnknown);
        assert_eq!(peer.requests(), 1, "{status}");
    }
}

#[tokio::test]
async fn an_interim_answer_is_not_the_final_answer() {
    for interim in ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n"] {
        let peer = Peer::answering(format!("{interim}{OK}").leak()).await;
        assert_eq!(answered(&peer.send().await), (200, Reason::Delivered));
        let alone = Peer::answering(interim).await;
        assert!(matches!(alone.send().await, Outcome::Unknown { .. }));
        assert_eq!((peer.requests(), alone.requests()), (1, 1));
    }
}

#[tokio::test]
async fn an_unrequested_switch_of_protocols_is_no_answer() {
    let peer = Peer::answering("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n").await;
    let outcome = peer.send().await;
    assert!(matches!(outcome, Outcome::Unknown { .. }), "{outcome:?}");
    assert_eq!(peer.requests(), 1);
}

#[tokio::test]
async fn plain_http_bypasses_the_proxy_and_never_leaves_the_host() {
    let proxy = Peer::answering(OK).await;
    let peer = Peer::answering(OK).await;
    let client = client_with(Some(format!("http://{}", proxy.address).parse().unwrap()));
    let here = endpoint(&format!("http://{}", peer.address));
    client.probe(&here).await.unwrap();
    let outcome = client.send(permit(), &spec(), &key(), &here).await;
    assert_eq!(answered(&outcome), (200, Reason::Delivered));
    assert_eq!((proxy.requests(), peer.requests()), (0, 1));
    let far = Endpoint { url: "http://dws.example.invalid".parse().unwrap(), ..here };
    assert!(matches!(send(&far).await, Outcome::NotSent { message, .. } if message.contains("plain http")));
}

#[tokio::test]
async fn a_kept_alive_connection_is_not_reused() {
    let connections = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&connections);
    let peer = Peer::new(move |mut connection| {
        counted.fetch_add(1, Ordering::SeqCst);
        async move {
            connection.read_request().await;
            connection.stream.write_all(OK.as_bytes()).await.unwrap();
            std::future::pending::<()>().await;
        }
    })
    .await;
    let client = client();
    let endpoint = endpoint(&format!("http://{}", peer.address));
    for _ in 0..3 {
        let outcome = client.send(permit(), &spec(), &key(), &endpoint).await;
        assert_eq!(answered(&outcome), (200, Reason::Delivered));
    }
    assert_eq!(connections.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_probe_connects_and_sends_no_request() {
    let peer = Peer::answering(OK).await;
    client().probe(&endpoint(&format!("http://{}", peer.address))).await.unwrap();
    assert_eq!(peer.requests(), 0);
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert!(client().probe(&endpoint(&format!("http://{free}"))).await.is_err());
    let silent = Peer::new(|connection| async move {
        let _held = connection;
        std::future::pending::<()>().await;
    })
    .await;
    assert!(client().probe(&endpoint(&format!("https://{}", silent.address))).await.is_err());
}

#[tokio::test]
async fn a_request_without_a_purpose_gets_no_connection() {
    let peer = Peer::answering(OK).await;
    let error = client().http.get(format!("http://{}", peer.address)).send().await.unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    assert_eq!(peer.requests(), 0);
}

#[tokio::test]
async fn a_proxy_that_refuses_the_tunnel_means_not_sent() {
    let proxy = Peer::new(|mut connection| async move {
        let mut bytes = Vec::new();
        while !String::from_utf8_lossy(&bytes).contains("\r\n\r\n") {
            if connection.stream.read_buf(&mut bytes).await.unwrap() == 0 {
                return;
            }
        }
        *connection.seen.lock().unwrap() = String::from_utf8_lossy(&bytes).into_owned();
        connection.stream.write_all(b"HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    })
    .await;
    let client = client_with(Some(format!("http://{}", proxy.address).parse().unwrap()));
    let far = endpoint("https://dws.example.invalid");
    let outcome = client.send(permit(), &spec(), &key(), &far).await;
    assert!(is_unreachable(&outcome), "{outcome:?}");
    let seen = proxy.seen.lock().unwrap().clone();
    assert!(seen.starts_with("CONNECT dws.example.invalid:443 ") && !seen.contains("SDK-HMAC"), "{seen}");
    assert!(client.probe(&far).await.is_err());
}

#[tokio::test]
async fn a_wrong_setting_is_reported_in_one_sentence() {
    let with = |ca_bundle: Option<PathBuf>, proxy: Option<&str>| {
        let timeouts = Duration::from_secs(1);
        let proxy = proxy.map(|url| url.parse().unwrap());
        let settings = ClientSettings { ca_bundle, proxy, connect_timeout: timeouts, request_timeout: timeouts };
        Client::new(&settings).err().map(|error| error.to_string()).unwrap_or_default()
    };
    let directory = tempfile::tempdir().unwrap();
    let empty = directory.path().join("empty.pem");
    std::fs::write(&empty, "nothing").unwrap();
    assert!(with(Some(directory.path().join("missing.pem")), None).starts_with("--ca-bundle "));
    assert!(with(Some(empty), None).contains("no PEM certificate"));
    assert!(with(None, Some("socks5://127.0.0.1:1")).starts_with("--proxy "));
    assert_eq!(with(None, None), "");
}

#[test]
fn an_id_with_a_path_or_query_character_makes_no_request() {
    for (project_id, cluster_id) in [("../x", "a"), ("a", "b/c"), ("", "a"), ("a", "?"), ("a", "b%2f"), ("a", "é")] {
        let spec = Spec { project_id: project_id.to_owned(), cluster_id: cluster_id.to_owned(), ..spec() };
        assert_eq!(Operation::Redistribute.path(&spec), None);
    }
}

#[test]
fn a_token_is_sent_in_a_sensitive_header_and_nothing_is_signed() {
    let token = Token::new("canary".to_owned().into(), KeyIdentity::from([0; 32]), Instant::now(), Duration::ZERO);
    let far = endpoint("https://dws.example.com");
    let sent = client().signed(Operation::Redistribute, &spec(), &Key::Token(token), &far, Timestamp::now()).unwrap();
    let headers = sent.headers();
    assert_eq!((&headers["x-auth-token"], headers["x-auth-token"].is_sensitive()), (&"canary".parse().unwrap(), true));
    assert_eq!(headers["x-project-id"], spec().project_id);
    assert_eq!(headers["host"], "dws.example.com");
    for absent in ["authorization", "x-sdk-date", "x-security-token"] {
        assert!(!headers.contains_key(absent), "{absent}");
    }
    assert!(!format!("{sent:?}").contains("canary"));
}
