//! Everything ends with its owner, even with one that is killed by SIGKILL and so runs no code of its own any more.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use testbed::{
    ControlPlane, Options, Tools, eventually,
    supervisor::{Supervisor, is_running},
};

/// Names the file in which the owner records the things it started; set only in the owner's own process.
const NOTES: &str = "TESTBED_OWNER_NOTES";
const MINUTE: Duration = Duration::from_secs(60);

/// The owner: starts everything, records it, and waits to be killed.
fn own(notes: &Path) {
    let control_plane = ControlPlane::start(&Tools::new(), Options::default()).unwrap();
    let mut supervisor = Supervisor::start(&[], Stdio::null()).unwrap();
    let stays = supervisor.spawn(Path::new("/bin/sleep"), &["86400".into()], None).unwrap();
    let ids: Vec<_> = control_plane.pids().into_iter().chain([stays]).map(|id| id.to_string()).collect();
    let files = [control_plane.directory(), supervisor.directory()];
    let text = format!("{}\n{}\n", ids.join(" "), files.map(|path| path.display().to_string()).join(" "));
    let unfinished = notes.with_extension("unfinished");
    fs::write(&unfinished, text).unwrap();
    fs::rename(unfinished, notes).unwrap();
    loop {
        std::thread::park();
    }
}

#[tokio::test]
async fn killing_the_owner_leaves_no_process_and_no_file() {
    if let Some(notes) = std::env::var_os(NOTES) {
        own(Path::new(&notes));
    }
    let own_directory = tempfile::tempdir().unwrap();
    let notes = own_directory.path().join("notes");
    let mut owner = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "killing_the_owner_leaves_no_process_and_no_file", "--nocapture"])
        .env(NOTES, &notes)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let text = eventually(Duration::from_secs(1200), "the owner has started all", async || match owner.try_wait() {
        Ok(None) => fs::read_to_string(&notes).map_err(|error| error.to_string()).map(Ok),
        ended => Ok(Err(format!("the owner has ended: {ended:?}"))),
    })
    .await
    .unwrap();
    let (ids, files) = text.trim().split_once('\n').unwrap();
    let ids: Vec<u32> = ids.split(' ').map(|id| id.parse().unwrap()).collect();
    let files: Vec<_> = files.split(' ').map(PathBuf::from).collect();
    assert_eq!((ids.len(), files.len()), (3, 2));
    assert!(ids.iter().all(|id| is_running(*id)) && files.iter().all(|file| file.exists()));

    owner.kill().unwrap();
    assert_eq!(owner.wait().unwrap().signal(), Some(9));

    eventually(MINUTE, "no process is left", async || {
        let left: Vec<_> = ids.iter().filter(|id| is_running(**id)).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?} run")) }
    })
    .await;
    eventually(MINUTE, "no file is left", async || {
        let left: Vec<_> = files.iter().filter(|file| file.exists()).collect();
        if left.is_empty() { Ok(()) } else { Err(format!("{left:?} exist")) }
    })
    .await;
}
