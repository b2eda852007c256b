//! The protocol, explored: every interleaving of two controllers without election, of crashes, lost replies, lost and
//! late requests, edits and re-creations. The controllers decide and write with the product's own `decide`,
//! `transitions` and `attempts`, so that the model cannot drift from the code; only the world around them is modelled.
//!
//! Time is abstract: a grace may end once the send permit of that attempt is used or dead and its request is no longer
//! under way, which the implementation ensures by its budgets and timeouts.

mod explore;
mod invariants;
mod product;
mod world;

use explore::{Found, explore};
use product::prunes;
use world::{Budget, Mutant};

const NONE: Budget = Budget {
    replicas: 2,
    crashes: 0,
    edits: 0,
    recreations: 0,
    attempts: 0,
    pruned: 0,
    old_at_first: false,
    rollbacks: 0,
    labels: 0,
    emptied: 0,
};

/// Enough for every kind of fault to meet every other once.
const BUDGETS: [(&str, Budget); 4] = [
    ("two crashes, two edits, three attempts", Budget { crashes: 2, edits: 2, attempts: 3, ..NONE }),
    (
        "an old CRD that prunes the journal",
        Budget {
            crashes: 1,
            edits: 1,
            attempts: 3,
            pruned: prunes::ATTEMPT | prunes::HISTORY,
            old_at_first: true,
            ..NONE
        },
    ),
    (
        "an old CRD that prunes a part of an attempt",
        Budget { crashes: 1, edits: 1, attempts: 3, pruned: prunes::A_PART, old_at_first: true, ..NONE },
    ),
    ("a crash, a re-creation, an edit", Budget { crashes: 1, edits: 1, recreations: 1, attempts: 2, ..NONE }),
];

/// More than that, for the command in tests/README.md.
const LARGER: [(&str, Budget); 2] = [
    ("a crash, two edits, four attempts", Budget { crashes: 1, edits: 2, attempts: 4, ..NONE }),
    (
        "a crash, a re-creation, an edit, three attempts",
        Budget { crashes: 1, edits: 1, recreations: 1, attempts: 3, ..NONE },
    ),
];

/// A CRD that prunes these is installed and replaced again, while somebody labels the object or empties its managed
/// fields.
fn rolled_back(pruned: u8, edits: u8, (labels, emptied): (u8, u8)) -> Budget {
    Budget { replicas: 1, crashes: 1, edits, attempts: 2, pruned, rollbacks: 1, labels, emptied, ..NONE }
}

/// Fields that no CRD may prune together if managed fields are emptied too: nothing is left then that distinguishes a
/// called object from a new one.
const TOO_MUCH: u8 = prunes::ATTEMPT | prunes::CONDITIONS | prunes::OBSERVED_GENERATION;

fn explore_all(budgets: &[(&str, Budget)]) -> usize {
    let mut states = 0;
    for (name, budget) in budgets {
        let found = explore(*budget, None);
        println!("{name}: {} states", found.states);
        assert_eq!(found.violation, None, "{name}");
        assert_eq!(found.stuck, None, "{name}: states from which no closed state is reachable");
        states += found.states;
    }
    println!("{states} states in all");
    states
}

#[test]
fn no_interleaving_breaks_the_guarantee_and_all_states_can_close() {
    let states = explore_all(&BUDGETS);
    assert!(states >= 1_000_000, "{states} states are too few to prove anything");
}

#[test]
#[ignore = "minutes: the larger budget, by the command in tests/README.md"]
fn no_interleaving_breaks_the_guarantee_within_the_larger_budget() {
    explore_all(&LARGER);
}

/// Explores the effects of a CRD that prunes these, with this many edits, and with a label or with emptied managed
/// fields.
fn explore_rolled_back(pruned: u8, edits: u8, trouble: (u8, u8)) -> usize {
    if trouble.1 > 0 && pruned & TOO_MUCH == TOO_MUCH {
        return 0;
    }
    let found = explore(rolled_back(pruned, edits, trouble), None);
    let name = format!("pruned {pruned:05b}, {edits} edits, labels and emptied {trouble:?}");
    println!("{name}: {} states", found.states);
    assert_eq!(found.violation, None, "{name}");
    assert_eq!(found.stuck, None, "{name}: states from which no closed state is reachable");
    found.states
}

const LABELLED: (u8, u8) = (1, 0);
const EMPTIED: (u8, u8) = (0, 1);

#[test]
fn a_crd_that_prunes_any_part_of_status_leads_to_no_second_call() {
    // Where the attempt stays, emptied managed fields make little difference: the larger budget covers them.
    let is_emptied = |pruned: &u8| pruned & prunes::ATTEMPT != 0;
    let labelled: usize = (1..32).map(|pruned| explore_rolled_back(pruned, 0, LABELLED)).sum();
    let emptied: usize = (1..32).filter(is_emptied).map(|pruned| explore_rolled_back(pruned, 0, EMPTIED)).sum();
    let edited: usize = (1..32).map(|pruned| explore_rolled_back(pruned, 1, LABELLED)).sum();
    let both = explore_rolled_back(prunes::ATTEMPT | prunes::OBSERVED_GENERATION, 1, EMPTIED);
    println!("{} states in all", labelled + emptied + edited + both);
}

#[test]
#[ignore = "minutes: the larger budget, by the command in tests/README.md"]
fn an_edit_under_a_crd_that_prunes_any_status_is_sent_once() {
    let of = |pruned| explore_rolled_back(pruned, 1, EMPTIED);
    println!("{} states in all", (1..32).map(of).sum::<usize>());
}

#[test]
fn every_mutant_of_the_protocol_is_caught() {
    for mutant in Mutant::ALL {
        // Mutants that concern hidden status need a CRD that hides some.
        let budgets: Vec<_> = match mutant {
            Mutant::ReadyNotChecked => vec![rolled_back(prunes::ATTEMPT | prunes::CONDITIONS, 0, (0, 1))],
            Mutant::ManagedFieldsAreNotRead | Mutant::NoReadBack => vec![rolled_back(31, 0, (1, 0))],
            _ => BUDGETS.iter().map(|(_, budget)| *budget).collect(),
        };
        let caught = budgets.into_iter().find_map(|budget| {
            let Found { violation, states, .. } = explore(budget, Some(mutant));
            violation.map(|violation| (states, violation))
        });
        let (states, (invariant, trace)) = caught.unwrap_or_else(|| panic!("{mutant:?} was not caught"));
        println!("{mutant:?}: {invariant} after {states} states: {}", trace.join(" -> "));
    }
}
