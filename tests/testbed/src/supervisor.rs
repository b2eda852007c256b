//! Processes that end with their owner, however the owner ends.
//!
//! A supervising `/bin/sh` is the parent of the processes and reads orders from a pipe of which the owner holds the
//! only other end. When the pipe closes (the owner dropped it, exited, or was killed with SIGKILL) the shell kills its
//! children by their own ids, waits for them and removes the directory. The parent-death signal of Linux is no
//! substitute: it follows the thread that forked, and tests run on short-lived threads.
//!
//! It must not know the programs it runs, and must not signal any process that it did not start.

use std::{
    ffi::{OsStr, OsString},
    fs,
    io::{self, BufRead, BufReader, Write},
    os::unix::process::{CommandExt, ExitStatusExt},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

/// One reply line for each order. The shell is the parent: it keeps a child's status until it is asked for it, and then
/// drops its id from the list, so that the last `kill` names its own children only.
const SCRIPT: &str = r#"
umask 077
mkdir "$1" && echo 0 || exit 1
children=
while IFS= read -r order; do
  case $order in
  'start '*) eval "exec ${order#start }" & children="$children $!"; echo $! ;;
  'signal '*) kill -s ${order#signal }; echo $? ;;
  'wait '*)
    { wait "${order#wait }"; } 2>/dev/null; status=$? left=
    for child in $children; do [ "$child" = "${order#wait }" ] || left="$left $child"; done
    children=$left; echo $status ;;
  esac
done
[ -z "$children" ] || kill -s KILL $children 2>/dev/null
wait 2>/dev/null
rm -rf "$1"
"#;

/// A shell that owns some processes and one directory, and ends them all when this value is dropped or its owner dies.
#[derive(Debug)]
pub struct Supervisor {
    shell: Child,
    orders: Option<ChildStdin>,
    replies: BufReader<ChildStdout>,
    directory: PathBuf,
}

impl Supervisor {
    /// Starts the shell with a fresh directory, readable by its owner only, under the system's temporary directory.
    /// The processes inherit `environment` and nothing else; what they write to standard error goes to `errors`.
    pub fn start(environment: &[(OsString, OsString)], errors: Stdio) -> io::Result<Self> {
        let directory = std::env::temp_dir().join(format!("testbed-{:016x}", rand::random::<u64>()));
        let mut shell = Command::new("/bin/sh")
            .arg("-c")
            .arg(SCRIPT)
            .arg("supervisor")
            .arg(&directory)
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()))
            .envs(environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            // A process group of its own: Ctrl-C in a terminal reaches the owner, who then closes the pipe.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()?;
        let orders = shell.stdin.take();
        let replies = shell.stdout.take().ok_or_else(|| io::Error::other("the supervising shell has no output"))?;
        let mut supervisor = Self { shell, orders, replies: BufReader::new(replies), directory };
        supervisor.reply()?;
        Ok(supervisor)
    }

    /// The directory that is removed at the end.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Takes the standard error output of the processes; there is some only with [`Stdio::piped`].
    pub fn take_errors(&mut self) -> Option<std::process::ChildStderr> {
        self.shell.stderr.take()
    }

    /// Starts a process and returns its id. Its output goes to the file `log`, or without one to standard error.
    pub fn spawn(&mut self, program: &Path, arguments: &[OsString], log: Option<&Path>) -> io::Result<u32> {
        let mut order = OsString::from("start ");
        order.push(quoted(std::path::absolute(program)?.as_os_str()));
        for argument in arguments {
            order.push(" ");
            order.push(quoted(argument));
        }
        order.push(" </dev/null ");
        match log {
            Some(log) => {
                order.push(">");
                order.push(quoted(log.as_os_str()));
                order.push(" 2>&1");
            }
            None => order.push(">&2"),
        }
        let id = self.order(&order)?;
        u32::try_from(id).map_err(io::Error::other)
    }

    /// Sends a signal, by its name without `SIG`, to a process of this supervisor.
    pub fn signal(&mut self, id: u32, signal: &str) -> io::Result<()> {
        match self.order(OsStr::new(&format!("signal {signal} {id}")))? {
            0 => Ok(()),
            _ => Err(io::Error::other(format!("signal {signal} could not be sent to process {id}, which has ended"))),
        }
    }

    /// How a process that [`is_running`] no longer sees has ended. For a running process it would wait for its end and
    /// not notice the end of the owner in the meantime, so that is refused.
    pub fn ended(&mut self, id: u32) -> io::Result<ExitStatus> {
        if is_running(id) {
            return Err(io::Error::other(format!("process {id} has not ended yet")));
        }
        let status = self.order(OsStr::new(&format!("wait {id}")))?;
        // A shell reports the end by a signal as 128 + its number; std has it as the plain number.
        Ok(ExitStatus::from_raw(if status > 128 { status - 128 } else { status << 8 }))
    }

    fn order(&mut self, order: &OsStr) -> io::Result<i32> {
        let mut line = order.as_encoded_bytes().to_vec();
        if line.contains(&b'\n') {
            return Err(io::Error::other("an argument with a line break cannot be handed to the supervising shell"));
        }
        line.push(b'\n');
        self.orders.as_mut().ok_or_else(|| io::Error::other("the supervising shell is closed"))?.write_all(&line)?;
        self.reply()
    }

    fn reply(&mut self) -> io::Result<i32> {
        let mut line = String::new();
        self.replies.read_line(&mut line)?;
        line.trim()
            .parse()
            .map_err(|_| io::Error::other(format!("the supervising shell has ended; its last reply is {line:?}")))
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        drop(self.orders.take());
        // Bounded, since a disk that hangs must not hang a test; the shell continues by itself.
        let deadline = Instant::now() + Duration::from_secs(20);
        while Instant::now() < deadline && matches!(self.shell.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Whether a process exists and has not ended: a zombie has ended.
pub fn is_running(id: u32) -> bool {
    // The state is the first word after the name, which is in brackets and may itself contain brackets.
    fs::read_to_string(format!("/proc/{id}/stat"))
        .is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X', 'x'])))
}

/// One word of the shell, with any content.
fn quoted(word: &OsStr) -> OsString {
    let mut quoted = OsString::from("'");
    for (index, part) in split_quotes(word).into_iter().enumerate() {
        if index > 0 {
            quoted.push(r"'\''");
        }
        quoted.push(part);
    }
    quoted.push("'");
    quoted
}

fn split_quotes(word: &OsStr) -> Vec<&OsStr> {
    use std::os::unix::ffi::OsStrExt;
    word.as_bytes().split(|byte| *byte == b'\'').map(OsStr::from_bytes).collect()
}
