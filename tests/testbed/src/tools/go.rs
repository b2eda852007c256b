//! How Go is run: with the same environment for every command, so that a build is exact. It must not let Go download
//! another Go, nor change go.mod.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sha2::{Digest, Sha256};

use super::{Tool, Tools, version::Version};
use crate::failure::{During, Failure};

/// The recipe of a build, and the digest of all its inputs.
pub struct Recipe {
    pub module: PathBuf,
    pub package: String,
    pub ldflags: String,
    pub go: Version,
    pub digest: String,
}

impl Recipe {
    pub fn read(tools: &Tools, tool: Tool) -> Result<Self, Failure> {
        let root = tools.workspace.join("tests/testbed/go");
        let (module, package, versioned) = match tool {
            Tool::Helm => (root.join("helm"), "helm.sh/helm/v4/cmd/helm".to_owned(), None),
            Tool::Helm3 => (root.join("helm3"), "helm.sh/helm/v3/cmd/helm".to_owned(), None),
            Tool::Containerd | Tool::ContainerdShim | Tool::Ctr => {
                (root.join("containerd"), format!("github.com/containerd/containerd/v2/cmd/{}", tool.name()), None)
            }
            Tool::Etcd => (root.join("etcd"), "go.etcd.io/etcd/server/v3".to_owned(), None),
            _ => (root.join("kubernetes"), format!("k8s.io/kubernetes/cmd/{}", tool.name()), Some("k8s.io/kubernetes")),
        };
        let go_mod = read(&module.join("go.mod"))?;
        let malformed = |line| format!("{}/go.mod: the line `{line}` is missing or not a version", module.display());
        let go = directive(&go_mod, &["go"]).and_then(|word| word.parse().ok());
        let go = go.ok_or_else(|| malformed("go"))?;
        let ldflags = match versioned {
            None => "-s -w".to_owned(),
            Some(name) => {
                let version = directive(&go_mod, &["require", name]).and_then(|word| word.parse().ok());
                stamped(version.ok_or_else(|| malformed("require k8s.io/kubernetes"))?)
            }
        };
        let mut digest = Sha256::new();
        for part in [&go_mod, &read(&module.join("go.sum"))?, &package, &ldflags] {
            digest.update(part.len().to_le_bytes());
            digest.update(part);
        }
        Ok(Self { module, package, ldflags, go, digest: hex::encode(digest.finalize()) })
    }
}

/// Without these the server reports v0.0.0-master, and a chart's kubeVersion check fails.
fn stamped(version: Version) -> String {
    let Version(major, minor, _) = version;
    let flags = ["k8s.io/component-base/version", "k8s.io/client-go/pkg/version"].map(|package| {
        format!(
            " -X {package}.gitVersion=v{version} -X {package}.gitMajor={major} -X {package}.gitMinor={minor} \
             -X {package}.gitTreeState=clean"
        )
    });
    format!("-s -w{}", flags.concat())
}

/// The command `go`, if Go is installed and new enough.
pub fn command(tools: &Tools, wanted: Version, missing: &[Tool]) -> Result<impl Fn(&Path) -> Command, Failure> {
    let error = |found: String| {
        let tools = missing.iter().map(|tool| tool.name()).collect::<Vec<_>>().join(", ");
        let variables = missing.iter().map(|tool| tool.variable()).collect::<Vec<_>>().join(", ");
        format!(
            "building {tools} needs Go {wanted} or newer and {found}: install it from https://go.dev/dl/, or set \
             {variables} (or KUBEBUILDER_ASSETS, a directory that holds etcd, kube-apiserver and kubectl) instead"
        )
    };
    let program = tools.on_path("go").ok_or_else(|| error("found no `go` on PATH".to_owned()))?;
    let environment = tools.environment.clone();
    let go = move |directory: &Path| {
        let mut command = Command::new(&program);
        command.env_clear().envs(&environment).current_dir(directory);
        command.envs([("CGO_ENABLED", "0"), ("GOFLAGS", "-mod=readonly"), ("GOWORK", "off"), ("GOTOOLCHAIN", "local")]);
        command
    };
    let output = go(Path::new("/")).args(["env", "GOVERSION"]).output();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    match said.map_err(|error| error.to_string()).map(|said| (said.parse::<Version>(), said)) {
        Ok((Ok(found), _)) if found >= wanted => Ok(go),
        Ok((Ok(found), _)) => Err(error(format!("found {found}")).into()),
        Ok((Err(()), said)) => Err(error(format!("found a `go` that reports version {said:?}")).into()),
        Err(failure) => Err(error(format!("found a `go` that cannot be run ({failure})")).into()),
    }
}

fn read(path: &Path) -> Result<String, Failure> {
    fs::read_to_string(path).during(path.display())
}

/// The word after this prefix at the beginning of a line of go.mod.
fn directive<'a>(go_mod: &'a str, words: &[&str]) -> Option<&'a str> {
    go_mod.lines().find_map(|line| {
        let mut line = line.split_whitespace();
        words.iter().all(|word| line.next() == Some(word)).then(|| line.next()).flatten()
    })
}
