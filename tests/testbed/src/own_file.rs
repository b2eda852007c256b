//! A file for the programs that this process starts, gone when its owner is, even when that is killed: a temporary file that
//! only a destructor removes stays behind whoever is ended by a signal. It must not hold secrets: programs get them
//! otherwise.

use std::{
    io,
    path::{Path, PathBuf},
    process::Stdio,
};

use crate::supervisor::Supervisor;

/// See the module. Removed when this value is dropped or the process ends.
#[derive(Debug)]
pub struct OwnFile {
    path: PathBuf,
    /// Removes the directory in which the file is.
    _supervisor: Supervisor,
}

impl OwnFile {
    /// Writes it, under this name, into a directory of its own.
    ///
    /// # Errors
    /// When there can be no such directory or file.
    pub fn write(name: &str, text: &str) -> io::Result<Self> {
        let supervisor = Supervisor::start(&[], Stdio::null())?;
        let path = supervisor.directory().join(name);
        std::fs::write(&path, text)?;
        Ok(Self { path, _supervisor: supervisor })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}
