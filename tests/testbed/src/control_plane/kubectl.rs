//! kubectl as an administrator of this control plane: with its kubeconfig and a cache of its own, independent of the
//! configuration of the person who runs the tests.

use std::{
    ffi::OsStr,
    io::{self, Write},
    process::{Command, Output, Stdio},
};

use super::ControlPlane;

impl ControlPlane {
    /// kubectl as an administrator, for the caller to add arguments.
    pub fn kubectl_command(&self) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.env("KUBECONFIG", &self.kubeconfig).env("KUBECACHEDIR", self.directory.join("kubectl"));
        command
    }

    /// Runs kubectl and returns its output. Blocks.
    pub fn kubectl<A: AsRef<OsStr>>(&self, arguments: &[A]) -> io::Result<Output> {
        self.kubectl_command().args(arguments).stdin(Stdio::null()).output()
    }

    /// Runs kubectl, passes it `input` (as for `apply -f -`) and returns its output. Blocks.
    pub fn kubectl_with_input<A: AsRef<OsStr>>(&self, arguments: &[A], input: &str) -> io::Result<Output> {
        let mut command = self.kubectl_command();
        command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let stdin = child.stdin.take();
        std::thread::scope(|scope| {
            // A kubectl that has read enough closes its end; any error is in its output.
            scope.spawn(move || stdin.map(|mut stdin| stdin.write_all(input.as_bytes())));
            child.wait_with_output()
        })
    }
}
