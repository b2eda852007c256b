//! Finds or builds the programs of the control plane, with `--node` also those for real pods, and prints their paths,
//! one a line. It starts none of them.

use clap::Parser;
use testbed::{Failure, Tool, Tools};

/// Finds or builds the programs that the tests run.
#[derive(Parser)]
struct Args {
    /// Also the programs for real pods.
    #[arg(long)]
    node: bool,
}

fn main() -> Result<(), Failure> {
    let (args, tools) = (Args::parse(), Tools::new());
    let mut files = tools.provide(Tool::CONTROL_PLANE)?.to_vec();
    if args.node {
        files.extend(tools.provide(Tool::NODE)?);
    }
    for file in files {
        println!("{}", file.display());
    }
    Ok(())
}
