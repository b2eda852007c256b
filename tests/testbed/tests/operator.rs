//! The operator as a process. A shell script is its stand-in and prints the same two lines.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use std::{os::unix::process::ExitStatusExt, path::PathBuf, process::Command, time::Duration};

use testbed::{Operator, OperatorError, eventually, operator::OperatorCommand, supervisor::is_running};

const SECONDS: Duration = Duration::from_secs(300);

/// Ends at SIGTERM after a last line; `fail` makes it end at once.
const STAND_IN: &str = r#"#!/bin/sh
trap 'echo "last words of $1"; exit 3' TERM
echo "arguments: $*" >&2
echo "secret: $STAND_IN_SECRET home: $DWS_OPERATOR_REGION"
case "$*" in *fail*) echo "cannot start"; exit 2 ;; esac
echo '{"fields":{"message":"listening","address":"127.0.0.1:1"}}'
echo '{"fields":{"message":"watching"}}' >&2
while :; do sleep 0.02; done
"#;

struct Script(PathBuf);

impl Script {
    /// Written by another process: a file that this process has open for writing may not be run by its other threads.
    fn write() -> Self {
        let path = std::env::temp_dir().join(format!("stand-in-{:016x}", rand::random::<u64>()));
        let write = r#"printf '%s' "$2" > "$1" && chmod 700 "$1""#;
        let written = Command::new("/bin/sh").args(["-c", write, "sh"]).arg(&path).arg(STAND_IN).status().unwrap();
        assert!(written.success());
        Self(path)
    }

    fn run(&self, arguments: &[&str]) -> Operator {
        Operator::run(OperatorCommand {
            binary: self.0.clone(),
            kubeconfig: "/nowhere/it's a kubeconfig".into(),
            watch: vec!["one".into(), "two".into()],
            log_level: "debug".into(),
            arguments: arguments.iter().map(Into::into).collect(),
            environment: vec![("STAND_IN_SECRET".into(), "$(false) `x` \"q\"".into())],
        })
        .unwrap()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        drop(std::fs::remove_file(&self.0));
    }
}

async fn watching(operator: &Operator) {
    eventually(SECONDS, "it has logged that it watches", async || {
        if operator.is_watching() { Ok(()) } else { Err(operator.output()) }
    })
    .await;
}

#[tokio::test]
async fn arguments_and_environment_arrive_as_given_and_nothing_else_does() {
    let script = Script::write();
    let operator = script.run(&["--odd", "it's; $HOME", ""]);
    watching(&operator).await;
    assert_eq!(operator.address(), Some(([127, 0, 0, 1], 1).into()));
    let output = operator.output();
    let line = "arguments: run --kubeconfig /nowhere/it's a kubeconfig --listen 127.0.0.1:0 --log-format json \
                --log-level debug --namespace one --namespace two --odd it's; $HOME \n";
    assert!(output.contains(line), "{output}");
    assert!(output.contains("secret: $(false) `x` \"q\" home: \n"), "{output}");
}

#[tokio::test]
async fn terminate_waits_for_the_end_and_keeps_the_output() {
    let script = Script::write();
    let operator = script.run(&[]);
    watching(&operator).await;
    let status = operator.terminate().await.unwrap();
    assert_eq!(status.code(), Some(3));
    assert!(operator.output().ends_with("last words of run\n"));
    assert_eq!(operator.exited().await.unwrap(), status, "the end can be requested again");
    assert!(operator.signal("TERM").is_err(), "no process is left to be signalled");
}

#[tokio::test]
async fn kill_ends_the_process_without_output() {
    let script = Script::write();
    let operator = script.run(&[]);
    watching(&operator).await;
    assert_eq!(operator.kill().await.unwrap().signal(), Some(9));
    assert!(!operator.output().contains("last words"));
}

#[tokio::test]
async fn a_paused_operator_is_alive_and_does_nothing_until_it_is_resumed() {
    let script = Script::write();
    let operator = script.run(&[]);
    watching(&operator).await;
    operator.pause().unwrap();
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", operator.pid())).unwrap_or_default();
    eventually(SECONDS, "it is stopped", async || if state().contains(") T ") { Ok(()) } else { Err(state()) }).await;
    operator.signal("TERM").unwrap();
    assert!(is_running(operator.pid()) && operator.rss_bytes().unwrap() > 0);
    operator.resume().unwrap();
    assert_eq!(operator.exited().await.unwrap().code(), Some(3), "the signal was waiting for it");
}

#[tokio::test]
async fn an_operator_that_ends_before_it_is_ready_is_an_error_with_output() {
    let script = Script::write();
    let operator = script.run(&["fail"]);
    match operator.wait_ready().await.unwrap_err() {
        OperatorError::Ended { status, tail } => {
            assert_eq!(status.code(), Some(2));
            assert!(tail.ends_with("cannot start"), "{tail}");
        }
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn dropping_an_operator_kills_it() {
    let script = Script::write();
    let operator = script.run(&[]);
    watching(&operator).await;
    let pid = operator.pid();
    drop(operator);
    assert!(!is_running(pid));
}
