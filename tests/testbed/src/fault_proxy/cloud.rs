//! The side towards the cloud: it terminates the operator's TLS, reads one request, records it before anything else can
//! happen to it, and forwards it to the simulated cloud or injects the plan's fault.

use std::{sync::Arc, time::Duration};

use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{sleep, timeout},
};
use tokio_rustls::server::TlsStream;

use super::{
    Shared,
    order::OrderKind,
    plan::{Fault, Kind},
};
use simulator::wire::{self, Head, ReadHead};

type Stream = TlsStream<TcpStream>;

/// Longest wait for the simulated cloud, which answers at once.
const UPSTREAM: Duration = Duration::from_secs(30);
/// Delay of a merely slow answer: within the request timeout of a plan's operator.
const SLOW: Duration = Duration::from_secs(1);
/// When a call is forwarded after its sender has given up.
const AFTER_ALL: Duration = Duration::from_secs(3);

/// One connection that the plan admits to a handshake.
pub async fn connection(stream: TcpStream, fault: Option<Fault>, shared: Arc<Shared>) {
    let acceptor = if fault == Some(Fault::WrongCertificate) { &shared.stranger } else { &shared.acceptor };
    match fault {
        Some(Fault::ResetAccept) => return reset(&stream),
        Some(Fault::NotTls) => return not_tls(stream).await,
        Some(Fault::StallTls) => return until_gone(stream).await,
        _ => {}
    }
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    match fault {
        Some(Fault::CloseUnread) => return,
        Some(Fault::ResetUnread) => return reset(stream.get_ref().0),
        Some(Fault::HangUnread) => {
            sleep(UPSTREAM).await;
            return;
        }
        _ => {}
    }
    match wire::read_head(&mut stream).await {
        // A probe.
        ReadHead::Nothing => {}
        ReadHead::Partial => drop(shared.record.arrive("")),
        ReadHead::Whole(head, body) => request(stream, head, body, shared).await,
    }
}

async fn request(mut stream: Stream, head: Head, mut body: Vec<u8>, shared: Arc<Shared>) {
    let cluster = head.target.split('/').nth(4).unwrap_or_default().to_owned();
    // A read starts nothing: it is no call, and the record is of calls.
    let kind = if head.method == "GET" { Kind::Look } else { Kind::Call };
    let call = (kind == Kind::Call).then(|| shared.record.arrive(&cluster));
    let (number, fault) = shared.armed.come(kind);
    if fault == Some(Fault::AnswerEarly) {
        say(&mut stream, call, 403, &[], SERVICE_ERROR, &shared).await;
    }
    wire::read_body(&mut stream, &mut body, head.length()).await;
    let parsed: Value = serde_json::from_slice(&body).unwrap_or_default();
    let generation = parsed["parallel_jobs"].as_i64();
    let label = format!("{} {}#{number}", shared.name, kind.word());
    shared.record.trace(format_args!(
        "{label} for generation {generation:?} of {cluster}{}",
        fault.map_or_else(String::new, |fault| format!(" <- {}", fault.word()))
    ));
    if let Some(call) = call {
        shared.record.read(call, generation);
    }
    let forward = Forward { head, body, label };
    match fault {
        None => {
            let reply = forward.send(&shared).await;
            relay(&mut stream, call, &reply, &shared).await;
        }
        Some(fault) => {
            shared.record.struck();
            strike(&mut stream, fault, forward, call, &shared).await;
        }
    }
    if let Some(call) = call {
        shared.record.over(call);
    }
    let _ = stream.shutdown().await;
    // A connection that is closed with unread bytes is reset, and the reset can overtake the answer.
    until_gone(&mut stream).await;
}

const SERVICE_ERROR: &str = r#"{"error_code":"DWS.0015","error_msg":"injected"}"#;
const REFUSED: &str = r#"{"error_code":"DWS.9999","error_msg":"injected"}"#;
const GATEWAY: &str = r#"{"error_code":"APIGW.0301","error_msg":"Incorrect IAM authentication information"}"#;

