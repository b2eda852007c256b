//! The release: the workflows' rights, and what the scripts refuse. Nothing is built or pushed here.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};
use testbed::{Tool, Tools};

use crate::install::image::header;

const WORKFLOW: &str = include_str!("../../../.github/workflows/release.yml");
const PULL_REQUESTS: &str = include_str!("../../../.github/workflows/ci.yml");

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(root().join(program)).args(arguments).output().unwrap()
}

fn workflow() -> Value {
    serde_saphyr::from_str(WORKFLOW).unwrap()
}

fn pull_requests() -> Value {
    serde_saphyr::from_str(PULL_REQUESTS).unwrap()
}

fn steps_of(workflow: &Value, job: &str) -> Vec<Value> {
    workflow["jobs"][job]["steps"].as_array().unwrap().clone()
}

/// All scripts of a job, one after the other.
fn scripts(workflow: &Value, job: &str) -> String {
    let scripts: Vec<_> =
        steps_of(workflow, job).iter().filter_map(|step| step["run"].as_str().map(str::to_owned)).collect();
    scripts.join("\n")
}

/// The text between `${{` and `}}`.
fn expressions(text: &str) -> BTreeSet<&str> {
    text.split("${{").skip(1).map(|rest| rest.split("}}").next().unwrap().trim()).collect()
}

#[test]
fn the_workflow_may_read_the_sources_and_write_packages_and_no_more() {
    let workflow = workflow();
    assert_eq!(workflow["permissions"], json!({}), "a job has no right that it does not request");
    let job = &workflow["jobs"]["release"];
    let signs = json!({"contents": "read", "packages": "write", "id-token": "write", "attestations": "write"});
    assert_eq!(job["permissions"], signs);
    // A job that may write to the repository runs nothing that was built.
    let publish = &workflow["jobs"]["publish"];
    assert_eq!((&publish["permissions"], &publish["needs"]), (&json!({"contents": "write"}), &json!("release")));
    assert!(!scripts(&workflow, "publish").contains("deploy/") && !publish.to_string().contains("checkout"));
    let first = &steps_of(&workflow, "release")[0];
    assert_eq!(first["with"]["persist-credentials"], json!(false), "later steps need no access to the repository");
    // What a pull request runs.
    let other = pull_requests();
    assert_eq!(
        (&other["permissions"], &other["jobs"]["run"]["permissions"]),
        (&json!({}), &json!({"contents": "read"}))
    );
    assert!(!PULL_REQUESTS.contains("pull_request_target") && !PULL_REQUESTS.contains("secrets."));
}

#[test]
fn the_workflow_holds_no_secret_and_no_registry_but_its_input() {
    assert_eq!(workflow()["jobs"]["release"]["env"], json!({"REGISTRY": "${{ vars.REGISTRY }}"}));
    assert!(!WORKFLOW.contains("://"));
    let allowed = BTreeSet::from([
        "vars.REGISTRY",
        "vars.REGISTRY_USER || github.actor",
        "secrets.REGISTRY_PASSWORD || github.token",
        "github.token",
        "steps.pushed.outputs.image",
        "steps.pushed.outputs.digest",
        "steps.pushed.outputs.chart",
        "steps.pushed.outputs.chart-digest",
        "steps.pushed.outputs.amd64",
        "steps.pushed.outputs.arm64",
    ]);
    assert_eq!(expressions(WORKFLOW), allowed);
    for (workflow, job) in [(workflow(), "release"), (workflow(), "publish"), (pull_requests(), "run")] {
        let scripts = scripts(&workflow, job);
        assert!(!scripts.contains("${{"), "a value pasted into a script can be a command: {scripts}");
    }
}

#[test]
fn every_action_is_a_known_one_and_pinned_to_a_commit_and_its_version() {
    let known = [
        "actions/attest-build-provenance",
        "actions/checkout",
        "actions/download-artifact",
        "actions/setup-go",
        "actions/upload-artifact",
        "sigstore/cosign-installer",
    ];
    for workflow in [WORKFLOW, PULL_REQUESTS] {
        let used: Vec<_> =
            workflow.lines().filter_map(|line| line.trim().trim_start_matches("- ").strip_prefix("uses: ")).collect();
        assert!(used.len() >= 2, "{used:?}");
        for action in used {
            let (name, pin) = action.split_once('@').unwrap();
            let (commit, version) = pin.split_once(" # v").unwrap();
            assert!(known.contains(&name), "{name}");
            assert!(commit.len() == 40 && commit.bytes().all(|byte| byte.is_ascii_hexdigit()), "{name}@{commit}");
            assert_eq!(version.split('.').count(), 3, "{action}");
        }
    }
}

/// As `deploy/release` packs it, for an image that does not exist.
#[test]
fn a_packed_chart_knows_its_image_and_needs_no_value_but_a_region() {
    let [helm] = Tools::new().provide([Tool::Helm]).unwrap();
    let (home, digest) = (tempfile::tempdir().unwrap(), format!("sha256:{}", "0".repeat(64)));
    let path = format!("{}:/usr/bin:/bin", helm.parent().unwrap().display());
    let version = concat!(env!("CARGO_PKG_VERSION"), "-rc.1");
    let run = |program: &Path, arguments: &[&str]| {
        let mut command = Command::new(program);
        command.env_clear().env("PATH", &path).env("HOME", home.path()).args(arguments);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    let out = home.path().to_str().unwrap();
    let repository = "registry.example.com:5000/team/redistribution-operator";
    run(&root().join("deploy/pack-chart"), &[out, version, repository, &digest]);
    let packed = format!("{out}/redistribution-operator-{version}.tgz");
    let image = format!("image: \"{repository}:{version}@{digest}\"");
    for flags in [&[][..], &["--set", "image=null"], &["--set", "image.tag=null"]] {
        let rendered = run(&helm, &[&["template", "dws", &packed, "--set", "cloud.region=cn-north-4"], flags].concat());
        assert!(rendered.contains(&image), "{flags:?}: {rendered}");
    }
    let mirrored = run(&helm, &["template", "dws", &packed, "--set", "image.registry=mirror.example.com"]);
    assert!(mirrored.contains("image: \"mirror.example.com/team/redistribution-operator:"), "{mirrored}");
    assert!(!run(&helm, &["lint", "--strict", &packed]).contains("WARNING"));
    let readme = run(&helm, &["show", "readme", &packed]);
    assert!(readme.contains(&format!("| `image.digest` | `\"{digest}\"` |")), "{readme}");
    let chart: Value = serde_saphyr::from_str(&run(&helm, &["show", "chart", &packed])).unwrap();
    let images = chart["annotations"]["artifacthub.io/images"].as_str().unwrap();
    let images: Value = serde_saphyr::from_str(images).unwrap();
    assert_eq!(images[0]["image"], format!("{repository}:{version}@{digest}"));
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
        (&["--dry-run", "registry.example.com/team", "99.0.0"], "the version in the binary"),
        (&["--dry-run", "registry.example.com/team", "v0.1.0"], "the version in the binary"),
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
