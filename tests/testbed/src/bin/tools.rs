//! Finds or builds the programs of the control plane and prints where they are, one a line. It starts none of them.

use std::{io::IsTerminal, process::ExitCode};

use testbed::{Progress, Tool, Tools};

fn main() -> ExitCode {
    let progress = if std::io::stderr().is_terminal() { Progress::Bar } else { Progress::OneLine };
    match Tools::new(progress).provide(Tool::ALL) {
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
