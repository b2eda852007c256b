//! The small version for CI: counts only, since these do not depend on how busy the machine is. A value above its bound
//! is an error.

use std::time::Duration;

use crate::{
    Failure,
    actors::{Actors, explained},
    candidate::{Candidate, Settings},
    counts::Counts,
    objects,
    process::as_float,
    scenarios::memory::{at_rest, beside},
    setting::Setting,
};

const OBJECTS: usize = 300;
/// Finished objects, few and many. Both are more than a page of the first list, so that the page's memory is not
/// counted as theirs; and memory varies by a MiB from start to start, which must be little for each of them.
const FINISHED: [usize; 2] = [1_000, 9_000];
/// One read of the object, on which its claim is decided, and two of its Secret: before the wait for a slot and after it.
const MOST_READS: f64 = 3.0;
/// Far below a cached object's memory (1.8 KB with all removable fields removed), and far enough above the measured
/// values (150 to 420 bytes from start to start) not to fail by chance.
const MOST_BYTES: f64 = 1024.0;

pub async fn run(setting: &Setting) -> Result<(), Failure> {
    let objects = setting.arguments.objects.unwrap_or(OBJECTS);
    let actors = Actors::new(setting).await?;
    let stage = &actors.stage;
    let [few, many] = FINISHED;
    let beside_few = beside(setting, stage, Candidate::Operator, few).await?;
    objects::create_finished(&stage.client, &stage.place, many, false).await?;
    let running = actors.at_work(Candidate::Operator, &Settings::default()).await?;
    let (beside_many, _) = at_rest(&running).await?;
    let (before, calls) = (Counts::now(&stage.plane).await?, stage.cloud.total_calls());
    objects::create_all(&stage.client, &stage.place, 0..objects).await?;
    explained(&running, actors.watching.settled(objects + 1)).await?;
    if let Some(pid) = running.pid() {
        crate::process::rests(pid, Duration::from_secs(1), Duration::from_secs(30)).await?;
    }
    let counts = Counts::now(&stage.plane).await? - before;
    running.kill().await?;
    let bytes = (beside_many - beside_few) * 1024.0 * 1024.0 / as_float((many - few) as u64);
    let others = as_float((stage.cloud.total_calls() - calls).abs_diff(objects) as u64);
    let mut missed = Vec::new();
    for (what, seen, least, most) in [
        ("writes per object", counts.writes_each(objects), 2.0, 2.0),
        ("reads per object", counts.reads_each(objects), 0.0, MOST_READS),
        ("duplicates", actors.duplicates(), 0.0, 0.0),
        ("calls too many or too few", others, 0.0, 0.0),
        ("bytes per finished object", bytes, f64::NEG_INFINITY, MOST_BYTES),
    ] {
        let holds = (least..=most).contains(&seen);
        println!("{what}: {seen:.2}, at most {most}{}", if holds { "" } else { ": MISSED" });
        if !holds {
            missed.push(what);
        }
    }
    if missed.is_empty() { Ok(()) } else { Err(format!("missed: {}", missed.join(", ")).into()) }
}
