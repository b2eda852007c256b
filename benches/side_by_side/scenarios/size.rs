//! The binary, how soon it is ready, and how soon a waiting object is called.

use std::{
    fs,
    path::Path,
    time::{Duration, Instant},
};

use super::Case;
use crate::{
    Failure,
    actors::Actors,
    arguments::Scenario,
    bars::Bar,
    candidate::{Candidate, Running, Settings},
    objects,
    process::as_float,
    programs::Programs,
    sample::Sample,
    setting::Setting,
    window::Window,
};

const SIZE: &str = "program, MB";
const READY: &str = "ms from start to ready";
const READY_WITHIN: Duration = Duration::from_secs(30);

pub fn case(objects: usize) -> Case {
    let how = "The program on disk (of kopf, its environment without the interpreter); one object waits when it is started. \
               Ready is the operator's own /readyz.";
    let mut case = Case::new(Scenario::Size, "size", how).beside_all(false);
    (case.objects, case.rounds, case.mirrored) = (objects, 5, true);
    case.bars =
        vec![Bar::AtMost(SIZE, 8.0), Bar::AtMost(READY, 50.0), Bar::BelowEveryPeer("ms from start to first call")];
    case
}

pub async fn step(case: &Case, setting: &Setting, candidate: Candidate) -> Result<Sample, Failure> {
    let actors = Actors::new(setting).await?;
    let stage = &actors.stage;
    objects::create_all(&stage.client, &stage.place, 0..case.objects).await?;
    let client = reqwest::Client::builder().no_proxy().build();
    let window = Window::open(stage)?;
    let running = actors.start(candidate, &Settings::default()).await?;
    let window = window.with_new(running.pid());
    let ready = ready(&running, client, window.begin());
    let (ready, called) = tokio::join!(ready, async {
        stage.cloud.any_arrived(1).await;
        window.begin().elapsed()
    });
    let seen = window.measured()?;
    running.kill().await?;
    let mut sample = Sample::new(candidate)
        .measured(seen)
        .figure(SIZE, as_float(bytes(candidate, &setting.programs)?) / 1e6)
        .figure("ms from start to first call", called.as_secs_f64() * 1000.0);
    if let Some(ready) = ready? {
        sample = sample.figure(READY, ready.as_secs_f64() * 1000.0);
    }
    Ok(sample)
}

/// When the operator's own address reports that it is ready; the peers do not report theirs.
async fn ready(
    running: &Running,
    client: reqwest::Result<reqwest::Client>,
    begin: Instant,
) -> Result<Option<Duration>, Failure> {
    let Running::Operator(operator) = running else { return Ok(None) };
    // One client for all requests, created before the first: creating one takes longer than becoming ready.
    let client = client?;
    while begin.elapsed() < READY_WITHIN {
        // Before it has reported its listening address, no request is possible.
        if let Some(address) = operator.address() {
            let answer = client.get(format!("http://{address}/readyz")).send().await;
            if answer.is_ok_and(|answer| answer.status().is_success()) {
                return Ok(Some(begin.elapsed()));
            }
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    Err("the operator is not ready".into())
}

/// Bytes of a candidate's program.
fn bytes(candidate: Candidate, programs: &Programs) -> Result<u64, Failure> {
    let file = match candidate {
        Candidate::Limit => return Ok(0),
        // Its environment.
        Candidate::Kopf => programs.kopf.parent().and_then(Path::parent).ok_or("kopf has no environment")?,
        Candidate::Operator => &programs.operator,
        Candidate::Go | Candidate::GoWorkers => &programs.go,
        Candidate::Textbook => &programs.textbook,
    };
    bytes_of(file)
}

fn bytes_of(path: &Path) -> Result<u64, Failure> {
    let metadata = fs::symlink_metadata(path)?;
    if !metadata.is_dir() {
        return Ok(metadata.len());
    }
    fs::read_dir(path)?.map(|entry| bytes_of(&entry?.path())).sum()
}
