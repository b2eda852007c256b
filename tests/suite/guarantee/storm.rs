//! A sample of the sweep's full runs: faults at the claim and at the call, and a storm of kills. The sweep's own
//! oracles judge; this asserts that there was something to judge.

use testbed::{
    fault_proxy::{
        Plan,
        plan::{Kind, Step},
    },
    sweep::{bench::Bench, many, report::Report, storm},
};

use crate::support::world::binary;

#[tokio::test]
async fn no_fault_at_the_claim_or_the_call_breaks_the_guarantee() {
    let bench = Bench::with(binary()).await.unwrap();
    many::space(&bench).await.unwrap();
    let plans: Vec<_> = [(Kind::Put, 2), (Kind::Call, 1), (Kind::Connect, 1)]
        .into_iter()
        .flat_map(|(kind, ordinal)| {
            kind.faults().into_iter().map(move |fault| Plan::single(Step { kind, ordinal, fault }))
        })
        .collect();
    let count = plans.len();
    let outcomes = many::run(&bench, plans, 8).await;
    let broken: Vec<_> = outcomes.iter().filter(|outcome| !outcome.violations.is_empty()).collect();
    assert!(broken.is_empty(), "{broken:#?}");
    let report = Report::of(&outcomes.iter().collect::<Vec<_>>(), 0.0);
    assert!(report.is_clean(), "{report:?}");
    assert!(count > 60 && outcomes.iter().all(|outcome| outcome.strikes == 1), "a fault never struck");
}

#[tokio::test]
async fn a_storm_of_kills_makes_no_second_call_and_no_false_statement() {
    let bench = Bench::with(binary()).await.unwrap();
    let size = storm::Size { generations: 200, objects: 20, operators: 3, kill_every: 4 };
    let report: Report = storm::run(&bench, size).await.unwrap();
    assert!(report.is_clean(), "{report:?}");
    // One edit in four asks for a kill, of 180, and none is left out: 45, more or less, on any machine.
    assert!(report.kills.unwrap() > 20 && report.calls > 100, "this was no storm: {report:?}");
    println!("{report:?}");
}
