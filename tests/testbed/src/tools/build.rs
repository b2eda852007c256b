//! Builds missing programs into `target/tools`, once, by the first caller. A half-written program never has its final
//! name, and a program whose modules or flags have changed is rebuilt: a stamp beside it holds their digest.

use std::{
    fs,
    io::{self, BufRead, BufReader, IsTerminal},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use indicatif::{ProgressBar, ProgressStyle};

use super::{Progress, Tool, ToolError, Tools, go, go::Recipe, say};

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
pub fn all(tools: &Tools, missing: &[Tool], passed_over: &[String]) -> Result<(), ToolError> {
    let directory = tools.workspace.join("target/tools");
    let outdated = |tool: &Tool| Recipe::read(tools, *tool).map(|recipe| !is_current(&directory, *tool, &recipe));
    if filter(missing, outdated)?.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(&directory).map_err(io("creating", &directory))?;
    let _lock = lock(&directory.join("lock"))?;
    let missing = filter(missing, outdated)?;
    let Some(first) = missing.first() else { return Ok(()) };
    let wanted = Recipe::read(tools, *first)?.go;
    let go = go::command(tools, wanted, &missing)?;
    let bar = tools.progress == Progress::Bar && io::stderr().is_terminal();
    if !bar {
        say(&announcement(&missing, passed_over));
    }
    for tool in &missing {
        let recipe = Recipe::read(tools, *tool)?;
        one(*tool, &recipe, &go, &directory, bar)?;
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

fn one(
    tool: Tool,
    recipe: &Recipe,
    go: &impl Fn(&Path) -> Command,
    directory: &Path,
    with_bar: bool,
) -> Result<(), ToolError> {
    let (stamp, temporary) = (stamp(directory, tool), directory.join(format!("{}.new", tool.name())));
    let mut command = go(&recipe.module);
    command.args(["build", "-v", "-trimpath", "-ldflags", &recipe.ldflags, "-o"]).arg(&temporary).arg(&recipe.package);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(io("running go for", &temporary))?;
    let bar = if with_bar { bar(tool, recipe, go) } else { ProgressBar::hidden() };
    let mut tail = Vec::new();
    for line in child.stderr.take().into_iter().flat_map(|stderr| BufReader::new(stderr).lines().map_while(Result::ok))
    {
        // One line for each package as it is compiled; a cached package has none, and so the bar jumps at the end.
        bar.inc(u64::from(!line.contains(' ')));
        bar.set_message(line.clone());
        tail.push(line);
        if tail.len() > 30 {
            tail.remove(0);
        }
    }
    let status = child.wait().map_err(io("running go for", &temporary))?;
    bar.finish_and_clear();
    if !status.success() {
        return Err(ToolError::Build { tool: tool.name(), tail: tail.join("\n") });
    }
    fs::rename(&temporary, directory.join(tool.name())).map_err(io("naming", &temporary))?;
    let new_stamp = stamp.with_extension("stamp.new");
    fs::write(&new_stamp, &recipe.digest).map_err(io("writing", &new_stamp))?;
    fs::rename(&new_stamp, &stamp).map_err(io("naming", &new_stamp))
}

/// Its length is the number of packages, so its position is exact; the time is an estimate, and the bar says so.
fn bar(tool: Tool, recipe: &Recipe, go: &impl Fn(&Path) -> Command) -> ProgressBar {
    let style = "{prefix} {elapsed} [{bar:30}] {pos}/{len} packages  {wide_msg}";
    let bar = ProgressBar::new(1)
        .with_style(ProgressStyle::with_template(style).unwrap_or_else(|_| ProgressStyle::default_bar()))
        .with_prefix(format!("building {} (once; {} on two cores, less if cached)", tool.name(), minutes(&[tool])));
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    let packages = go(&recipe.module).args(["list", "-deps", &recipe.package]).output();
    let packages = packages.map_or(0, |list| String::from_utf8_lossy(&list.stdout).lines().count());
    bar.set_length(u64::try_from(packages).unwrap_or(1).max(1));
    bar
}

fn is_current(directory: &Path, tool: Tool, recipe: &Recipe) -> bool {
    directory.join(tool.name()).is_file()
        && fs::read_to_string(stamp(directory, tool)).is_ok_and(|digest| digest == recipe.digest)
}

fn stamp(directory: &Path, tool: Tool) -> PathBuf {
    directory.join(format!("{}.stamp", tool.name()))
}

fn filter(tools: &[Tool], keep: impl Fn(&Tool) -> Result<bool, ToolError>) -> Result<Vec<Tool>, ToolError> {
    let mut kept = Vec::new();
    for tool in tools {
        if keep(tool)? {
            kept.push(*tool);
        }
    }
    Ok(kept)
}

/// Held until the file is closed, by this process's end at the latest.
fn lock(path: &Path) -> Result<fs::File, ToolError> {
    let file = fs::File::options().create(true).append(true).open(path).map_err(io("opening", path))?;
    if file.try_lock().is_err() {
        say("testbed: waiting for another process that builds into target/tools");
        file.lock().map_err(io("locking", path))?;
    }
    Ok(file)
}

fn io(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ToolError {
    let path = path.to_owned();
    move |source| ToolError::Io { what, path, source }
}