async fn strike(stream: &mut Stream, fault: Fault, forward: Forward, call: Option<usize>, shared: &Arc<Shared>) {
    match fault {
        Fault::KillBefore | Fault::KillBeforeOld => shared.order(OrderKind::Kill).await,
        Fault::KillAfter | Fault::KillAfterOld => {
            forward.send(shared).await;
            shared.order(OrderKind::Kill).await;
        }
        Fault::StopBefore => {
            shared.order(OrderKind::Stop).await;
            let reply = forward.send(shared).await;
            relay(stream, call, &reply, shared).await;
        }
        Fault::StopAfter => {
            let reply = forward.send(shared).await;
            shared.order(OrderKind::StopAndReturn).await;
            relay(stream, call, &reply, shared).await;
        }
        Fault::Reset => reset(stream.get_ref().0),
        Fault::ResetReply => {
            forward.send(shared).await;
            reset(stream.get_ref().0);
        }
        Fault::DropReply => drop(forward.send(shared).await),
        Fault::Hang => until_gone(stream).await,
        Fault::HangReply => {
            forward.send(shared).await;
            until_gone(stream).await;
        }
        Fault::HalfClose => {
            forward.send(shared).await;
            if let Some(call) = call {
                shared.record.over(call);
            }
            let _ = stream.shutdown().await;
            until_gone(stream).await;
        }
        Fault::Late => {
            until_gone(stream).await;
            sleep(AFTER_ALL).await;
            forward.send(shared).await;
        }
        Fault::DelayReply => {
            let reply = forward.send(shared).await;
            sleep(SLOW).await;
            relay(stream, call, &reply, shared).await;
        }
        Fault::HalfHead | Fault::HalfHeadReset => {
            forward.send(shared).await;
            wire::write(stream, b"HTTP/1.1 200 OK\r\nX-Requ").await;
            if fault == Fault::HalfHeadReset {
                reset(stream.get_ref().0);
            }
        }
        Fault::HalfBody => {
            forward.send(shared).await;
            raw(stream, call, 200, "HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n{", shared).await;
        }
        Fault::HalfChunks => {
            forward.send(shared).await;
            raw(stream, call, 200, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n{\r\n", shared).await;
        }
        Fault::LargeBody => {
            forward.send(shared).await;
            say(stream, call, 200, &[], &" ".repeat(80 * 1024), shared).await;
        }
        Fault::Continue | Fault::EarlyHints => {
            let reply = forward.send(shared).await;
            wire::write(stream, format!("HTTP/1.1 {} Wait\r\n\r\n", fault.word()).as_bytes()).await;
            relay(stream, call, &reply, shared).await;
        }
        Fault::InternalApplied | Fault::TimeoutApplied => {
            forward.send(shared).await;
            let code = if fault == Fault::TimeoutApplied { 504 } else { 500 };
            say(stream, call, code, &[], REFUSED, shared).await;
        }
        Fault::Redirect301 | Fault::Redirect307 | Fault::Redirect308 => {
            let code = fault.word().parse().unwrap_or(307);
            say(stream, call, code, &[("Location", &forward.head.target)], "", shared).await;
        }
        Fault::TooMany => {
            let text = r#"{"error_code":"APIGW.0308","error_msg":"The throttling threshold has been reached"}"#;
            say(stream, call, 429, &[("Retry-After", "1")], text, shared).await;
        }
        Fault::Answer400 | Fault::Answer403 => {
            say(stream, call, fault.word().parse().unwrap_or(400), &[], SERVICE_ERROR, shared).await;
        }
        Fault::Answer401 => say(stream, call, 401, &[], GATEWAY, shared).await,
        Fault::Answer404 => say(stream, call, 404, &[], r#"{"error_code":"APIGW.0101"}"#, shared).await,
        Fault::Internal => say(stream, call, 500, &[], REFUSED, shared).await,
        Fault::BadGateway => say(stream, call, 502, &[], "<html>", shared).await,
        // `Cut` closes without an answer; `AnswerEarly` has been answered already.
        _ => {}
    }
}

/// An answer of the proxy's own.
async fn say(
    stream: &mut Stream,
    call: Option<usize>,
    code: u16,
    headers: &[(&str, &str)],
    body: &str,
    shared: &Shared,
) {
    let headers: String = headers.iter().flat_map(|(name, value)| [name, ": ", value, "\r\n"]).collect();
    let text = format!(
        "HTTP/1.1 {code} {}\r\nX-Request-Id: fault-proxy\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        wire::phrase(code),
        body.len()
    );
    raw(stream, call, code, &text, shared).await;
}

/// The record has the answer, and the end of the call, before the first byte leaves: the operator's next request may
/// come before the end of the write.
async fn raw(stream: &mut Stream, call: Option<usize>, code: u16, text: &str, shared: &Shared) {
    if let Some(call) = call {
        shared.record.answer_begins(call, code);
        shared.record.over(call);
    }
    wire::write(stream, text.as_bytes()).await;
}

async fn relay(stream: &mut Stream, call: Option<usize>, reply: &[u8], shared: &Shared) {
    let code = String::from_utf8_lossy(reply).split(' ').nth(1).and_then(|code| code.parse().ok());
    if let (Some(call), Some(code)) = (call, code) {
        shared.record.answer_begins(call, code);
        shared.record.over(call);
    }
    wire::write(stream, reply).await;
}

struct Forward {
    head: Head,
    body: Vec<u8>,
    label: String,
}

impl Forward {
    async fn send(&self, shared: &Shared) -> Vec<u8> {
        let reply = timeout(UPSTREAM, self.exchange(shared)).await;
        let reply = match reply {
            Ok(Ok(reply)) => reply,
            Ok(Err(error)) => {
                shared.record.violated(super::Property::Broken, format!("the simulated cloud: {error}"));
                Vec::new()
            }
            Err(_) => Vec::new(),
        };
        let first = String::from_utf8_lossy(&reply);
        shared.record.trace(format_args!("{} -> {}", self.label, first.split("\r\n").next().unwrap_or_default()));
        reply
    }

    async fn exchange(&self, shared: &Shared) -> std::io::Result<Vec<u8>> {
        let stream = TcpStream::connect(shared.cloud).await?;
        let name = ServerName::IpAddress(shared.cloud.ip().into());
        let mut stream = shared.cloud_tls.connect(name, stream).await?;
        let mut bytes = format!("{} {} HTTP/1.1\r\n", self.head.method, self.head.target).into_bytes();
        for (name, value) in &self.head.headers {
            bytes.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        bytes.extend_from_slice(b"\r\n");
        bytes.extend_from_slice(&self.body);
        stream.write_all(&bytes).await?;
        stream.flush().await?;
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).await?;
        Ok(reply)
    }
}

async fn not_tls(mut stream: TcpStream) {
    wire::write(&mut stream, b"220 this is no TLS\r\n").await;
    until_gone(stream).await;
}

/// Reads until the other side has gone; the wait is bounded by the length of any plan.
async fn until_gone(mut stream: impl AsyncReadExt + Unpin) {
    let mut ignored = [0; 1024];
    let reading = async { while matches!(stream.read(&mut ignored).await, Ok(1..)) {} };
    let _ = timeout(UPSTREAM * 4, reading).await;
}

/// Makes the end of the connection, which follows when it is dropped, a reset.
fn reset(stream: &TcpStream) {
    let _ = stream.set_zero_linger();
}
