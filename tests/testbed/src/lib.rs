//! A real control plane, the operator as a process and faults between them: the base of tests, the quickstart and benches.
//! The cloud is that of the crate `simulator`.
//!
//! | module | question |
//! | --- | --- |
//! | [`tools`] | where are etcd, kube-apiserver, kubectl and the others, or how are they built? |
//! | [`control_plane`] | a Kubernetes of its own, ready in seconds |
//! | [`node`] | a node with real pods, in a sandbox |
//! | [`objects`] | CRD and namespaces of a test |
//! | [`access`] | the rights of `deploy/install.yaml`, given to a ServiceAccount |
//! | [`credentials`] | token and kubeconfig of a ServiceAccount |
//! | [`operator`] | the built binary as a process |
//! | [`fault_proxy`] | faults between an operator, its API server and its cloud |
//! | [`sweep`] | does the guarantee hold under every fault, under pairs of them, and in a storm? |
//! | [`own_file`] | a file for programs that this process starts |
//! | [`supervisor`] | how all of them end with their owner, even if that is killed |
//! | [`mod@eventually`] | waiting for a condition with a deadline |
//!
//! It must not use the operator's own crate: the checks share no code with it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    missing_docs,
    reason = "support of tests: a panic here fails a test, which is what it is for"
)]

pub mod access;
pub mod control_plane;
pub mod credentials;
pub mod eventually;
mod failure;
pub mod fault_proxy;
pub mod hostile;
pub mod node;
pub mod objects;
pub mod operator;
pub mod own_file;
pub mod supervisor;
pub mod sweep;
pub mod tools;

pub use control_plane::{ControlPlane, Options};
pub use eventually::{eventually, try_eventually};
pub use failure::Failure;
pub use objects::{apply_crd, fresh_namespace};
pub use operator::{Operator, OperatorCommand, OperatorOptions};
pub use simulator::{self, asked_to_end};
pub use tools::{Tool, Tools};
