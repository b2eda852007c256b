//! The programs of the candidates, built from the committed sources: the operator and the textbook controller by cargo,
//! the Go peer by Go, kopf into an environment of its own. All files go under `target/peers`.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{Failure, candidate::Candidate};

/// Paths of the programs. A candidate that was not requested has a path too, but is not built.
#[derive(Clone, Debug)]
pub struct Programs {
    pub operator: PathBuf,
    pub go: PathBuf,
    pub kopf: PathBuf,
    pub kopf_handler: PathBuf,
    pub textbook: PathBuf,
}

impl Programs {
    pub fn build(operator: Option<&Path>, candidates: &[Candidate]) -> Result<Self, Failure> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (sources, built) = (root.join("benches/peers"), root.join("target/peers"));
        fs::create_dir_all(&built)?;
        let release = Path::new(env!("CARGO_BIN_EXE_redistribution-operator"));
        let mut programs = Self {
            operator: operator.unwrap_or(release).to_owned(),
            go: built.join("controller-runtime"),
            kopf: built.join("kopf/bin/kopf"),
            kopf_handler: sources.join("kopf/handler.py"),
            textbook: PathBuf::new(),
        };
        if candidates.iter().any(|candidate| matches!(candidate, Candidate::Go | Candidate::GoWorkers)) {
            let mut go = Command::new("go");
            // Static, as in an image.
            go.env("CGO_ENABLED", "0")
                .current_dir(sources.join("go"))
                .env("GOTOOLCHAIN", "local")
                .env("GOFLAGS", "-mod=readonly -buildvcs=false");
            run(go.args(["build", "-trimpath", "-ldflags", "-s -w", "-o"]).arg(&programs.go).arg("."))?;
        }
        if candidates.contains(&Candidate::Kopf) {
            environment(&built.join("kopf"), &sources.join("kopf/requirements.txt"))?;
        }
        if candidates.contains(&Candidate::Textbook) {
            programs.textbook = testbed::operator::build_package("textbook", true)?;
        }
        Ok(programs)
    }
}

/// A virtual environment with the pinned packages; rebuilt when they change.
fn environment(directory: &Path, requirements: &Path) -> Result<(), Failure> {
    let wanted = fs::read_to_string(requirements)?;
    let stamp = directory.join("requirements.stamp");
    if fs::read_to_string(&stamp).is_ok_and(|stamp| stamp == wanted) {
        return Ok(());
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(directory))?;
    run(Command::new(directory.join("bin/pip")).args(["install", "--quiet", "--requirement"]).arg(requirements))?;
    fs::write(stamp, wanted)?;
    Ok(())
}

fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command.stdin(Stdio::null()).stdout(Stdio::null()).status();
    match status.map_err(|error| format!("{}: {error}", command.get_program().display()))? {
        status if status.success() => Ok(()),
        status => Err(format!("{} failed: {status}", command.get_program().display()).into()),
    }
}
