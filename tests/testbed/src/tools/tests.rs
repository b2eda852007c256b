//! The places where programs are searched, their order, the message for those that do not fit, and that a build happens
//! once.

use std::{fs, path::Path, process::Command, thread};

use tempfile::TempDir;

use super::*;

/// A workspace with the committed modules and a PATH of its own; in it `go` is a script.
struct Machine {
    directory: TempDir,
    tools: Tools,
}

impl Machine {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let real = Tools::new().workspace;
        for module in ["etcd", "kubernetes"] {
            let (from, to) =
                (real.join("tests/testbed/go").join(module), directory.path().join("tests/testbed/go").join(module));
            fs::create_dir_all(&to).unwrap();
            for file in ["go.mod", "go.sum"] {
                fs::copy(from.join(file), to.join(file)).unwrap();
            }
        }
        let (workspace, path) = (directory.path().to_owned(), directory.path().join("bin"));
        let environment = [("PATH".into(), path.into())].into();
        Self { directory, tools: Tools { environment, workspace } }
    }

    /// Written by another process: a file that this process has open for writing may not be run by its other threads.
    fn script(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        let write = r#"mkdir -p "${1%/*}"; printf '#!/bin/sh\n%s\n' "$2" > "$1" && chmod 700 "$1""#;
        let written = Command::new("/bin/sh").args(["-c", write, "sh"]).arg(&path).arg(text).status().unwrap();
        assert!(written.success());
        path
    }

    fn set(&mut self, variable: &str, value: &Path) {
        self.tools.environment.insert(variable.into(), value.into());
    }

    /// A stand-in for Go in a build: prints a version, and writes its arguments into the file after `-o`.
    fn go(&self, version: &str) {
        let calls = self.directory.path().join("calls");
        let build = format!(
            r#"case $1 in
            env) echo {version} ;;
            build) echo "$*" >> '{}'; while [ "$1" != -o ]; do shift; done; echo "$GOFLAGS $CGO_ENABLED" > "$2" ;;
            esac"#,
            calls.display()
        );
        self.script("bin/go", &build);
    }

    fn builds(&self) -> usize {
        fs::read_to_string(self.directory.path().join("calls")).unwrap_or_default().lines().count()
    }

    fn error(&self, tool: Tool) -> String {
        self.tools.provide([tool]).unwrap_err().to_string()
    }
}

#[test]
fn an_unusable_named_tool_is_an_error_and_never_skipped() {
    let mut machine = Machine::new();
    machine.script("bin/kube-apiserver", "echo Kubernetes v1.37.2");
    let old = machine.script("old", "echo Kubernetes v1.31.9");
    machine.set("TEST_ASSET_KUBE_APISERVER", &old);
    let said = machine.error(Tool::KubeApiserver);
    assert!(said.starts_with("TEST_ASSET_KUBE_APISERVER names "), "{said}");
    assert!(said.ends_with("old, which is 1.31.9, and 1.32 to 1.37 is needed"), "{said}");
    machine.set("TEST_ASSET_KUBE_APISERVER", Path::new("/nowhere/kube-apiserver"));
    assert!(machine.error(Tool::KubeApiserver).contains("/nowhere/kube-apiserver, which cannot be run"));
}

#[test]
fn a_tool_found_is_used_only_if_it_fits_and_assets_precede_the_path() {
    let mut machine = Machine::new();
    machine.go("go1.26.8");
    let on_path = machine.script("bin/kube-apiserver", "echo Kubernetes v1.37.2");
    let in_assets = machine.script("assets/kube-apiserver", "echo Kubernetes v1.33.0");
    machine.set("KUBEBUILDER_ASSETS", in_assets.parent().unwrap());
    assert_eq!(machine.tools.provide([Tool::KubeApiserver]).unwrap(), [in_assets]);
    machine.script("assets/kube-apiserver", "echo Kubernetes v1.38.0");
    assert_eq!(machine.tools.provide([Tool::KubeApiserver]).unwrap(), [on_path]);
    machine.script("bin/kube-apiserver", "echo Kubernetes v1.31.0");
    let built = machine.directory.path().join("target/tools/kube-apiserver");
    assert_eq!(machine.tools.provide([Tool::KubeApiserver]).unwrap(), [built]);
}

#[test]
fn a_tool_is_built_once_and_again_when_its_modules_change() {
    let machine = Machine::new();
    machine.go("go1.26.8");
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| machine.tools.provide([Tool::Kubectl, Tool::Etcd]).unwrap());
        }
    });
    assert_eq!(machine.builds(), 2, "one for each program");
    let [kubectl] = machine.tools.provide([Tool::Kubectl]).unwrap();
    assert_eq!(fs::read_to_string(&kubectl).unwrap(), "-mod=readonly 0\n");

    let go_mod = machine.directory.path().join("tests/testbed/go/kubernetes/go.mod");
    fs::write(&go_mod, fs::read_to_string(&go_mod).unwrap().replace("kubernetes v1.37.2", "kubernetes v1.36.3"))
        .unwrap();
    machine.tools.provide([Tool::Kubectl, Tool::Etcd]).unwrap();
    assert_eq!(machine.builds(), 3, "only what changed");
    let calls = fs::read_to_string(machine.directory.path().join("calls")).unwrap();
    assert!(calls.lines().last().unwrap().contains("gitVersion=v1.36.3 -X"), "{calls}");
    assert!(calls.lines().last().unwrap().contains("gitMinor=36 -X"), "{calls}");
}

#[test]
fn a_missing_or_old_go_is_reported_in_one_sentence_with_its_fix() {
    let machine = Machine::new();
    let said = machine.error(Tool::KubeApiserver);
    let begin = "building kube-apiserver needs Go 1.26.0 or newer and found no `go` on PATH: install it from ";
    assert!(said.starts_with(begin) && said.contains("set TEST_ASSET_KUBE_APISERVER"), "{said}");
    machine.go("go1.24.1");
    let said = machine.error(Tool::Etcd);
    assert!(said.starts_with("building etcd needs Go 1.26.0 or newer and found 1.24.1: install"), "{said}");
    assert_eq!(said.lines().count(), 1);
    assert_eq!(machine.builds(), 0);
}

#[test]
fn a_failed_build_shows_its_last_lines_and_leaves_no_program() {
    let machine = Machine::new();
    machine.script(
        "bin/go",
        "[ $1 = env ] && echo go1.26.8 || { echo half > ../../../../target/tools/etcd.new; echo no space left >&2; exit 1; }",
    );
    assert!(machine.error(Tool::Etcd).ends_with("no space left"));
    assert!(!machine.directory.path().join("target/tools/etcd").exists());
}
