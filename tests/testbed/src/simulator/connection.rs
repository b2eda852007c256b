//! One connection: TLS, one request, the gateway's judgement, and the answer or fault that was scripted. Each request
//! has a connection of its own, as the operator's have.

use std::{sync::Arc, time::Duration};

use k8s_openapi::jiff::{Timestamp, fmt::rfc2822};
use rustls::ServerConfig;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    Mode,
    answer::Answer,
    cloud::Cloud,
    gateway,
    ledger::Entry,
    script::{Act, Script, Wait},
    signature::{self, Arrived},
    wire::{self, Head, ReadHead},
};

/// A request that is not whole by then is given up.
const READ_WITHIN: Duration = Duration::from_secs(120);

/// Accepts for ever.
pub async fn serve(listener: TcpListener, config: Arc<ServerConfig>, mode: Mode, cloud: Arc<Cloud>) {
    let acceptor = TlsAcceptor::from(config);
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let (acceptor, cloud) = (acceptor.clone(), Arc::clone(&cloud));
        tokio::spawn(async move {
            match mode {
                Mode::Cloud => connection(stream, acceptor, &cloud).await,
                Mode::NotTls => not_tls(stream).await,
                Mode::StalledTls => until_gone(stream).await,
            }
        });
    }
}

async fn not_tls(mut stream: TcpStream) {
    wire::write(&mut stream, b"220 this is no TLS\r\n").await;
    until_gone(stream).await;
}

async fn until_gone(mut stream: impl AsyncReadExt + Unpin) {
    let mut ignored = [0; 1024];
    while matches!(stream.read(&mut ignored).await, Ok(1..)) {}
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, cloud: &Cloud) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return cloud.idle_connection() };
    match cloud.next_connection_fault() {
        Some(Act::Reset) => return reset(stream),
        Some(Act::Hang) => return until_gone(stream).await,
        Some(_) => return,
        None => {}
    }
    let Ok(read) = tokio::time::timeout(READ_WITHIN, wire::read_head(&mut stream)).await else { return };
    match read {
        ReadHead::Nothing => cloud.idle_connection(),
        ReadHead::Partial => {
            let number = cloud.arrive(entry(&Head::default(), false));
            cloud.finish(number, "half a head");
        }
        ReadHead::Whole(head, body) => request(stream, head, body, cloud).await,
    }
}

