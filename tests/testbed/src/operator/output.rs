//! The operator's output, kept in memory as it comes, and the two lines that report its progress. It must not judge any
//! other line: that is for the assertions of tests.

use std::{
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;

/// Shared by the reading thread and its users.
#[derive(Clone, Debug, Default)]
pub struct Output(Arc<Mutex<Seen>>);

#[derive(Debug, Default)]
struct Seen {
    text: String,
    address: Option<SocketAddr>,
    watching: bool,
}

impl Output {
    /// Reads to the end.
    pub fn follow(&self, source: impl Read) {
        let mut source = BufReader::new(source);
        let mut line = Vec::new();
        while matches!(source.read_until(b'\n', &mut line), Ok(1..)) {
            self.take(&String::from_utf8_lossy(&line));
            line.clear();
        }
    }

    fn take(&self, line: &str) {
        let mut seen = self.seen();
        seen.text.push_str(line);
        let Ok(line) = serde_json::from_str::<Value>(line) else { return };
        match line["fields"]["message"].as_str() {
            Some("listening") => {
                seen.address = line["fields"]["address"].as_str().and_then(|address| address.parse().ok());
            }
            Some("watching") => seen.watching = true,
            _ => {}
        }
    }

    pub fn text(&self) -> String {
        self.seen().text.clone()
    }

    pub fn tail(&self) -> String {
        crate::failure::tail(&self.seen().text)
    }

    pub fn address(&self) -> Option<SocketAddr> {
        self.seen().address
    }

    pub fn is_watching(&self) -> bool {
        self.seen().watching
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
