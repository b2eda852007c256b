//! Reads one request and writes answers, byte by byte, so that a fault can be placed between any two of them.

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// Longest head or body that is read.
const LIMIT: usize = 256 * 1024;

#[derive(Clone, Debug, Default)]
pub struct Head {
    pub method: String,
    pub target: String,
    pub headers: Vec<(String, String)>,
}

impl Head {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// `Content-Length`, 0 if absent.
    pub fn length(&self) -> usize {
        self.get("content-length").and_then(|length| length.trim().parse().ok()).unwrap_or(0)
    }
}

pub enum ReadHead {
    /// Not a byte came.
    Nothing,
    Partial,
    /// The head, and the first bytes of the body.
    Whole(Head, Vec<u8>),
}

pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> ReadHead {
    let mut bytes = Vec::new();
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let body = bytes.split_off(end + 4);
            return ReadHead::Whole(parse(&String::from_utf8_lossy(&bytes)), body);
        }
        match stream.read_buf(&mut bytes).await {
            Ok(1..) if bytes.len() < LIMIT => {}
            _ if bytes.is_empty() => return ReadHead::Nothing,
            _ => return ReadHead::Partial,
        }
    }
}

fn parse(text: &str) -> Head {
    let mut lines = text.lines();
    let mut first = lines.next().unwrap_or_default().split(' ');
    let (method, target) = (first.next().unwrap_or_default().to_owned(), first.next().unwrap_or_default().to_owned());
    let headers = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
        .collect();
    Head { method, target, headers }
}

/// Reads the rest of a body; false if it broke off.
pub async fn read_body(stream: &mut (impl AsyncRead + Unpin), body: &mut Vec<u8>, length: usize) -> bool {
    while body.len() < length.min(LIMIT) {
        match stream.read_buf(body).await {
            Ok(1..) => {}
            _ => return false,
        }
    }
    length <= LIMIT
}

/// Writes bytes and flushes them. A client that has left is no error of the simulator.
pub async fn write(stream: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) {
    if stream.write_all(bytes).await.is_ok() {
        let _ = stream.flush().await;
    }
}

pub fn phrase(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Unknown")
}
