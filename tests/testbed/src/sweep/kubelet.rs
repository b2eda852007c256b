//! Keeps one operator running as a kubelet does: starts it, restarts it when it has ended, ends it when its liveness
//! probe fails, and carries out its proxy's orders. It judges only the process itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::mpsc,
    time::{Instant, MissedTickBehavior, interval, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    Failure, Operator,
    fault_proxy::{
        Property, Record,
        order::{Order, OrderKind},
    },
    operator::OperatorCommand,
    supervisor::is_running,
};

/// How long a stopped operator stays stopped: longer than the grace of another one.
const STOPPED: Duration = Duration::from_secs(8);
const CHECK_EVERY: Duration = Duration::from_millis(100);
/// A kubelet's probe, quicker: at one check in this many.
const PROBE_AT: u32 = 5;
/// Failures in a row after which a kubelet ends the container.
const PROBE_FAILURES: usize = 3;

/// State that the user of a plan may read while it runs.
#[derive(Debug, Default)]
pub struct OperatorState {
    pub watching: AtomicBool,
    pub probe_ended: AtomicUsize,
}

/// Keeps it running until `stop`, then ends it.
pub async fn supervise(
    command: OperatorCommand,
    mut orders: mpsc::UnboundedReceiver<Order>,
    record: Arc<Record>,
    kept: Arc<OperatorState>,
    stop: CancellationToken,
) -> Result<(), Failure> {
    while !stop.is_cancelled() {
        let operator = Operator::run(command.clone())?;
        record.trace(format_args!("operator {} started", operator.pid()));
        let ended = attend(&operator, &mut orders, &record, &kept, &stop).await;
        if stop.is_cancelled()
            && let Ok(metrics) = operator.metrics().await
        {
            record.check_for_leaks("the metrics", metrics.as_bytes());
        }
        operator.kill_if_running().await?;
        if let Some(done) = ended {
            let _ = done.send(());
        }
        let output = operator.output();
        record.check_for_leaks("the log", output.as_bytes());
        if output.contains("panicked at") {
            record.violated(Property::Deaf, format!("the operator panicked: {output}"));
        }
        for line in output.lines() {
            record.log(operator.pid(), line);
        }
    }
    drop(std::fs::remove_file(&command.kubeconfig));
    Ok(())
}

/// Until it has to be ended or has ended; returns the receiver of that news.
async fn attend(
    operator: &Operator,
    orders: &mut mpsc::UnboundedReceiver<Order>,
    record: &Record,
    kept: &OperatorState,
    stop: &CancellationToken,
) -> Option<tokio::sync::oneshot::Sender<()>> {
    let mut probes = interval(CHECK_EVERY);
    probes.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut looks, mut failures, mut resume_at, mut waiting) = (0_u32, 0, None::<Instant>, None);
    loop {
        let resume = async {
            match resume_at {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = stop.cancelled() => {
                let _ = operator.resume();
                return None;
            }
            order = orders.recv() => match order {
                Some(Order { kind: OrderKind::Kill, done }) => return Some(done),
                Some(Order { kind, done }) => {
                    record.trace(format_args!("operator {} is stopped", operator.pid()));
                    let _ = operator.pause();
                    resume_at = Some(Instant::now() + STOPPED);
                    if kind == OrderKind::Stop { waiting = Some(done) } else { let _ = done.send(()); }
                }
                None => return None,
            },
            () = resume => {
                record.trace(format_args!("operator {} resumes", operator.pid()));
                let _ = operator.resume();
                resume_at = None;
                if let Some(done) = waiting.take() { let _ = done.send(()); }
            }
            _ = probes.tick() => {
                if !is_running(operator.pid()) {
                    record.violated(Property::Deaf, format!("the operator ended by itself: {}", operator.output()));
                    return None;
                }
                if operator.is_watching() { kept.watching.store(true, Ordering::Relaxed); }
                // A stopped operator cannot answer, and its kubelet is stopped with it.
                looks = looks.wrapping_add(1);
                if resume_at.is_some() || operator.address().is_none() || looks % PROBE_AT != 0 { continue }
                let alive = probe(operator).await;
                failures = if alive { 0 } else { failures + 1 };
                if failures >= PROBE_FAILURES {
                    record.trace(format_args!("operator {} failed its liveness probe", operator.pid()));
                    kept.probe_ended.fetch_add(1, Ordering::Relaxed);
                    return None;
                }
            }
        }
    }
}

/// Whether `/livez` gives status 200 within a second, as a kubelet probes.
async fn probe(operator: &Operator) -> bool {
    let asking = async {
        let mut stream = TcpStream::connect(operator.address()?).await.ok()?;
        stream.write_all(b"GET /livez HTTP/1.1\r\nHost: probe\r\nConnection: close\r\n\r\n").await.ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.ok()?;
        Some(answer.starts_with(b"HTTP/1.1 200 "))
    };
    timeout(Duration::from_secs(1), asking).await.is_ok_and(|alive| alive == Some(true))
}
