//! The cloud's part in serving a connection: the entry in the ledger, the gateway's decision, a script if there is one,
//! and the ordinary answer.

use std::{sync::Arc, time::Instant};

use tokio::sync::Semaphore;

use super::{
    super::{
        address::{Address, Kind, Read},
        answer::{Answer, Shape},
        gateway::{self, Caller},
        iam,
        ledger::{Entry, Ticket},
        script::{Act, Script},
        signature::Arrived,
        task::TaskState,
    },
    Cloud,
};

impl Cloud {
    pub(crate) fn next_connection_fault(&self) -> Option<Act> {
        self.state().connection_faults.pop_front()
    }

    pub(crate) fn arrive(&self, entry: Entry) -> Ticket {
        let kind = entry.kind;
        let number = self.state().ledger.log(kind).arrive(entry);
        self.arrivals.send_modify(|count| *count += 1);
        Ticket { kind, number }
    }

    fn update(&self, ticket: Ticket, change: impl FnOnce(&mut Entry)) {
        self.state().ledger.log(ticket.kind).update(ticket.number, change);
    }

    /// The body arrived whole. It names the user of a login; its password goes into no ledger.
    pub(crate) fn whole(&self, ticket: Ticket, body: &[u8]) {
        self.update(ticket, |entry| {
            entry.whole_body = true;
            if ticket.kind == Kind::Login {
                entry.user = iam::named(body);
            } else {
                entry.body = String::from_utf8_lossy(body).into_owned();
            }
        });
        self.arrivals.send_modify(|count| *count += 1);
    }

    pub(crate) fn finish(&self, ticket: Ticket, outcome: &str) {
        let mut state = self.state();
        let log = state.ledger.log(ticket.kind);
        log.finish(ticket.number, outcome);
        let word = match ticket.kind {
            Kind::Call | Kind::Other if self.print => "call",
            Kind::Login if self.print => "login",
            Kind::Read(_) if self.print_reads => "read",
            _ => return,
        };
        if let Some(entry) = log.entries().get(ticket.number - 1) {
            let whose = if entry.user.is_empty() { ("key", &entry.access_key) } else { ("user", &entry.user) };
            println!(
                "{word} {}: {} {} with {} {}: {outcome}{}",
                ticket.number,
                entry.method,
                entry.target,
                whose.0,
                whose.1,
                if entry.executed { ", carried out" } else { "" }
            );
        }
    }

    /// The gateway's decision. IAM has no gateway in front of it here.
    pub(crate) fn judge(&self, ticket: Ticket, project: &str, arrived: &Arrived<'_>) -> Result<(), Answer> {
        match ticket.kind {
            Kind::Other => return Err(gateway::unknown_address()),
            Kind::Login => return Ok(()),
            Kind::Call | Kind::Read(_) => {}
        }
        let time = self.time();
        let caller = self.state().gateway.judge(arrived, project, time, Instant::now())?;
        self.update(ticket, |entry| {
            entry.verified = true;
            if let Caller::User(user) = caller {
                entry.user = user;
            }
        });
        Ok(())
    }

    /// The script of the next request of this kind, if there is one, and its release.
    pub(crate) fn next_script(&self, address: &Address) -> Option<(Script, Arc<Semaphore>)> {
        let mut state = self.state();
        if address.kind == Kind::Login {
            return state.logins.next();
        }
        let cluster = state.clusters.get_mut(&address.cluster)?;
        match address.kind {
            Kind::Read(read) => cluster.overlay(read).scripts.next(),
            _ => cluster.calls.next(),
        }
    }

    /// The cluster carries a redistribution out because of this call.
    pub(crate) fn execute(&self, address: &Address, body: &[u8], ticket: Ticket) {
        self.with(&address.cluster, |cluster, now| {
            address.project.clone_into(&mut cluster.project);
            cluster.execute(body, now);
        });
        self.update(ticket, |entry| entry.executed = true);
    }

    /// The ordinary answer to a request that the gateway accepted.
    pub(crate) fn serve(&self, address: &Address, target: &str, body: &[u8], ticket: Ticket) -> Answer {
        match address.kind {
            Kind::Call => self.call(address, body, ticket),
            Kind::Read(read) => self.read(address, read),
            Kind::Login => {
                let time = self.time();
                self.state().gateway.iam.login(target, body, time, Instant::now())
            }
            Kind::Other => gateway::unknown_address(),
        }
    }

    fn call(&self, address: &Address, body: &[u8], ticket: Ticket) -> Answer {
        if let Some(refusal) = refuse_body(body) {
            return refusal;
        }
        if let Err(unknown) = self.known(address) {
            return unknown;
        }
        // Checked and carried out in one step, or two calls at once would both be carried out.
        let executed = self.with(&address.cluster, |cluster, now| {
            let waits = cluster.state == TaskState::WaitingRedistribution;
            if waits {
                cluster.execute(body, now);
            }
            waits
        });
        if !executed {
            return Answer::error(Shape::Both, 403, "DWS.7023", "Cluster status is not allowed to operation.");
        }
        self.update(ticket, |entry| entry.executed = true);
        Answer::empty(200)
    }

    fn read(&self, address: &Address, read: Read) -> Answer {
        let denial = self.state().denials.get(&read).copied();
        if let Some(denial) = denial {
            return denial.answer();
        }
        if let Err(unknown) = self.known(address) {
            return unknown;
        }
        self.with(&address.cluster, |cluster, now| cluster.show(read, now))
    }

    /// Checks that the cluster exists in that project; the error is the service's.
    fn known(&self, address: &Address) -> Result<(), Answer> {
        let unknown = || Err(Answer::error(Shape::Plain, 401, "DWS.0047", "The cluster does not exist."));
        if !self.accept_any_cluster && !self.state().clusters.contains_key(&address.cluster) {
            return unknown();
        }
        self.with(&address.cluster, |cluster, _| {
            if self.accept_any_cluster && cluster.project.is_empty() {
                address.project.clone_into(&mut cluster.project);
            }
            if !cluster.any_project && !cluster.project.eq_ignore_ascii_case(&address.project) {
                unknown()
            } else {
                Ok(())
            }
        })
    }
}

/// The error in a body, in the service's words.
fn refuse_body(body: &[u8]) -> Option<Answer> {
    let wrong = |code: &str, text: &str| Some(Answer::error(Shape::Plain, 400, code, text));
    let Ok(value) = serde_json::from_slice::<serde_json::Value>(body) else {
        return wrong("DWS.5065", "The request body is not valid.");
    };
    match value["redis_mode"].as_str() {
        Some("online" | "offline") => {}
        Some(_) => return wrong("DWS.5038", "The value of redis_mode is out of range."),
        None => return wrong("DWS.5037", "The parameter redis_mode does not exist."),
    }
    match value["parallel_jobs"].as_i64() {
        Some(1..=200) => None,
        Some(_) => wrong("DWS.5060", "The integer parallel_jobs is out of range."),
        None => wrong("DWS.5037", "The parameter parallel_jobs does not exist."),
    }
}
