//! Three operators without election, each killed again and again at any moment, while every object is edited on and on.
//! The number of jobs tells which generation a call was for, so that the cloud's ledger can be held against the law.

use std::{
    collections::HashMap,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use rand::seq::IndexedRandom;
use redistribution_operator::resource::ClusterRedistribution;
use serde_json::{Value, json};
use testbed::{Operator, simulator::Script};

use crate::world::{World, reason_of};

const OBJECTS: usize = 30;
const GENERATIONS: i64 = 8;

/// Calls for each cluster and number of jobs.
fn calls(world: &World) -> HashMap<(String, i64), usize> {
    let mut calls = HashMap::new();
    for entry in world.cloud.entries() {
        let body: Value = serde_json::from_str(&entry.body).unwrap_or_default();
        *calls.entry((entry.cluster, body["parallel_jobs"].as_i64().unwrap_or_default())).or_default() += 1;
    }
    calls
}

/// Edits every object from generation to generation, in random order and without waiting for anybody.
async fn edit(world: &World) {
    let mut edits: Vec<_> = (0..OBJECTS).map(|object| (object, 1)).collect();
    while let Some(&(object, generation)) = edits.choose(&mut rand::rng()) {
        let (api, name) = (world.api(), format!("wish-{object}"));
        // Most of the time the last wish is closed by now; now and then it is not, and must be waited for by the operators.
        let closed = api.get(&name).await.is_ok_and(|object| reason_of(&object).is_some());
        if closed || rand::random_range(0..100) == 0 {
            world.patch(&name, json!({"spec": {"parallelJobs": generation + 1}})).await;
            edits.retain(|&(other, _)| other != object);
            if generation + 1 < GENERATIONS {
                edits.push((object, generation + 1));
            }
        }
    }
}

/// Kills one after the other, at random, and starts it again at once.
async fn kill(operators: &mut [Operator], over: &AtomicBool) -> usize {
    let mut kills = 0;
    while !over.load(Ordering::Relaxed) {
        // The randomness is the point: no moment of an attempt is safe from it.
        tokio::time::sleep(Duration::from_millis(rand::random_range(1..250))).await;
        let which = rand::random_range(0..operators.len());
        operators[which].kill().await.unwrap();
        operators[which] = Operator::run(operators[which].command().clone()).unwrap();
        kills += 1;
    }
    kills
}

#[tokio::test]
async fn a_storm_of_kills_makes_no_second_call_and_no_false_statement() {
    let world = World::new().await;
    let mut clusters = Vec::new();
    for object in 0..OBJECTS {
        let cluster = world.cluster();
        let answers = (0..50).map(|_| Script::status(200).after(Duration::from_millis(rand::random_range(0..60))));
        world.cloud.script(&cluster, answers);
        world.create_with(&format!("wish-{object}"), &cluster, |object| object.spec.parallel_jobs = 1).await;
        clusters.push(cluster);
    }
    let mut operators = Vec::new();
    for number in 0..3 {
        let flags = ["--send-budget=1s", "--request-timeout=2s", "--grace-margin=2s"];
        let operator = world.operator_from(|options| {
            options.service_account = format!("operator-{number}");
            options.arguments.extend(flags.map(Into::into));
        });
        operators.push(operator.await);
    }
    let over = AtomicBool::new(false);
    let (kills, ()) = tokio::join!(kill(&mut operators, &over), async {
        edit(&world).await;
        over.store(true, Ordering::Relaxed);
    });
    let objects = world.all_settled(&["Delivered", "OutcomeUnknown"]).await;

    let calls = calls(&world);
    let repeated: Vec<_> = calls.iter().filter(|&(_, &count)| count > 1).collect();
    assert!(repeated.is_empty(), "called more than once: {repeated:?}");
    assert_eq!(world.cloud.max_in_flight().1, 1, "two generations of one object were under way at once");
    let mut unknown = 0;
    for object in &objects {
        let told = |generation: i64| calls.contains_key(&(object.spec.cluster_id.clone(), generation));
        for (generation, state) in attempts(object) {
            match state.as_str() {
                "Answered" => assert!(told(generation), "answered without a call: {object:?}"),
                "Unknown" => unknown += 1,
                other => panic!("{other}: {object:?}"),
            }
        }
    }
    println!(
        "{kills} kills, {} calls, {unknown} unknown of {} attempts in journals",
        calls.len(),
        objects.iter().map(|object| attempts(object).len()).sum::<usize>()
    );
    assert!(kills > 20 && calls.len() > OBJECTS * 2, "{kills} kills and {} calls are no storm", calls.len());
}

/// Generation, which is the number of jobs, and state of every attempt that the journal holds.
fn attempts(object: &ClusterRedistribution) -> Vec<(i64, String)> {
    let status = object.status.clone().unwrap();
    let past = status.history.into_iter().map(|past| (past.generation, past.state));
    status.attempt.into_iter().map(|attempt| (attempt.generation, attempt.state)).chain(past).collect()
}
