//! Everything that the documents name exists, and they document everything that exists: reasons, files, headings,
//! values and names. None of the commands is run.

mod markdown;

use std::{collections::BTreeSet, fs, path::Path};

use redistribution_operator::api::{Reason, ReasonClass};
use serde_json::Value;

use self::markdown::{anchors, blocks, documents, links, spans};
use crate::install::chart::{directory, objects, render};

const README: &str = include_str!("../../../README.md");
const GUARANTEE: &str = include_str!("../../../docs/guarantee.md");
const STATUS: &str = include_str!("../../../docs/status.md");
const CREDENTIALS: &str = include_str!("../../../docs/credentials.md");
const OBSERVATION: &str = include_str!("../../../docs/observation.md");
const FLAGS: &str = include_str!("../../../docs/flags.md");
const GUIDE: &str = include_str!("../../../docs/operations.md");
const GITOPS: &str = include_str!("../../../docs/gitops.md");
const RUNBOOKS: &str = include_str!("../../../docs/runbooks.md");

/// The parts of README that are documents of their own.
const PARTS: [&str; 5] = [GUARANTEE, STATUS, CREDENTIALS, OBSERVATION, FLAGS];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Arguments of the `--set` flags in a document.
fn settings(text: &str) -> Vec<String> {
    let argument = |rest: &str| match rest.strip_prefix('\'') {
        Some(quoted) => quoted.split('\'').next().unwrap().to_owned(),
        None => rest.split([' ', '\n', '`', ')']).next().unwrap().to_owned(),
    };
    text.split("--set ").skip(1).map(argument).collect()
}

/// Whether `values.yaml` has this value. Anything below an empty map or a list is free.
fn is_value(values: &Value, path: &str) -> bool {
    let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
    match (values.get(key.split('[').next().unwrap()), rest) {
        (Some(inner), Some(rest)) => {
            inner.is_array() || inner.as_object().is_some_and(|map| map.is_empty() || is_value(inner, rest))
        }
        (found, _) => found.is_some(),
    }
}

fn values() -> Value {
    serde_saphyr::from_str(&fs::read_to_string(directory().join("values.yaml")).unwrap()).unwrap()
}

/// The row of a reason in the table of docs/status.md.
fn documented_row(reason: Reason) -> Vec<String> {
    let name = format!("`{reason}`");
    let row = STATUS.lines().find(|line| line.starts_with("| ") && line.split(" | ").next().unwrap().contains(&name));
    let row = row.unwrap_or_else(|| panic!("The table of conditions in docs/status.md does not hold {reason}"));
    row.trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect()
}

#[test]
fn the_table_of_conditions_lists_every_reason_as_it_is_set() {
    for &reason in Reason::ALL {
        let (delivered, ready) = match reason.class() {
            ReasonClass::Blocked | ReasonClass::Stalled | ReasonClass::Refused => ("False", "False"),
            ReasonClass::InFlight => ("Unknown", "Unknown"),
            ReasonClass::Delivered => ("True", "True"),
            ReasonClass::Unknown => ("Unknown", "False"),
        };
        let row = documented_row(reason);
        assert_eq!((row[1].as_str(), row[2].as_str()), (delivered, ready), "{reason}");
        assert!(row.len() == 5 && row[4].len() > 4, "{reason} does not say what to do: {row:?}");
    }
}

#[test]
fn every_relative_link_of_every_document_leads_somewhere() {
    let mut all = Vec::new();
    documents(root(), &mut all);
    assert!(all.contains(&root().join("README.md")) && all.contains(&root().join("docs/gitops.md")), "{all:?}");
    let mut followed = 0;
    for document in all {
        let text = fs::read_to_string(&document).unwrap();
        for link in links(&text).iter().filter(|link| !link.contains("://")) {
            let (path, anchor) =
                link.split_once('#').map_or((link.as_str(), None), |(path, anchor)| (path, Some(anchor)));
            let target = if path.is_empty() { document.clone() } else { document.parent().unwrap().join(path) };
            assert!(target.exists(), "{}: {link}", document.display());
            if let Some(anchor) = anchor {
                let there = anchors(&fs::read_to_string(&target).unwrap());
                assert!(there.contains(anchor), "{}: {link} is none of {there:?}", document.display());
                followed += 1;
            }
        }
    }
    assert!(followed >= 5, "{followed}");
}

