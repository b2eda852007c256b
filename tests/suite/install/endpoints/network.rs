//! The network between an operator and its peers: proxies and name resolution. It asserts nothing about the operator.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::watch,
};

use crate::support::world::binary;

/// An HTTP proxy that tunnels every request, and the heads of its requests.
pub async fn proxy() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, asked) = (listener.local_addr().unwrap(), Arc::new(Mutex::new(Vec::new())));
    let told = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(tunnel(stream, Arc::clone(&told)));
        }
    });
    (address, asked)
}

async fn tunnel(stream: TcpStream, asked: Arc<Mutex<Vec<String>>>) -> std::io::Result<()> {
    let mut near = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if near.read_line(&mut head).await? == 0 {
            return Ok(());
        }
    }
    let target = head.split(' ').nth(1).unwrap_or_default().to_owned();
    asked.lock().unwrap().push(head);
    let mut far = TcpStream::connect(target).await?;
    near.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    copy_bidirectional(&mut near, &mut far).await.map(drop)
}

/// Forwards every connection to the present target. When the target changes, all connections end.
pub async fn switch(to: SocketAddr) -> (SocketAddr, watch::Sender<SocketAddr>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, (sender, target)) = (listener.local_addr().unwrap(), watch::channel(to));
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let mut target = target.clone();
            tokio::spawn(async move {
                let to = *target.borrow_and_update();
                let Ok(mut far) = TcpStream::connect(to).await else { return };
                tokio::select! { _ = copy_bidirectional(&mut near, &mut far) => {}, _ = target.changed() => {} }
            });
        }
    });
    (address, sender)
}

/// Changes the cluster or the user of a kubeconfig.
pub fn edit(kubeconfig: &Path, change: impl FnOnce(&mut Value)) {
    let mut value: Value = serde_json::from_str(&fs::read_to_string(kubeconfig).unwrap()).unwrap();
    change(&mut value);
    fs::write(kubeconfig, value.to_string()).unwrap();
}

/// The operator's binary in a mount namespace with these `/etc/hosts` and `/etc/resolv.conf`. None, with a message, if
/// the machine does not allow such a namespace.
pub fn with_names(directory: &Path, hosts: &str, resolv: &str) -> Option<PathBuf> {
    let flags = if is_root() { "--mount" } else { "--mount --map-root-user" };
    let possible = std::process::Command::new("unshare").args(flags.split(' ')).arg("true").status();
    if !possible.is_ok_and(|status| status.success()) {
        eprintln!("skipped: `unshare {flags}` is not allowed here");
        return None;
    }
    fs::write(directory.join("hosts"), hosts).unwrap();
    fs::write(directory.join("resolv.conf"), resolv).unwrap();
    let inside = format!(
        "mount --bind {0}/hosts /etc/hosts && mount --bind {0}/resolv.conf /etc/resolv.conf && exec \"$0\" \"$@\"",
        directory.display()
    );
    let script = format!("#!/bin/sh\nexec unshare {flags} /bin/sh -c '{inside}' {} \"$@\"\n", binary().display());
    let file = directory.join("operator");
    fs::write(&file, script).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    Some(file)
}

/// Whether this runs as root.
pub fn is_root() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    status.lines().any(|line| line.starts_with("Uid:\t0\t"))
}
