//! Somebody reaches the admin port, or the reader of the log stands still.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::sleep,
};

use super::{
    attacks::Figures,
    figure::{CALLED, Figure, LIVEZ, PEAK},
    stage::Stage,
    tenant::{Tenant, object},
    victim::{Setting, Victim},
};
use crate::{Failure, eventually::try_eventually};

/// Longest wait until all connections are open. An operator that bounds them never lets all in.
const OPEN_WITHIN: Duration = Duration::from_secs(15);
/// Before a connection that the operator closed is opened again.
const AGAIN_AFTER: Duration = Duration::from_secs(5);

/// What each connection sends.
#[derive(Clone)]
enum Sends {
    /// This, and then waits.
    Once(Arc<[u8]>),
    /// This again and again, without reading an answer.
    Always(Arc<[u8]>),
}

pub async fn half_heads(stage: &Stage) -> Result<Figures, Failure> {
    let head = format!("GET /metrics HTTP/1.1\r\nHost: operator\r\nX-Half: {}", "a".repeat(200));
    attacked(stage, "half-heads", stage.size(10_000, 5000), Sends::Once(head.into_bytes().into()), None).await
}

pub async fn big_heads(stage: &Stage) -> Result<Figures, Failure> {
    let head = format!("GET /metrics HTTP/1.1\r\nHost: operator\r\nX-Half: {}", "a".repeat(390_000));
    attacked(stage, "big-heads", stage.size(300, 200), Sends::Once(head.into_bytes().into()), None).await
}

pub async fn pipeline(stage: &Stage) -> Result<Figures, Failure> {
    let requests = "GET /metrics HTTP/1.1\r\nHost: operator\r\n\r\n".repeat(100);
    attacked(stage, "pipeline", stage.size(200, 100), Sends::Always(requests.into_bytes().into()), None).await
}

pub async fn nofile(stage: &Stage) -> Result<Figures, Failure> {
    let head = b"GET /metrics HTTP/1.1\r\nHost: operator\r\n".as_slice();
    attacked(stage, "nofile", stage.size(200, 100), Sends::Once(head.into()), Some(64)).await
}

async fn attacked(
    stage: &Stage,
    attack: &'static str,
    connections: usize,
    sends: Sends,
    open_files: Option<u32>,
) -> Result<Figures, Failure> {
    raise_open_files()?;
    let b = Tenant::with_own_key(stage).await?;
    let victim = Victim::start(stage, &[&b], Setting { open_files, ..Setting::default() }).await?;
    b.prove_key(stage).await?;
    let (opened, mut clients) = (Arc::new(AtomicUsize::new(0)), JoinSet::new());
    for _ in 0..connections {
        let (sends, opened, address) = (sends.clone(), Arc::clone(&opened), victim.address);
        clients.spawn(async move {
            loop {
                // Whatever ends it: it comes again.
                drop(connection(address, &sends, &opened).await);
                sleep(AGAIN_AFTER).await;
            }
        });
    }
    let open = try_eventually(OPEN_WITHIN, "the connections are open", async || match opened.load(Ordering::Relaxed) {
        count if count >= connections => Ok(()),
        count => Err(format!("{count} of {connections}")),
    });
    if let Err(overdue) = open.await {
        eprintln!("{attack}: {overdue}");
    }
    figures(stage, attack, &victim, &b).await
}

async fn connection(address: SocketAddr, sends: &Sends, opened: &AtomicUsize) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    match sends {
        Sends::Once(head) => {
            stream.write_all(head).await?;
            opened.fetch_add(1, Ordering::Relaxed);
            while stream.read(&mut [0; 64]).await? > 0 {}
            Ok(())
        }
        Sends::Always(requests) => {
            stream.write_all(requests).await?;
            opened.fetch_add(1, Ordering::Relaxed);
            loop {
                stream.write_all(requests).await?;
            }
        }
    }
}

/// Many objects, every line of the log, and a pipe that nobody reads.
pub async fn full_pipe(stage: &Stage) -> Result<Figures, Failure> {
    let (a, b) = (Tenant::with_own_key(stage).await?, Tenant::with_own_key(stage).await?);
    let setting = Setting { unread_output: true, ..Setting::default() };
    let victim = Victim::start(stage, &[&a, &b], setting).await?;
    a.create_many(stage.size(500, 100), || object(&stage.cluster(None))).await?;
    victim.until_its_pipe_is_full().await?;
    figures(stage, "full-pipe", &victim, &b).await
}

async fn figures(stage: &Stage, attack: &'static str, victim: &Victim, b: &Tenant) -> Result<Figures, Failure> {
    let (idle, now) = (stage.idle, stage.measure(victim, b).await?);
    Ok(vec![
        Figure { attack, figure: "peak memory, MiB", idle: idle.peak, under_attack: now.peak, bar: PEAK },
        Figure { attack, figure: "/livez, worst, s", idle: idle.livez, under_attack: now.livez, bar: LIVEZ },
        Figure { attack, figure: "B called, worst of 10, s", idle: idle.called, under_attack: now.called, bar: CALLED },
    ])
}

/// Each connection is a file of this process.
fn raise_open_files() -> Result<(), Failure> {
    let limit = getrlimit(Resource::Nofile);
    Ok(setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })?)
}
