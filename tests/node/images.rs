//! The images that the pods run, as archives under `target/node`: the operator's and the simulated cloud's, built by
//! the scripts that the guides name, and the one that holds a pod's namespaces. Nothing is pulled.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

pub const REPOSITORY: &str = "localhost/redistribution-operator";
pub const TAG: &str = "testbed";
const PAUSE: &str = "localhost/pause:testbed";

pub const SIMULATOR: &str = "localhost/dws-simulator:testbed";

pub fn archives() -> [PathBuf; 3] {
    ["operator.tar", "simulator.tar", "pause.tar"].map(|file| directory().join(file))
}

pub fn build() -> Result<(), String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::create_dir_all(directory()).map_err(|error| error.to_string())?;
    let [operator, simulator, pause] = archives();

    let name = format!("{REPOSITORY}:{TAG}");
    run(Command::new(root.join("deploy/container/build")).arg(&name))?;
    archive(&name, &operator)?;

    run(Command::new(root.join("deploy/simulator/build")).arg(SIMULATOR))?;
    archive(SIMULATOR, &simulator)?;

    let context = directory().join("pause");
    fs::create_dir_all(&context).map_err(|error| error.to_string())?;
    let source = root.join("tests/testbed/pause");
    run(Command::new("cc").args(["-static", "-O2", "-o"]).arg(context.join("pause")).arg(source.join("pause.c")))?;
    let mut build = Command::new("buildah");
    build.args(["build", "--quiet", "--layers=false", "--tag", PAUSE, "--file"]);
    run(build.arg(source.join("Containerfile")).arg(&context))?;
    archive(PAUSE, &pause)
}

/// Into a file, and removed from the machine's image store.
fn archive(image: &str, file: &Path) -> Result<(), String> {
    // buildah refuses to change an existing file.
    let _ = fs::remove_file(file);
    run(Command::new("buildah")
        .args(["push", "--quiet", image])
        .arg(format!("docker-archive:{}:{image}", file.display())))?;
    run(Command::new("buildah").args(["rmi", image]))
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("target/node")
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr)))
}
