//! The chart: generated parts match their sources, wrong values are refused with a message, every value has an effect,
//! and a real API server accepts the whole output. Nothing is installed into pods.

mod alerts;
mod combinations;
mod combined;
mod duplicates;
pub mod generated;
mod helm;
mod names;
mod network;
mod notes;
mod nulls;
mod policy;
mod refusals;
mod rendered;
mod trial;
mod upgraded;
mod values;

use serde_json::Value;

pub use self::helm::{directory, helm, objects, render};

/// Helm's error message for these flags, which it must refuse.
fn refusal(flags: &[&str]) -> String {
    let directory = directory();
    let output = helm(&[&["template", "dws", directory.to_str().unwrap()], flags].concat());
    assert!(!output.status.success(), "{flags:?} are accepted");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A value for `--set-json`.
fn set(path: &str, value: &Value) -> String {
    format!("{path}={value}")
}

/// The one object of this kind that these flags render.
fn only(kind: &str, flags: &[&str]) -> Value {
    let rendered = objects(&render(flags));
    let mut found: Vec<_> = rendered.into_iter().filter(|object| object["kind"] == kind).collect();
    assert_eq!(found.len(), 1, "{kind} with {flags:?}: {found:#?}");
    found.remove(0)
}

fn pod(flags: &[&str]) -> Value {
    only("Deployment", flags)["spec"]["template"]["spec"].clone()
}
