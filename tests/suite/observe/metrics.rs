//! What `/metrics` says: everything that `docs/metrics.md` documents and nothing else, and the right numbers of objects.

use std::collections::{BTreeMap, BTreeSet};

use kube::api::DeleteParams;
use testbed::{eventually, simulator::Script};

use crate::{
    observe::progress::{OBSERVE, wait_for_progress},
    support::world::{PATIENCE, World},
};

/// Type and label names by the name of a metric.
type Table = BTreeMap<String, (String, BTreeSet<String>)>;

/// A row of the document: names stand in backticks.
fn documented() -> Table {
    let text = include_str!("../../../docs/metrics.md");
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let names = |cell: &str| cell.split('`').skip(1).step_by(2).map(str::to_owned).collect::<BTreeSet<_>>();
        let name = names(cells[1]).pop_first().unwrap();
        (name, (cells[2].to_owned(), names(cells[3])))
    })
    .collect()
}

/// The samples of a text, each with its name and labels.
fn samples(text: &str) -> Vec<(String, BTreeMap<String, String>, f64)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            let pairs = labels.trim_end_matches('}').split("\",").filter(|pair| !pair.is_empty());
            let labels = pairs.map(|pair| pair.strip_suffix('"').unwrap_or(pair).split_once("=\"").unwrap());
            let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
            (name.to_owned(), labels, value.parse().unwrap())
        })
        .collect()
}

/// The same table of a live text. A histogram's samples go by its own name, without their bound.
fn shown(text: &str) -> Table {
    let mut table = Table::new();
    let types: BTreeMap<_, _> =
        text.lines().filter_map(|line| line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))).collect();
    for (sample, labels, _) in samples(text) {
        let family = types.keys().filter(|family| sample.starts_with(**family)).max_by_key(|family| family.len());
        let kind = types[family.unwrap()];
        let name = if kind == "histogram" { (*family.unwrap()).to_owned() } else { sample };
        let row = table.entry(name).or_insert_with(|| (kind.to_owned(), BTreeSet::new()));
        row.1.extend(labels.into_keys().filter(|key| key != "le"));
    }
    table
}

/// The value of the one series with these labels; 0 if there is none.
fn value(text: &str, name: &str, labels: &[(&str, &str)]) -> f64 {
    let found = samples(text).into_iter().find(|(sample, found, _)| {
        sample == name && labels.iter().all(|(key, value)| found.get(*key).map(String::as_str) == Some(*value))
    });
    found.map_or(0.0, |(_, _, value)| value)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_operator_shows_what_is_documented_and_nothing_else() {
    let world = World::new().await;
    let operator = world.operator_with(&[&["--leader-election"], &OBSERVE[..]].concat()).await;
    let (good, bad) = (world.cluster(), world.cluster());
    world.cloud.script(&bad, [Script::status(400)]);
    world.create("delivered", &good).await;
    world.create("refused", &bad).await;
    world.create_annotated("held", &world.cluster(), &[("suspend", "true")]).await;
    world.settled("delivered", "Delivered").await;
    world.settled("refused", "BadRequest").await;
    world.settled("held", "Suspended").await;
    wait_for_progress(&world, "delivered", "Running").await;
    world.cloud.paused(&good, false);
    eventually(PATIENCE, "the metrics are those of the document", async || {
        let text = operator.metrics().await.map_err(|error| error.to_string())?;
        let (documented, shown) = (documented(), shown(&text));
        let differ = |(name, row): &(&String, &(String, BTreeSet<String>))| documented.get(*name) != Some(*row);
        let unlike: Vec<_> = shown.iter().filter(differ).collect();
        let missing: Vec<_> = documented.keys().filter(|name| !shown.contains_key(*name)).collect();
        if unlike.is_empty() && missing.is_empty() {
            Ok(())
        } else {
            Err(format!("not as documented: {unlike:?}; missing: {missing:?}"))
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_counted_by_reason_until_deleted_and_requests_by_outcome() {
    let world = World::new().await;
    let operator = world.operator().await;
    let bad = world.cluster();
    world.cloud.script(&bad, [Script::lost_reply()]);
    world.create("one", &world.cluster()).await;
    world.create("two", &world.cluster()).await;
    world.create("lost", &bad).await;
    world.settled("one", "Delivered").await;
    world.settled("two", "Delivered").await;
    world.settled("lost", "OutcomeUnknown").await;

    let stalled = [("namespace", world.namespace.as_str()), ("name", "lost"), ("reason", "OutcomeUnknown")];
    let counted = async |delivered: f64, lost: f64| {
        eventually(PATIENCE, &format!("{delivered} delivered, {lost} lost"), async || {
            let text = operator.metrics().await.map_err(|error| error.to_string())?;
            let seen = (
                value(&text, "dws_redistribution_objects", &[("reason", "Delivered")]),
                value(&text, "dws_redistribution_objects", &[("reason", "OutcomeUnknown")]),
                value(&text, "dws_redistribution_stalled", &stalled),
                value(&text, "workqueue_depth", &[]),
            );
            if seen == (delivered, lost, lost, 0.0) { Ok(()) } else { Err(format!("{seen:?}")) }
        })
        .await;
    };
    counted(2.0, 1.0).await;
    let text = operator.metrics().await.unwrap();
    let requests = |outcome: &str| value(&text, "dws_redistribution_requests_total", &[("outcome", outcome)]);
    let timed = value(&text, "dws_redistribution_request_duration_seconds_count", &[]);
    assert_eq!((requests("answered"), requests("unknown"), timed), (2.0, 1.0, 3.0));
    world.api().delete("one", &DeleteParams::default()).await.unwrap();
    world.api().delete("lost", &DeleteParams::default()).await.unwrap();
    counted(1.0, 0.0).await;
}
