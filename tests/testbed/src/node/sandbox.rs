//! Namespaces of the kernel (network, mounts, processes) that hold a node and everything it starts. The program runs
//! itself again inside. When the inner program ends, or the outer one does, the kernel ends every process and every
//! mount of the sandbox, and a shell outside removes its directory and its cgroup. A crash of any part except that
//! shell leaves nothing behind.

use std::{
    env,
    ffi::OsString,
    io::{self, Read},
    os::unix::process::CommandExt,
    process::{Command, ExitCode, Stdio},
    thread,
};

const CGROUP: &str = "TESTBED_SANDBOX_CGROUP";

/// `$1` directory, `$2` cgroup, then the program and its arguments. On cgroup v1 each hierarchy has the group, on v2
/// the only one; a parent of v2 passes on to its children only the controllers that are listed.
const OUTSIDE: &str = r#"
directory=$1 group=$2; shift 2
mkdir -m 700 "$directory" || exit 1
if [ -f /sys/fs/cgroup/cgroup.controllers ]; then
  mkdir "/sys/fs/cgroup/$group"
else
  for hierarchy in /sys/fs/cgroup/*/; do
    [ -L "${hierarchy%/}" ] || [ -f "$hierarchy/cgroup.controllers" ] || mkdir "$hierarchy$group"
  done
fi
TMPDIR=$directory unshare --net --mount --pid --fork --kill-child --mount-proc /bin/sh -c "$INSIDE" sandbox "$@"
status=$?
find /sys/fs/cgroup -depth -type d -path "*/$group*" -exec rmdir {} + 2>/dev/null
rm -rf "$directory"
exit $status
"#;

/// kubelet, containerd and the network plugins write into /run, /var/log and /var/lib whatever their configuration. In
/// the sandbox the first two are empty, writes to the third go to an overlay, and all of that ends with the sandbox.
const INSIDE: &str = r#"
mount -t tmpfs sandbox /run && mount -t tmpfs sandbox /var/log || exit 1
mkdir "$TMPDIR/var" && mount -t tmpfs sandbox "$TMPDIR/var" && mkdir "$TMPDIR/var/new" "$TMPDIR/var/work" || exit 1
mount -t overlay sandbox -o "lowerdir=/var/lib,upperdir=$TMPDIR/var/new,workdir=$TMPDIR/var/work" /var/lib || exit 1
ip link set lo up && ip address add 10.96.0.1/32 dev lo && exec "$@"
"#;

/// Whether this process is inside the sandbox.
pub fn is_inside() -> bool {
    env::var_os(CGROUP).is_some()
}

/// The cgroup of the pods, from the root.
pub fn cgroup() -> String {
    format!("/{}", env::var(CGROUP).unwrap_or_default())
}

/// The prerequisites missing on this machine, as a sentence, if any.
pub fn missing() -> Option<String> {
    let needed = [
        ("/usr/sbin/runc", "runc"),
        ("/usr/lib/cni/bridge", "containernetworking-plugins"),
        ("/usr/bin/unshare", "util-linux"),
        ("/usr/bin/buildah", "buildah"),
        ("/usr/bin/prometheus", "prometheus"),
    ];
    let mut missing: Vec<_> = needed.iter().filter(|(file, _)| !std::path::Path::new(file).exists()).collect();
    missing.dedup();
    let packages: Vec<_> = missing.iter().map(|(_, package)| *package).collect();
    (!packages.is_empty()).then(|| format!("real pods need the Debian packages {}", packages.join(", ")))
}

/// Runs this program again, with the same arguments, inside a new sandbox, and returns its exit code. Needs root.
pub fn run() -> io::Result<ExitCode> {
    let name = format!("testbed-{:016x}", rand::random::<u64>());
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let mut outside = Command::new("/bin/sh")
        .args(["-c", OUTSIDE, "sandbox"])
        .arg(env::temp_dir().join(&name))
        .arg(&name)
        .arg(env::current_exe()?)
        .args(arguments)
        .env("INSIDE", INSIDE)
        .env(CGROUP, &name)
        // A process group of its own: Ctrl-C in a terminal reaches the owner only, and the shell can clean up.
        .process_group(0)
        // When it closes, the inner program learns that the owner is gone.
        .stdin(Stdio::piped())
        .spawn()?;
    // `wait` would close it first.
    let _owner = outside.stdin.take();
    let status = outside.wait()?;
    Ok(ExitCode::from(u8::try_from(status.code().unwrap_or(1)).unwrap_or(1)))
}

/// Inside: ends this process, and with it the sandbox, when the owner outside has ended.
pub fn end_with_owner() {
    thread::spawn(|| {
        // Nothing is ever written to it.
        let _ = io::stdin().read(&mut [0]);
        std::process::exit(1);
    });
}