#[test]
fn documented_helm_flags_set_values_that_the_chart_accepts() {
    let values = values();
    for (document, least) in PARTS.map(|part| (part, 0)).into_iter().chain([(README, 2), (GUIDE, 6), (GITOPS, 0)]) {
        let settings = settings(document);
        assert!(settings.len() >= least, "{settings:?}");
        for setting in settings {
            assert!(is_value(&values, setting.split('=').next().unwrap()), "{setting}");
            render(&["--set", &setting]);
        }
    }
}

#[test]
fn every_value_that_a_text_names_exists() {
    let values = values();
    let guides = [(README, 2), (GUIDE, 20), (GITOPS, 3), (RUNBOOKS, 5)];
    for (document, least) in PARTS.map(|part| (part, 0)).into_iter().chain(guides) {
        let spans = spans(document);
        let dotted = spans.iter().filter_map(|span| span.split(['=', ':']).next()).filter(|span| span.contains('.'));
        let known = |span: &&str| values.get(span.split('.').next().unwrap()).is_some();
        let named: Vec<_> = dotted.filter(known).collect();
        assert!(named.len() >= least, "{named:?}");
        for path in named {
            assert!(is_value(&values, path), "{path}");
        }
    }
}

#[test]
fn the_settings_that_the_guide_shows_are_taken_by_the_chart() {
    let shown = blocks(GUIDE, "yaml");
    assert!(shown.len() >= 3);
    for settings in shown {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), settings).unwrap();
        let before = render(&[]);
        assert!(render(&["--values", file.path().to_str().unwrap()]) != before, "{settings}");
    }
}

#[test]
fn objects_named_in_the_guide_are_those_of_its_release() {
    let rendered = render(&["--set", "dashboard.enabled=true"]);
    let lease = rendered.lines().find_map(|line| line.trim().strip_prefix("- --lease-name=")).unwrap();
    let objects = objects(&rendered);
    let mut there: BTreeSet<_> = objects.iter().map(|object| object["metadata"]["name"].as_str().unwrap()).collect();
    there.insert(lease);
    let words = GUIDE.split(|character: char| !(character.is_ascii_alphanumeric() || "-.".contains(character)));
    let named: Vec<_> =
        words.map(|word| word.trim_matches('.')).filter(|word| word.starts_with("dws-redistribution-o")).collect();
    assert!(named.len() > 5, "{named:?}");
    for name in named {
        assert!(there.contains(name), "{name} is none of {there:?}");
    }
    assert!(GUIDE.contains("helm upgrade --install dws deploy/chart --namespace dws-system "), "what `render` does");
    // The text that sed replaces, so that the image of the plain manifest really changes.
    let pattern = GUIDE.split("sed 's#").nth(1).and_then(|rest| rest.split('#').next()).unwrap();
    assert_eq!(include_str!("../../../deploy/install.yaml").matches(pattern).count(), 1, "{pattern}");
}

#[test]
fn the_guide_names_the_first_step_for_every_reason_once() {
    let section = GUIDE.split("\n## What to do for each reason\n").nth(1).and_then(|rest| rest.split("\n## ").next());
    let table: Vec<_> =
        section.unwrap().lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").nth(1)).collect();
    let mut told: Vec<_> = table.iter().flat_map(|cell| spans(cell)).collect();
    let mut all: Vec<_> = Reason::ALL.iter().map(ToString::to_string).collect();
    told.sort();
    all.sort();
    assert_eq!(told, all);
}
