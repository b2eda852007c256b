//! The state of the simulated cloud. It touches no socket. Submodules hold the functions that tests use to change and
//! query it, and those that connections use.

mod changes;
mod queries;
mod serve;
mod users;

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use k8s_openapi::jiff::{SignedDuration, Timestamp};
use tokio::sync::watch;

use super::{
    Options,
    address::Read,
    cluster::Cluster,
    gateway::{Denial, Gateway, Key, Meter, Throttle},
    iam::Iam,
    ledger::Ledger,
    script::{Act, Queue},
};

struct State {
    gateway: Gateway,
    clusters: HashMap<String, Cluster>,
    ledger: Ledger,
    connection_faults: VecDeque<Act>,
    logins: Queue,
    denials: HashMap<Read, Denial>,
}

pub struct Cloud {
    state: Mutex<State>,
    arrivals: watch::Sender<usize>,
    access_key: String,
    secret_key: String,
    accept_any_cluster: bool,
    clock_offset: i64,
    lag: usize,
    tables_per_read: u64,
    print: bool,
    print_reads: bool,
}

impl Cloud {
    pub(super) fn new(options: &Options) -> Self {
        let secret_key = options.secret_key.clone().unwrap_or_else(|| format!("{:032x}", rand::random::<u128>()));
        let keys = HashMap::from([(options.access_key.clone(), Key::new(secret_key.clone(), None))]);
        let iam = Iam::new();
        Self {
            state: Mutex::new(State {
                gateway: Gateway { keys, iam, calls: Meter::default(), lock: options.lock },
                clusters: HashMap::new(),
                ledger: Ledger::default(),
                connection_faults: VecDeque::new(),
                logins: Queue::default(),
                denials: HashMap::new(),
            }),
            arrivals: watch::channel(0).0,
            access_key: options.access_key.clone(),
            secret_key,
            accept_any_cluster: options.accept_any_cluster,
            clock_offset: options.clock_offset,
            lag: options.lag,
            tables_per_read: options.tables_per_read,
            print: options.print,
            print_reads: options.print_reads,
        }
    }

    /// Access key id that is known from the start.
    pub fn access_key(&self) -> &str {
        &self.access_key
    }

    pub fn secret_key(&self) -> &str {
        &self.secret_key
    }

    /// Adds a key, or changes its secret.
    pub fn add_key(&self, access: &str, secret: &str, token: Option<&str>) {
        let key = Key::new(secret.to_owned(), token.map(str::to_owned));
        self.state().gateway.keys.insert(access.to_owned(), key);
    }

    /// True while a key is locked for wrong signatures.
    pub fn is_locked(&self, access: &str) -> bool {
        self.state()
            .gateway
            .keys
            .get(access)
            .is_some_and(|key| key.locked_until.is_some_and(|until| Instant::now() < until))
    }

    /// Limits the calls of each key or user.
    pub fn throttle(&self, throttle: Option<Throttle>) {
        self.state().gateway.calls.limit = throttle;
    }

    /// Refuses this kind of read to all users, as if they lacked the right to it; or accepts it again.
    pub fn deny(&self, read: Read, denial: Option<Denial>) {
        let denials = &mut self.state().denials;
        match denial {
            Some(denial) => denials.insert(read, denial),
            None => denials.remove(&read),
        };
    }

    pub(super) fn time(&self) -> Timestamp {
        Timestamp::now().checked_add(SignedDuration::from_secs(self.clock_offset)).unwrap_or_else(|_| Timestamp::now())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes a cluster, which is created if it does not exist.
    fn with<T>(&self, cluster: &str, change: impl FnOnce(&mut Cluster, Timestamp) -> T) -> T {
        let (id, now) = (cluster.to_lowercase(), self.time());
        let mut state = self.state();
        let made = || Cluster::new(&id, self.lag, self.tables_per_read, now);
        change(state.clusters.entry(id.clone()).or_insert_with(made), now)
    }
}
