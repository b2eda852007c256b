//! The attacks: what each does, and what must hold beside it.

use futures::future::LocalBoxFuture;

use super::{admin_port, calls, figure::Figure, keys, memory, names, stage::Stage};
use crate::Failure;

pub type Figures = Vec<Figure>;

pub struct Attack {
    pub name: &'static str,
    /// What A does; the sizes are the whole ones.
    pub does: &'static str,
    pub bar: &'static str,
    pub run: for<'a> fn(&'a Stage) -> LocalBoxFuture<'a, Result<Figures, Failure>>,
}

macro_rules! attacks {
    ($($name:literal $run:path: $does:literal => $bar:expr;)+) => {
        pub const ATTACKS: &[Attack] = &[
            $(Attack { name: $name, does: $does, bar: $bar, run: |stage| Box::pin($run(stage)) },)+
        ];
    };
}

const MEMORY: &str = "peak at most 64 MiB and 1.5 times that of plain objects";
const CALLED: &str = "B called within 2 s";
const PROCESS: &str = "peak at most 64 MiB, /livez within 1 s, B called within 2 s";

attacks! {
    "labels" memory::labels: "36 suspended objects with 1,900 long labels each" => MEMORY;
    "annotations" memory::annotations: "330 suspended objects with 250 KiB of foreign annotations each" => MEMORY;
    "cluster-elsewhere" calls::cluster_elsewhere:
        "B's cluster id in another region and project: six answers of 20 s, then 500 quick ones" => CALLED;
    "slow" calls::slow: "900 objects on one key, answers after 30 s" => CALLED;
    "slow-keys" calls::slow_keys: "the same on three keys" => CALLED;
    "shared-key" calls::shared_key: "600 objects on B's key" => "one slot of the rate limit for each of the two namespaces";
    "same-credential" calls::same_credential: "200 objects with B's credential for B's cluster" => "one call of A and 2 s";
    "hung" calls::hung: "10 tenants with 120 objects each whose answers never come" => CALLED;
    "three-thousand" calls::three_thousand: "3,000 objects" => CALLED;
    "bad-keys" keys::bad_keys: "300 objects whose secret key is wrong" => CALLED;
    "unreachable" calls::unreachable: "300 objects for a region that does not accept connections" => CALLED;
    "hung-tls" calls::hung_tls: "300 objects for a region whose TLS handshakes never end" => CALLED;
    "create-delete" calls::create_delete: "creates and deletes without pause" => CALLED;
    "edits" calls::edits: "edits 20 objects without pause" => CALLED;
    "wrong-secret" keys::wrong_secret: "B's access key with seven wrong secret keys" =>
        "at most 4 wrong signatures in 5 minutes; B within 2 s where its key has worked, else within 5 minutes; across a restart";
    "names" names::names: "120 stalled objects, and B's credential for B's cluster" =>
        "B's status does not name A's namespace; A's objects take no series from B's";
    "half-heads" admin_port::half_heads: "10,000 connections to the admin port with half a head" => PROCESS;
    "big-heads" admin_port::big_heads: "300 connections with a head of 390 kB" => PROCESS;
    "pipeline" admin_port::pipeline: "200 clients that ask for /metrics again and again and never read" => PROCESS;
    "nofile" admin_port::nofile: "200 connections to an operator that may open 64 files" => PROCESS;
    "full-pipe" admin_port::full_pipe: "nobody reads the log, at level trace, of 500 objects" => PROCESS;
}
