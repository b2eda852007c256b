//! The operator of the tour: built by the cargo that runs the tour, started as a process of its own.

use std::path::Path;

use testbed::{Operator, OperatorOptions, operator::OperatorCommand, simulator::Simulator};

use crate::{Failure, cluster::Cluster};

/// Flags that point it at the simulated cloud. The grace is short, so that an unknown outcome does not take a minute.
pub fn flags(cloud: &Simulator) -> Vec<String> {
    vec![
        "--region=simulated".to_owned(),
        format!("--endpoint=simulated={}", cloud.url()),
        format!("--ca-bundle={}", cloud.ca_file().display()),
    ]
}

/// Starts it: in the tour's own cluster under a ServiceAccount with the rights of `deploy/install.yaml`, in the user's
/// cluster with the user's own rights.
pub async fn start(cluster: &Cluster, binary: &Path, cloud: &Simulator) -> Result<Operator, Failure> {
    let arguments = flags(cloud).into_iter().map(Into::into).collect();
    let operator = match cluster.own() {
        Some(plane) => {
            let mut options = OperatorOptions::new(binary, plane, cluster.namespace());
            options.arguments = arguments;
            "info".clone_into(&mut options.log_level);
            Operator::start(options).await?
        }
        None => Operator::run(OperatorCommand {
            binary: binary.to_owned(),
            kubeconfig: cluster.kubeconfig().to_owned(),
            watch: vec![cluster.namespace().to_owned()],
            log_level: "info".to_owned(),
            arguments,
            environment: Vec::new(),
        })?,
    };
    operator.wait_ready().await?;
    Ok(operator)
}
