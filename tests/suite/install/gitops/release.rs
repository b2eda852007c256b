//! A chart with one ClusterRedistribution in a release of its own, and Helm as a process with a deadline. It asserts
//! nothing about Helm's output.

use std::{fs, path::PathBuf, process::Stdio};

use serde_json::json;
use tempfile::TempDir;
use testbed::{Tool, Tools};
use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, BufReader},
    process::{Child, ChildStderr, Command},
    time::{Duration, timeout},
};

use crate::support::world::{PROJECT, World};

/// Deadline of Helm. Longer than any grace of the operators here, shorter than any `--timeout` of the tests.
const DEADLINE: Duration = Duration::from_secs(1200);
pub const REQUEST: &str = "request";

const TEMPLATE: &str = "\
apiVersion: dws.huaweicloud.com/v1alpha1
kind: ClusterRedistribution
metadata:
  name: {{ .Release.Name }}
spec:
  projectID: {{ .Values.project }}
  clusterID: {{ .Values.cluster }}
  redisMode: online
  parallelJobs: {{ .Values.jobs }}
";

/// A release that is not installed yet, or runs.
pub struct Release<'a> {
    world: &'a World,
    cluster: String,
    helm: PathBuf,
    directory: TempDir,
}

#[derive(Debug)]
pub struct Ended {
    pub succeeded: bool,
    pub said: String,
}

pub struct Running {
    child: Child,
    errors: BufReader<ChildStderr>,
    said: String,
}

impl<'a> Release<'a> {
    /// The chart, for a cluster of the world; its object outlives the release. Nothing is installed yet.
    pub fn new(world: &'a World, cluster: &str) -> Self {
        let release = Self::without_keep(world, cluster);
        let keep = "  annotations:\n    helm.sh/resource-policy: keep\nspec:\n";
        release.template("request.yaml", &TEMPLATE.replace("spec:\n", keep));
        release
    }

    /// The same, but its object is deleted with the release.
    pub fn without_keep(world: &'a World, cluster: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let chart = directory.path().join("chart");
        fs::create_dir_all(chart.join("templates")).unwrap();
        let metadata = json!({"apiVersion": "v2", "name": "request", "version": "0.1.0"});
        fs::write(chart.join("Chart.yaml"), metadata.to_string()).unwrap();
        let [helm] = Tools::new().provide([Tool::Helm]).unwrap();
        let release = Self { world, cluster: cluster.to_owned(), helm, directory };
        release.template("request.yaml", TEMPLATE);
        release
    }

    pub fn template(&self, name: &str, text: &str) {
        fs::write(self.directory.path().join("chart/templates").join(name), text).unwrap();
    }

    /// Starts Helm: `verb` is `install` or `upgrade`, `jobs` distinguishes one spec from another.
    pub fn start(&self, verb: &str, jobs: usize, flags: &[&str]) -> Running {
        let path = |name: &str| self.directory.path().join(name);
        let mut command = Command::new(&self.helm);
        // The configuration of the person who runs the tests is not used.
        command.env_clear().env("PATH", "/usr/bin:/bin").env("HOME", path("home")).kill_on_drop(true);
        command.arg(verb).arg(REQUEST).arg(path("chart")).arg("--debug");
        command.arg("--kubeconfig").arg(self.world.plane.kubeconfig());
        command.args(["--namespace", &self.world.namespace, "--set"]);
        command.arg(format!("project={PROJECT},cluster={},jobs={jobs}", self.cluster));
        command.args(flags).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let errors = BufReader::new(child.stderr.take().unwrap());
        Running { child, errors, said: String::new() }
    }

    /// Runs Helm until it ends.
    pub async fn run(&self, verb: &str, jobs: usize, flags: &[&str]) -> Ended {
        self.start(verb, jobs, flags).ended().await
    }
}

impl Running {
    /// Reads until one line of Helm's output contains all of these.
    pub async fn wait_for_line(&mut self, words: &[&str]) {
        let reading = timeout(DEADLINE, async {
            loop {
                let mut line = String::new();
                let read = self.errors.read_line(&mut line).await.unwrap();
                self.said += &line;
                assert!(read > 0, "Helm ended before it printed {words:?}: {}", self.said);
                if words.iter().all(|word| line.contains(word)) {
                    return;
                }
            }
        });
        assert!(reading.await.is_ok(), "Helm did not print {words:?}");
    }

    /// Whether it still runs.
    pub fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end.
    pub async fn ended(mut self) -> Ended {
        let end = timeout(DEADLINE, async {
            let mut rest = String::new();
            self.errors.read_to_string(&mut rest).await.unwrap();
            self.said += &rest;
            self.child.wait().await.unwrap()
        });
        let status = end.await.unwrap_or_else(|_| panic!("Helm did not end within {DEADLINE:?}"));
        Ended { succeeded: status.success(), said: self.said }
    }
}

impl Ended {
    /// Why Helm failed; its message may take several lines.
    pub fn error(&self) -> &str {
        self.said.rsplit_once("Error: ").map(|(_, error)| error).unwrap_or_default()
    }
}
