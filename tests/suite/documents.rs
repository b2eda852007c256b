//! What README promises is there, and what is there README tells.

use redistribution_operator::resource::{Reason, Row};

const README: &str = include_str!("../../README.md");

/// The row of a reason in README's table of conditions.
fn told(reason: Reason) -> Vec<String> {
    let name = format!("`{reason}`");
    let row = README.lines().find(|line| line.starts_with("| ") && line.split(" | ").next().unwrap().contains(&name));
    let row = row.unwrap_or_else(|| panic!("README's table of conditions does not hold {reason}"));
    row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
}

#[test]
fn the_table_of_conditions_tells_every_reason_as_it_is_set() {
    for &reason in Reason::ALL {
        let (delivered, ready) = match reason.row() {
            Row::Held | Row::Stuck | Row::Refused => ("False", "False"),
            Row::InFlight => ("Unknown", "Unknown"),
            Row::Delivered => ("True", "True"),
            Row::Unknown => ("Unknown", "False"),
        };
        let row = told(reason);
        assert_eq!((row[1].as_str(), row[2].as_str()), (delivered, ready), "{reason}");
        assert!(row.len() == 5 && row[4].len() > 4, "{reason} does not say what to do: {row:?}");
    }
}

#[test]
fn nothing_is_left_to_be_filled_in_and_every_path_that_is_named_is_there() {
    assert!(!README.contains("@@"));
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    for path in [
        "crds/",
        "deploy/install.yaml",
        "deploy/samples/",
        "src/lib.rs",
        ".ci/run",
        "tests/testbed/src/simulator/",
        "LICENSE",
        "deny.toml",
    ] {
        assert!(root.join(path).exists(), "{path}");
    }
}

#[test]
fn the_two_commands_are_the_first_that_a_reader_meets() {
    let block = README.split("```console\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    assert_eq!(block, "cargo run --example quickstart\ncargo test\n");
}
