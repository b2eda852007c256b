//! Finds or builds the programs of the control plane, with `--node` also those for real pods, and prints their paths,
//! one a line. It starts none of them.

use std::{io::IsTerminal, path::PathBuf, process::ExitCode};

use clap::Parser;
use testbed::{Progress, Tool, ToolError, Tools};

/// Finds or builds the programs that the tests run.
#[derive(Parser)]
struct Args {
    /// Also the programs for real pods.
    #[arg(long)]
    node: bool,
}

fn main() -> ExitCode {
    let progress = if std::io::stderr().is_terminal() { Progress::Bar } else { Progress::OneLine };
    match provide(&Tools::new(progress), &Args::parse()) {
        Ok(files) => {
            for file in files {
                println!("{}", file.display());
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn provide(tools: &Tools, args: &Args) -> Result<Vec<PathBuf>, ToolError> {
    let mut files = tools.provide(Tool::CONTROL_PLANE)?.to_vec();
    if args.node {
        files.extend(tools.provide(Tool::NODE)?);
    }
    Ok(files)
}
