//! Puts an answer or a fault on the wire, and ends the connection. It decides nothing.

use k8s_openapi::jiff::fmt::rfc2822;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::{address::Kind, answer::Answer, cloud::Cloud, ledger::Ticket, script::Act, wire};

/// Records the act, and carries it out. An ordinary answer must have replaced `Ordinary`.
pub async fn act(mut stream: TlsStream<TcpStream>, act: Act, ticket: Ticket, cloud: &Cloud) {
    let name = match &act {
        Act::Answer(answer) | Act::BeforeBody(answer) => answer.status.to_string(),
        Act::Interim(interim, answer) => format!("{interim}, then {}", answer.status),
        Act::Bytes(status, _) => status.to_string(),
        other => format!("{other:?}").split(['(', ' ']).next().unwrap_or_default().to_lowercase(),
    };
    match &act {
        Act::Interim(interim, _) => {
            wire::write(&mut stream, format!("HTTP/1.1 {interim} {}\r\n\r\n", wire::phrase(*interim)).as_bytes()).await;
        }
        // Under way until the client gives up.
        Act::Hang => until_gone(&mut stream).await,
        _ => {}
    }
    // Before the client can know that it is over: the client's next request must not be counted together with it.
    cloud.finish(ticket, &name);
    match act {
        Act::Answer(answer) | Act::BeforeBody(answer) | Act::Interim(_, answer) => {
            respond(&mut stream, &answer, ticket, cloud).await;
        }
        Act::Cut | Act::Ordinary | Act::Hang => {}
        Act::Reset => return reset(stream),
        Act::HalfHead => wire::write(&mut stream, b"HTTP/1.1 200 OK\r\nX-Requ").await,
        Act::HalfHeadReset => {
            wire::write(&mut stream, b"HTTP/1.1 200 OK\r\nX-Requ").await;
            return reset(stream);
        }
        Act::HalfBody(answer) => {
            let head = head_of(&answer, ticket, cloud, &format!("Content-Length: {}", answer.body.len() + 10));
            wire::write(&mut stream, format!("{head}{}", answer.body).as_bytes()).await;
        }
        Act::HalfChunks(answer) => {
            let head = head_of(&answer, ticket, cloud, "Transfer-Encoding: chunked");
            wire::write(&mut stream, format!("{head}{:x}\r\n{}\r\n", answer.body.len().max(1), answer.body).as_bytes())
                .await;
        }
        Act::Bytes(status, body) => {
            let length = format!("Content-Length: {}", body.len());
            let head = head_of(&Answer::empty(status), ticket, cloud, &length);
            wire::write(&mut stream, &[head.as_bytes(), &body].concat()).await;
        }
        Act::LargeBody(status) => {
            let size = if matches!(ticket.kind, Kind::Call) { 80 * 1024 } else { 1100 * 1024 };
            respond(&mut stream, &Answer::with_body(status, " ".repeat(size)), ticket, cloud).await;
        }
    }
    close(stream).await;
}

pub async fn respond(stream: &mut TlsStream<TcpStream>, answer: &Answer, ticket: Ticket, cloud: &Cloud) {
    let head = head_of(answer, ticket, cloud, &format!("Content-Length: {}", answer.body.len()));
    wire::write(stream, format!("{head}{}", answer.body).as_bytes()).await;
}

fn head_of(answer: &Answer, ticket: Ticket, cloud: &Cloud, framing: &str) -> String {
    let date = rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&cloud.time()).unwrap_or_default();
    let further: String =
        answer.headers.iter().flat_map(|(name, value)| [name.as_str(), ": ", value.as_str(), "\r\n"]).collect();
    let log = match ticket.kind {
        Kind::Call | Kind::Other => "",
        Kind::Read(_) => "read-",
        Kind::Login => "login-",
    };
    format!(
        "HTTP/1.1 {} {}\r\nDate: {date}\r\nX-Request-Id: simulator-{log}{:08}\r\nContent-Type: application/json\r\nConnection: close\r\n{further}{framing}\r\n\r\n",
        answer.status,
        wire::phrase(answer.status),
        ticket.number
    )
}

/// Sends the TLS close, then lets the client close first.
pub async fn close(mut stream: TlsStream<TcpStream>) {
    let _ = stream.shutdown().await;
}

/// Ends the connection by RST instead of FIN.
pub fn reset(stream: TlsStream<TcpStream>) {
    let _ = stream.get_ref().0.set_zero_linger();
    drop(stream);
}

/// Reads until the client leaves.
pub async fn until_gone(mut stream: impl AsyncReadExt + Unpin) {
    let mut ignored = [0; 1024];
    while matches!(stream.read(&mut ignored).await, Ok(1..)) {}
}
