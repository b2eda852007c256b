//! The release: what the workflow may do, what CI rehearses, and what the scripts refuse. Nothing is built or pushed here.

use std::{
    collections::BTreeSet,
    fs,
    path::PathBuf,
    process::{Command, Output},
};

use serde_json::{Value, json};

use crate::image::header;

const WORKFLOW: &str = include_str!("../../.github/workflows/release.yml");
const CI: &str = include_str!("../../.ci/run");

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(root().join(program)).args(arguments).output().unwrap()
}

fn workflow() -> Value {
    serde_saphyr::from_str(WORKFLOW).unwrap()
}

/// The only job's steps.
fn steps() -> Vec<Value> {
    workflow()["jobs"]["release"]["steps"].as_array().unwrap().clone()
}

/// What is between `${{` and `}}`.
fn expressions(text: &str) -> BTreeSet<&str> {
    text.split("${{").skip(1).map(|rest| rest.split("}}").next().unwrap().trim()).collect()
}

#[test]
fn a_tag_of_a_version_and_nothing_else_starts_the_release_script() {
    let workflow = workflow();
    assert_eq!(workflow["on"], json!({"push": {"tags": ["v*"]}}));
    assert_eq!(workflow["jobs"].as_object().unwrap().len(), 1);
    let calls: Vec<String> = steps()
        .iter()
        .filter_map(|step| step["run"].as_str())
        .flat_map(str::lines)
        .filter(|line| line.contains("deploy/release"))
        .map(str::to_owned)
        .collect();
    assert_eq!(calls, [r#"deploy/release "${REGISTRY,,}" "${GITHUB_REF_NAME#v}""#]);
}

#[test]
fn the_workflow_may_read_the_sources_and_write_packages_and_no_more() {
    let workflow = workflow();
    assert_eq!(workflow["permissions"], json!({}), "what no job asks for, none has");
    let job = &workflow["jobs"]["release"];
    assert_eq!(job["permissions"], json!({"contents": "read", "packages": "write"}));
    assert_eq!(steps()[0]["with"]["persist-credentials"], json!(false), "later steps need no access to the repository");
}

#[test]
fn the_workflow_holds_no_secret_and_knows_no_registry_but_the_one_that_it_is_told() {
    assert_eq!(workflow()["jobs"]["release"]["env"], json!({"REGISTRY": "${{ vars.REGISTRY }}"}));
    assert!(!WORKFLOW.contains("://"));
    let allowed = BTreeSet::from([
        "vars.REGISTRY",
        "vars.REGISTRY_USER || github.actor",
        "secrets.REGISTRY_PASSWORD || github.token",
    ]);
    assert_eq!(expressions(WORKFLOW), allowed);
    for step in steps() {
        let script = step["run"].as_str().unwrap_or_default();
        assert!(!script.contains("${{"), "a value pasted into a script can be a command: {script}");
    }
}

#[test]
fn every_action_is_the_platforms_own_and_pinned_to_a_commit() {
    let used: Vec<Value> = steps().iter().map(|step| step["uses"].clone()).filter(|uses| !uses.is_null()).collect();
    assert!(!used.is_empty());
    for action in &used {
        let (name, commit) = action.as_str().unwrap().split_once('@').unwrap();
        assert!(["actions/checkout", "actions/upload-artifact"].contains(&name), "{name}");
        assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}@{commit}");
    }
}

#[test]
fn ci_rehearses_the_release_for_its_own_architecture_only() {
    let calls: Vec<&str> = CI.lines().map(str::trim).filter(|line| line.starts_with("deploy/release ")).collect();
    let [call] = calls[..] else { panic!("{calls:?}") };
    assert!(call.starts_with(r#"deploy/release --dry-run --only "linux/$architecture" "#), "{call}");
    assert!(CI.lines().any(|line| line.starts_with("architecture=$(uname -m ")));
    assert!(CI.lines().any(|line| line.starts_with("part ") && line.ends_with(" rehearsal")));
}

#[test]
fn a_binary_of_another_machine_is_packed_under_no_platform() {
    let directory = tempfile::tempdir().unwrap();
    // EM_X86_64, EM_AARCH64, and EM_386 and EM_RISCV, which have no platform here.
    for machine in [62, 183, 3, 243] {
        let file = directory.path().join(machine.to_string());
        fs::write(&file, header(machine)).unwrap();
        let file = file.to_str().unwrap();
        for (platform, right) in [("linux/amd64", 62), ("linux/arm64", 183)] {
            let output = run("deploy/container/check-binary", &[file, platform]);
            assert_eq!(output.status.success(), machine == right, "machine {machine} as {platform}: {output:?}");
        }
    }
    let build = fs::read_to_string(root().join("deploy/container/build")).unwrap();
    let check = build.find("\ndeploy/container/check-binary ").unwrap();
    assert!(check < build.find("buildah build").unwrap(), "checked before it is packed");
}

#[test]
fn a_binary_that_asks_for_a_loader_is_packed_under_no_platform() {
    let this = std::env::current_exe().unwrap();
    let platform = if cfg!(target_arch = "x86_64") { "linux/amd64" } else { "linux/arm64" };
    let output = run("deploy/container/check-binary", &[this.to_str().unwrap(), platform]);
    assert!(!output.status.success());
    assert!(String::from_utf8_lossy(&output.stderr).contains("loader"), "{output:?}");
}

#[test]
fn a_release_that_would_mislead_is_refused_before_anything_is_built() {
    let version = env!("CARGO_PKG_VERSION");
    for (arguments, complaint) in [
        (&["--only", "linux/arm64", "registry.example.com/team", version][..], "--only is for --dry-run"),
        (&["--dry-run", "registry.example.com/team", "99.0.0"], "which the binary says of itself"),
        (&["--dry-run", "registry.example.com/team", "v0.1.0"], "which the binary says of itself"),
        (&["--dry-run", "https://registry.example.com/team", version], "is not a registry"),
        (&["--dry-run", "registry.example.com/Team", version], "is not a registry"),
        (&["--dry-run", "registry.example.com/team"], "usage: "),
        (&["--push", "registry.example.com/team", version], "usage: "),
    ] {
        let output = run("deploy/release", arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {output:?}");
        assert!(String::from_utf8_lossy(&output.stderr).contains(complaint), "{arguments:?}: {output:?}");
    }
}
