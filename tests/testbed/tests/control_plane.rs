//! The control plane's guarantees for the tests that use it.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use testbed::{ControlPlane, supervisor::is_running};

#[test]
fn stopping_leaves_no_process_and_no_file() {
    let tools = testbed::Tools::new();
    let control_plane = ControlPlane::start(&tools, testbed::Options::default()).unwrap();
    let (pids, directory) = (control_plane.pids(), control_plane.directory().to_owned());
    assert!(pids.iter().all(|id| is_running(*id)) && directory.exists());
    control_plane.stop();
    assert!(!pids.into_iter().any(is_running));
    assert!(!directory.exists());
}

#[test]
fn a_server_that_ends_at_once_is_an_error_with_its_output() {
    let tools = testbed::Tools::new();
    let flags = vec!["--no-such-flag=1".to_owned()];
    let options = testbed::Options { api_server_flags: flags, ..testbed::Options::default() };
    let error = ControlPlane::start(&tools, options).unwrap_err().to_string();
    assert!(error.starts_with("kube-apiserver ended by itself") && error.contains("no-such-flag"), "{error}");
}
