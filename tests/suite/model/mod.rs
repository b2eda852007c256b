//! The protocol, explored: every interleaving of two controllers without election, of crashes, lost replies, lost and
//! late requests, edits and re-creations. What the controllers decide and write is the product's own `decide`,
//! `status` and `memory`, so that the model cannot drift from the code; only the world around them is modelled.
//!
//! Time is abstract: a grace may end once the send permit of that attempt is used or dead and its request is no longer
//! under way, which the implementation earns by its budgets and timeouts.

mod explore;
mod laws;
mod product;
mod world;

use explore::{Found, explore};
use world::{Budget, Crd, Mutant};

/// Enough for every kind of trouble to meet every other once.
const BUDGETS: [(&str, Budget); 6] = [
    ("a crash, an edit, two attempts", Budget { crashes: 1, edits: 1, recreations: 0, attempts: 2, crd: Crd::Current }),
    (
        "an old CRD that prunes the journal",
        Budget { crashes: 1, edits: 1, recreations: 0, attempts: 3, crd: Crd::WithoutAttempt },
    ),
    (
        "an old CRD that prunes a part of an attempt",
        Budget { crashes: 1, edits: 1, recreations: 0, attempts: 3, crd: Crd::WithoutAField },
    ),
    (
        "a crash, a re-creation, an edit",
        Budget { crashes: 1, edits: 1, recreations: 1, attempts: 2, crd: Crd::Current },
    ),
    (
        "two crashes, an edit, three attempts",
        Budget { crashes: 2, edits: 1, recreations: 0, attempts: 3, crd: Crd::Current },
    ),
    (
        "a crash, two edits, three attempts",
        Budget { crashes: 1, edits: 2, recreations: 0, attempts: 3, crd: Crd::Current },
    ),
];

#[test]
fn no_interleaving_breaks_the_law_and_a_closed_state_stays_in_reach_of_every_one() {
    let mut states = 0;
    for (name, budget) in BUDGETS {
        let found = explore(budget, None);
        println!("{name}: {} states", found.states);
        assert_eq!(found.violation, None, "{name}");
        assert_eq!(found.stuck, 0, "{name}: states from which nothing closes any more");
        states += found.states;
    }
    println!("{states} states in all");
    assert!(states >= 1_000_000, "{states} states are too few to say anything");
}

#[test]
fn every_mutant_of_the_protocol_is_caught() {
    for mutant in Mutant::ALL {
        let caught = BUDGETS.iter().find_map(|(_, budget)| {
            let Found { violation, states, .. } = explore(*budget, Some(mutant));
            violation.map(|violation| (states, violation))
        });
        let (states, (law, trace)) = caught.unwrap_or_else(|| panic!("{mutant:?} was not caught"));
        println!("{mutant:?}: {law} after {states} states: {}", trace.join(" -> "));
    }
}