async fn request(mut stream: TlsStream<TcpStream>, head: Head, mut body: Vec<u8>, cloud: &Cloud) {
    let arrived = entry(&head, true);
    let (project, cluster) = (arrived.project.clone(), arrived.cluster.clone());
    let number = cloud.arrive(arrived);
    let script = cloud.next_script(&cluster);
    if let Some((Script { act: Act::BeforeBody(early), .. }, _)) = &script {
        respond(&mut stream, early, number, cloud).await;
        cloud.finish(number, &format!("{} before the body", early.status));
        // Closing with unread bytes would reset the answer away.
        let _ = stream.shutdown().await;
        return until_gone(stream).await;
    }
    let whole = tokio::time::timeout(READ_WITHIN, wire::read_body(&mut stream, &mut body, head.length()))
        .await
        .unwrap_or(false);
    if !whole {
        return cloud.finish(number, "half a body");
    }
    cloud.update(number, |entry| {
        entry.whole_body = true;
        entry.body = String::from_utf8_lossy(&body).into_owned();
    });
    let judged = if cluster.is_empty() || head.method != "POST" {
        Err(gateway::unknown_address())
    } else {
        cloud.judge(&Arrived { method: &head.method, target: &head.target, headers: &head.headers, body: &body })
    };
    if let Err(refusal) = judged {
        respond(&mut stream, &refusal, number, cloud).await;
        cloud.finish(number, &format!("{} of the gateway", refusal.status));
        return close(stream).await;
    }
    cloud.update(number, |entry| entry.verified = true);
    let Some((script, released)) = script else {
        let answer = cloud.serve(&project, &cluster, &body, number);
        respond(&mut stream, &answer, number, cloud).await;
        cloud.finish(number, &answer.status.to_string());
        return close(stream).await;
    };
    if script.executed {
        cloud.execute(&project, &cluster, number);
    }
    let waiting = async {
        match script.wait {
            Wait::No => {}
            Wait::Millis(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            Wait::Released => drop(released.acquire().await.map(tokio::sync::SemaphorePermit::forget)),
        }
    };
    // A client that leaves while it waits is not waited for.
    let mut ignored = [0; 16];
    tokio::select! {
        () = waiting => act(stream, script.act, number, cloud).await,
        _ = stream.read(&mut ignored) => cloud.finish(number, "the client left"),
    }
}

async fn act(mut stream: TlsStream<TcpStream>, act: Act, number: usize, cloud: &Cloud) {
    let name = match &act {
        Act::Answer(answer) | Act::BeforeBody(answer) => answer.status.to_string(),
        Act::Interim(interim, answer) => format!("{interim}, then {}", answer.status),
        other => format!("{other:?}").split(['(', ' ']).next().unwrap_or_default().to_lowercase(),
    };
    match act {
        Act::Answer(answer) | Act::BeforeBody(answer) => respond(&mut stream, &answer, number, cloud).await,
        Act::Interim(interim, answer) => {
            wire::write(&mut stream, format!("HTTP/1.1 {interim} {}\r\n\r\n", wire::phrase(interim)).as_bytes()).await;
            respond(&mut stream, &answer, number, cloud).await;
        }
        Act::Cut => {}
        Act::Reset => {
            cloud.finish(number, &name);
            return reset(stream);
        }
        Act::HalfHead => wire::write(&mut stream, b"HTTP/1.1 200 OK\r\nX-Requ").await,
        Act::HalfHeadReset => {
            wire::write(&mut stream, b"HTTP/1.1 200 OK\r\nX-Requ").await;
            cloud.finish(number, &name);
            return reset(stream);
        }
        Act::HalfBody(answer) => {
            let head = head_of(&answer, number, cloud, &format!("Content-Length: {}", answer.body.len() + 10));
            wire::write(&mut stream, format!("{head}{}", answer.body).as_bytes()).await;
        }
        Act::HalfChunks(answer) => {
            let head = head_of(&answer, number, cloud, "Transfer-Encoding: chunked");
            wire::write(&mut stream, format!("{head}{:x}\r\n{}\r\n", answer.body.len().max(1), answer.body).as_bytes())
                .await;
        }
        Act::LargeBody(status) => {
            respond(&mut stream, &Answer::with_body(status, " ".repeat(80 * 1024)), number, cloud).await;
        }
        Act::Hang => {
            until_gone(&mut stream).await;
        }
    }
    cloud.finish(number, &name);
    close(stream).await;
}

async fn respond(stream: &mut TlsStream<TcpStream>, answer: &Answer, number: usize, cloud: &Cloud) {
    let head = head_of(answer, number, cloud, &format!("Content-Length: {}", answer.body.len()));
    wire::write(stream, format!("{head}{}", answer.body).as_bytes()).await;
}

fn head_of(answer: &Answer, number: usize, cloud: &Cloud, framing: &str) -> String {
    let date = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&cloud.time()).unwrap_or_default();
    let further: String =
        answer.headers.iter().flat_map(|(name, value)| [name.as_str(), ": ", value.as_str(), "\r\n"]).collect();
    format!(
        "HTTP/1.1 {} {}\r\nDate: {date}\r\nX-Request-Id: simulator-{number:08}\r\nContent-Type: application/json\r\n{further}{framing}\r\n\r\n",
        answer.status,
        wire::phrase(answer.status)
    )
}

/// Says goodbye in TLS, then lets the client go first.
async fn close(mut stream: TlsStream<TcpStream>) {
    let _ = stream.shutdown().await;
}

/// Ends the connection by RST instead of FIN.
fn reset(stream: TlsStream<TcpStream>) {
    let _ = stream.get_ref().0.set_zero_linger();
    drop(stream);
}

fn entry(head: &Head, whole_head: bool) -> Entry {
    let authorization = head.get("authorization").unwrap_or_default();
    let (project, cluster) = address(&head.target).unwrap_or_default();
    Entry {
        number: 0,
        arrived_millis: i128::from(Timestamp::now().as_millisecond()),
        method: head.method.clone(),
        target: head.target.clone(),
        project,
        cluster,
        access_key: signature::parse(authorization).map(|claimed| claimed.access).unwrap_or_default(),
        authorization_digest: signature::digest(authorization.as_bytes()),
        date: head.get("x-sdk-date").unwrap_or_default().to_owned(),
        whole_head,
        whole_body: false,
        body: String::new(),
        verified: false,
        executed: false,
        outcome: None,
    }
}

/// Project and cluster of the one address there is.
fn address(target: &str) -> Option<(String, String)> {
    let path = target.split('?').next()?;
    let mut parts = path.strip_prefix("/v2/")?.split('/');
    let (project, clusters, cluster, call) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    (clusters == "clusters" && call == "redistribution" && parts.next().is_none())
        .then(|| (project.to_owned(), cluster.to_lowercase()))
}
