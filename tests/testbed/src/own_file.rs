//! A file for the programs that this process starts, removed with its owner, even when the owner is killed: a temporary
//! file that only a destructor removes stays behind when a signal ends its process. It must not hold secrets: programs
//! get them otherwise.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::supervisor::Supervisor;

/// The file. Removed when this value is dropped or the process ends.
#[derive(Debug)]
pub struct OwnFile {
    path: PathBuf,
    _supervisor: Supervisor,
}

impl OwnFile {
    /// Writes it, under this name, into a directory of its own.
    pub fn write(name: &str, text: &str) -> io::Result<Self> {
        let supervisor = Supervisor::start(&[], Stdio::null())?;
        let path = supervisor.directory().join(name);
        std::fs::write(&path, text)?;
        Ok(Self { path, _supervisor: supervisor })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
