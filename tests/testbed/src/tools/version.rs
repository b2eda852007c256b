//! The versions that fit. It asks the program itself and must not judge by file names.

use std::{fmt, path::Path, process::Command, str::FromStr};

use super::Tool;

/// Major, minor and patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version(pub u32, pub u32, pub u32);

impl fmt::Display for Version {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.0, self.1, self.2)
    }
}

impl FromStr for Version {
    type Err = ();

    /// Reads `1.37`, `v1.37.2`, `go1.26.8`, `1.37.2-rc.0+build`; the patch defaults to 0.
    fn from_str(text: &str) -> Result<Self, ()> {
        let text = text.trim_start_matches("go").trim_start_matches('v');
        let mut numbers = text.splitn(3, '.').map(|part| {
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part[..digits].parse::<u32>().map_err(|_| ())
        });
        let (major, minor) = (numbers.next().ok_or(())??, numbers.next().ok_or(())??);
        Ok(Self(major, minor, numbers.next().unwrap_or(Ok(0))?))
    }
}

/// Where a program comes from: a program that was merely found has to fit better than one that was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// By `TEST_ASSET_<NAME>`.
    Named,
    /// By `KUBEBUILDER_ASSETS`, whose etcd belongs to its kube-apiserver.
    Assets,
    /// By `PATH`, where etcd may have come with the system and be years old.
    Path,
}

/// Whether the program runs and its version fits; otherwise the fault, as the end of a sentence about it.
pub fn check(tool: Tool, path: &Path, origin: Origin) -> Result<(), String> {
    let arguments: &[&str] = match tool {
        Tool::Kubectl => &["version", "--client"],
        Tool::Helm | Tool::Helm3 => &["version", "--template={{.Version}}"],
        Tool::ContainerdShim => &["-v"],
        _ => &["--version"],
    };
    let output = Command::new(path)
        .args(arguments)
        .env("LC_ALL", "C")
        .output()
        .map_err(|error| format!("cannot be run: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout);
    let version = said
        .split_whitespace()
        .find_map(|word| word.parse::<Version>().ok())
        .ok_or_else(|| format!("printed no version when run with {}", arguments.join(" ")))?;
    let (fits, wanted) = match (tool, origin) {
        (Tool::Etcd, Origin::Path) => (version >= Version(3, 7, 0), "3.7 or newer"),
        (Tool::Etcd, _) => (version >= Version(3, 5, 13), "3.5.13 or newer"),
        (Tool::Helm, Origin::Path | Origin::Assets) => (version >= Version(4, 0, 0), "4.0 or newer"),
        (Tool::Helm, Origin::Named) => (version >= Version(3, 18, 0), "3.18 or newer"),
        // Its configuration file is of the third version, which the first of 2 brought.
        (Tool::Containerd | Tool::ContainerdShim | Tool::Ctr, _) => (version >= Version(2, 0, 0), "2.0 or newer"),
        (Tool::Helm3, _) => (version >= Version(3, 18, 0) && version < Version(4, 0, 0), "3.18 to 3.x"),
        // A kubectl that was merely found talks to the server that is built here: at most one minor version apart, as
        // kubectl requires.
        (Tool::Kubectl, Origin::Path) => ((36..=38).contains(&version.1) && version.0 == 1, "1.36 to 1.38"),
        _ => ((32..=37).contains(&version.1) && version.0 == 1, "1.32 to 1.37"),
    };
    if fits { Ok(()) } else { Err(format!("is {version}, and {wanted} is needed")) }
}
