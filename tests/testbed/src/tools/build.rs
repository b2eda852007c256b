//! Builds missing programs into `target/tools`, once, by the first caller. A half-written program never has its final
//! name, and a program whose modules or flags have changed is rebuilt: a stamp beside it holds their digest.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{Tool, Tools, go, go::Recipe, say};
use crate::failure::{During, Failure};

/// Seconds on two cores with nothing cached, from and to; the modules' download comes on top.
fn estimate(tool: Tool) -> (u64, u64) {
    match tool {
        Tool::Etcd => (60, 120),
        Tool::KubeApiserver => (420, 540),
        Tool::KubeControllerManager => (120, 180),
        Tool::Kubectl => (30, 60),
        Tool::Helm | Tool::Helm3 => (80, 160),
        Tool::KubeScheduler => (15, 60),
        Tool::Kubelet => (40, 120),
        Tool::Containerd => (100, 200),
        Tool::ContainerdShim | Tool::Ctr => (5, 30),
    }
}

/// Makes sure that these are built from the committed modules.
pub fn all(tools: &Tools, missing: &[Tool], passed_over: &[String]) -> Result<(), Failure> {
    let directory = tools.workspace.join("target/tools");
    let outdated = |tool: &Tool| Recipe::read(tools, *tool).map(|recipe| !is_current(&directory, *tool, &recipe));
    if filter(missing, outdated)?.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(&directory).during(directory.display())?;
    let _lock = lock(&directory.join("lock"))?;
    let missing = filter(missing, outdated)?;
    let Some(first) = missing.first() else { return Ok(()) };
    let wanted = Recipe::read(tools, *first)?.go;
    let go = go::command(tools, wanted, &missing)?;
    say(&announcement(&missing, passed_over));
    for tool in &missing {
        say(&format!("testbed: building {}", tool.name()));
        one(*tool, &Recipe::read(tools, *tool)?, &go, &directory)?;
    }
    Ok(())
}

fn announcement(missing: &[Tool], passed_over: &[String]) -> String {
    let names: Vec<_> = missing.iter().map(|tool| tool.name()).collect();
    let begin = format!(
        "testbed: building {} from Go modules into target/tools, once: about {} on two cores with nothing cached, under \
         a minute with Go's build cache",
        names.join(", "),
        minutes(missing),
    );
    [&[begin], passed_over].concat().join("; ")
}

fn minutes(tools: &[Tool]) -> String {
    let (from, to) = tools.iter().map(|tool| estimate(*tool)).fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    match (from.div_ceil(60), to.div_ceil(60)) {
        (1, 1) => "1 minute".to_owned(),
        (from, to) if from == to => format!("{from} minutes"),
        (from, to) => format!("{from} to {to} minutes"),
    }
}

fn one(tool: Tool, recipe: &Recipe, go: &impl Fn(&Path) -> Command, directory: &Path) -> Result<(), Failure> {
    let (stamp, temporary) = (stamp(directory, tool), directory.join(format!("{}.new", tool.name())));
    let mut command = go(&recipe.module);
    command.args(["build", "-v", "-trimpath", "-ldflags", &recipe.ldflags, "-o"]).arg(&temporary).arg(&recipe.package);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().during("running go")?;
    let mut tail = Vec::new();
    // One line for each package as it is compiled.
    for line in child.stderr.take().into_iter().flat_map(|stderr| BufReader::new(stderr).lines().map_while(Result::ok))
    {
        tail.push(line);
        if tail.len() > 30 {
            tail.remove(0);
        }
    }
    if !child.wait().during("running go")?.success() {
        return Err(format!("go build of {} failed; its last lines:\n{}", tool.name(), tail.join("\n")).into());
    }
    fs::rename(&temporary, directory.join(tool.name())).during(temporary.display())?;
    let new_stamp = stamp.with_extension("stamp.new");
    fs::write(&new_stamp, &recipe.digest).during(new_stamp.display())?;
    fs::rename(&new_stamp, &stamp).during(new_stamp.display())
}

fn is_current(directory: &Path, tool: Tool, recipe: &Recipe) -> bool {
    directory.join(tool.name()).is_file()
        && fs::read_to_string(stamp(directory, tool)).is_ok_and(|digest| digest == recipe.digest)
}

fn stamp(directory: &Path, tool: Tool) -> PathBuf {
    directory.join(format!("{}.stamp", tool.name()))
}

fn filter(tools: &[Tool], keep: impl Fn(&Tool) -> Result<bool, Failure>) -> Result<Vec<Tool>, Failure> {
    let mut kept = Vec::new();
    for tool in tools {
        if keep(tool)? {
            kept.push(*tool);
        }
    }
    Ok(kept)
}

/// Held until the file is closed, by this process's end at the latest.
fn lock(path: &Path) -> Result<fs::File, Failure> {
    let file = fs::File::options().create(true).append(true).open(path).during(path.display())?;
    if file.try_lock().is_err() {
        say("testbed: waiting for another process that builds into target/tools");
        file.lock().during(path.display())?;
    }
    Ok(file)
}
