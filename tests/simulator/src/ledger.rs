//! The requests that arrived, in order, and their results: calls, reads and logins, each in a log of its own. The
//! ledger is the judge of every test: an entry is written when bytes arrive, not when they are answered.

use std::collections::HashMap;

use serde::Serialize;

use super::address::Kind;

#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own about a request")]
#[derive(Clone, Debug, Default, Serialize)]
pub struct Entry {
    /// Count of arrivals in its log, from 1.
    pub number: usize,
    pub kind: Kind,
    /// Clock of this machine, in milliseconds since 1970.
    pub arrived_millis: i128,
    /// Method, empty if it did not arrive.
    pub method: String,
    pub target: String,
    pub project: String,
    /// Cluster of the path, in lower case.
    pub cluster: String,
    pub access_key: String,
    /// User who logs in, or whose token was sent.
    pub user: String,
    /// Digest of the signature or of the token, to distinguish requests.
    pub authorization_digest: String,
    /// `X-Sdk-Date`.
    pub date: String,
    pub whole_head: bool,
    pub whole_body: bool,
    /// The body, as text; a login's is omitted.
    pub body: String,
    pub verified: bool,
    /// The cluster carried a redistribution out because of it.
    pub executed: bool,
    /// Status of the answer, or the name of the fault; absent until then.
    pub outcome: Option<String>,
}

#[derive(Clone, Copy, Debug)]
pub struct Ticket {
    pub kind: Kind,
    pub number: usize,
}

#[derive(Debug, Default)]
pub struct Ledger {
    /// Calls, and requests for addresses that do not exist.
    pub calls: Log,
    pub reads: Log,
    pub logins: Log,
}

impl Ledger {
    pub fn log(&mut self, kind: Kind) -> &mut Log {
        match kind {
            Kind::Call | Kind::Other => &mut self.calls,
            Kind::Read(_) => &mut self.reads,
            Kind::Login => &mut self.logins,
        }
    }
}

/// The requests of one log. They are counted by cluster, logins by user.
#[derive(Debug, Default)]
pub struct Log {
    entries: Vec<Entry>,
    in_flight: HashMap<String, InFlight>,
    total: InFlight,
}

#[derive(Debug, Default)]
struct InFlight {
    now: usize,
    most: usize,
}

impl InFlight {
    fn up(&mut self) {
        self.now += 1;
        self.most = self.most.max(self.now);
    }
}

fn counted_by(entry: &Entry) -> &str {
    if entry.kind == Kind::Login { &entry.user } else { &entry.cluster }
}

impl Log {
    /// A request has begun to arrive. Returns its number.
    pub fn arrive(&mut self, mut entry: Entry) -> usize {
        entry.number = self.entries.len() + 1;
        self.in_flight.entry(counted_by(&entry).to_owned()).or_default().up();
        self.total.up();
        self.entries.push(entry);
        self.entries.len()
    }

    pub fn update(&mut self, number: usize, change: impl FnOnce(&mut Entry)) {
        let Some(entry) = self.entries.get_mut(number - 1) else { return };
        let before = counted_by(entry).to_owned();
        change(entry);
        let now = counted_by(entry).to_owned();
        if before != now && entry.outcome.is_none() {
            self.leave(&before);
            self.in_flight.entry(now).or_default().up();
        }
    }

    pub fn finish(&mut self, number: usize, outcome: &str) {
        let Some(entry) = self.entries.get_mut(number - 1).filter(|entry| entry.outcome.is_none()) else { return };
        entry.outcome = Some(outcome.to_owned());
        let counted = counted_by(entry).to_owned();
        self.total.now -= 1;
        self.leave(&counted);
    }

    fn leave(&mut self, counted: &str) {
        if let Some(count) = self.in_flight.get_mut(counted) {
            count.now -= 1;
        }
    }

    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Those of a cluster, logins of a user; an incomplete request counts, since its bytes have left the client.
    pub fn of<'a>(&'a self, counted: &str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| counted_by(entry) == counted)
    }

    /// Most requests at once, for all clusters or users together and for any one of them.
    pub fn max_in_flight(&self) -> (usize, usize) {
        (self.total.most, self.in_flight.values().map(|count| count.most).max().unwrap_or(0))
    }

    /// Most requests at once for this cluster or user.
    pub fn max_in_flight_of(&self, counted: &str) -> usize {
        self.in_flight.get(counted).map_or(0, |count| count.most)
    }
}
