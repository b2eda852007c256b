//! Names and addresses: many addresses of which few answer, slow or silent DNS, and the operator's own address.

use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    process::{Command, Stdio},
    thread,
};

use socket2::{Domain, Socket, Type};
use testbed::simulator::Options;

use super::network::{is_root, with_names};
use crate::support::world::{World, binary, condition, message, set_endpoint, wait_for_output};

const NAME: &str = "dws.lab.example";
/// Address of the DNS server in these tests: no other process uses it.
const NAME_SERVER: &str = "127.0.77.53:53";

/// An address that does not answer: its queue is full, so that the kernel drops new connections.
struct Dead {
    _listener: Socket,
    _queued: TcpStream,
}

impl Dead {
    fn at(address: SocketAddr) -> Self {
        let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        listener.bind(&address.into()).unwrap();
        listener.listen(0).unwrap();
        Self { _listener: listener, _queued: TcpStream::connect(address).unwrap() }
    }
}

async fn world() -> World {
    // The resolver sorts near addresses to the front; this one comes last.
    let listen = "127.200.0.1:0".parse().unwrap();
    World::with(Options { names: vec![NAME.to_owned(), "127.200.0.1".to_owned()], listen, ..Options::default() }).await
}

/// An operator that reaches the cloud by name, with these hosts and this DNS. None if the machine does not allow it.
async fn operator(world: &World, hosts: &str, resolv: &str) -> Option<(testbed::Operator, tempfile::TempDir)> {
    let directory = tempfile::tempdir().unwrap();
    let program = with_names(directory.path(), hosts, resolv)?;
    let operator = world.operator_from(|options| {
        options.binary = program;
        set_endpoint(options, &format!("https://{NAME}:{}", world.cloud.address().port()));
    });
    Some((operator.await, directory))
}

#[tokio::test]
async fn four_dead_addresses_and_a_living_one_are_probed_as_they_are_called() {
    let world = world().await;
    let living = world.cloud.address();
    let at = |last: u8| SocketAddr::from(([127, 0, 77, last], living.port()));
    let dead: Vec<_> = (1..=4).map(|last| Dead::at(at(last))).collect();
    let all_dead: Vec<_> = (1..=4).map(|last| format!("{} {NAME}\n", at(last).ip())).collect();
    let all_dead = format!("127.0.0.1 localhost\n{}", all_dead.concat());
    let Some((operator, directory)) = operator(&world, &all_dead, "").await else { return };
    let cluster = world.create_for("request", None).await;
    wait_for_output(&operator, "the endpoint cannot be reached").await;
    assert_eq!(world.calls(&cluster), 0);
    // In place: the file is mounted.
    fs::write(directory.path().join("hosts"), format!("{all_dead}{} {NAME}\n", living.ip())).unwrap();
    world.settled("request", "Delivered").await;
    // The next call finds the working address too, by itself.
    let next = world.cluster();
    world.create("next", &next).await;
    world.settled("next", "Delivered").await;
    assert_eq!((world.calls(&cluster), world.calls(&next)), (1, 1));
    operator.terminate().await.unwrap();
    drop(dead);
}

/// Answers queries for IPv4 with this address, and queries for IPv6 never.
fn half_deaf_dns(address: [u8; 4]) -> Option<()> {
    let socket = UdpSocket::bind(NAME_SERVER).ok()?;
    thread::spawn(move || {
        let mut question = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut question) {
            let asked = &question[..length];
            // Header of 12 bytes, name to its zero, type, class.
            let end = 12 + asked[12..].iter().position(|byte| *byte == 0).unwrap() + 5;
            if asked[end - 4..end - 2] != [0, 1] {
                continue;
            }
            let head = [&asked[..2], &[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0], &asked[12..end]].concat();
            let record = [&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4], &address[..]].concat();
            socket.send_to(&[head, record].concat(), from).unwrap();
        }
    });
    Some(())
}

#[tokio::test]
async fn a_name_server_silent_about_ipv6_does_not_prevent_a_call() {
    let world = world().await;
    if half_deaf_dns([127, 200, 0, 1]).is_none() {
        eprintln!("skipped: nobody may listen at {NAME_SERVER} here (root: {})", is_root());
        return;
    }
    let resolv = "nameserver 127.0.77.53\n";
    let Some((operator, _directory)) = operator(&world, "127.0.0.1 localhost\n", resolv).await else { return };
    let cluster = world.delivered("request").await;
    assert_eq!(world.calls(&cluster), 1);
    operator.terminate().await.unwrap();
    assert!(!operator.output().contains("the endpoint cannot be reached"), "{}", operator.output());
}

#[tokio::test]
async fn an_unknown_host_name_costs_no_claim_and_is_reported() {
    let world = World::new().await;
    let operator = world.operator_from(|options| set_endpoint(options, "https://dws.invalid")).await;
    world.create("request", &world.cluster()).await;
    let held = world.settled("request", "EndpointUnreachable").await;
    assert!(message(&held).contains("DNS gives no address for dws.invalid"), "{}", message(&held));
    assert_eq!((held.status.clone().unwrap().attempt, condition(&held, "Delivered").as_deref()), (None, Some("False")));
    operator.terminate().await.unwrap();
    assert!(operator.output().contains("DNS does not resolve dws.invalid"), "{}", operator.output());
}

const INSIDE: &str = "SUITE_INSIDE_A_NETWORK";

/// Runs this test again, alone, in a network of its own where a socket for IPv6 accepts IPv6 only unless it is set
/// otherwise.
#[test]
fn the_default_address_serves_both_families_under_bindv6only() {
    if std::env::var_os(INSIDE).is_some() {
        return serves_both();
    }
    let script = "echo 1 > /proc/sys/net/ipv6/bindv6only && ip link set lo up && exec \"$0\" \"$@\"";
    let flags = if is_root() { "--net" } else { "--net --map-root-user" };
    let possible = Command::new("unshare").args(flags.split(' ')).args(["ip", "link"]).stdout(Stdio::null()).status();
    if !possible.is_ok_and(|status| status.success()) {
        eprintln!("skipped: `unshare {flags}` is not allowed here, or there is no `ip`");
        return;
    }
    let name = concat!(module_path!(), "::the_default_address_serves_both_families_under_bindv6only");
    let (_, name) = name.split_once("::").unwrap();
    let output = Command::new("unshare")
        .args(flags.split(' '))
        .args(["/bin/sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(INSIDE, "yes")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
}

fn serves_both() {
    let directory = tempfile::tempdir().unwrap();
    let kubeconfig = directory.path().join("config");
    let nowhere = "{apiVersion: v1, kind: Config, clusters: [{name: x, cluster: {server: 'https://127.0.0.1:1'}}], users: [{name: x, user: {token: x}}], contexts: [{name: x, context: {cluster: x, user: x}}], current-context: x}";
    std::fs::write(&kubeconfig, nowhere).unwrap();
    // Without --listen.
    let mut operator =
        Command::new(binary()).args(["run", "--kubeconfig"]).arg(&kubeconfig).stdout(Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut output = operator.stdout.take().unwrap();
    let mut byte = [0];
    while !said.contains("\"listening\"") && output.read(&mut byte).unwrap() == 1 {
        said.push(char::from(byte[0]));
    }
    let answers = ["127.0.0.1:8080", "[::1]:8080"].map(|address| {
        let mut stream = TcpStream::connect(address).map_err(|error| format!("{address}: {error}"))?;
        stream.write_all(b"GET /livez HTTP/1.0\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        Ok::<_, String>(answer.contains(" 200 OK"))
    });
    operator.kill().unwrap();
    operator.wait().unwrap();
    assert_eq!(answers, [Ok(true), Ok(true)], "{said}");
    // A port in use stays with its process: an address in use does not mean that IPv6 is missing.
    let taken = TcpListener::bind("0.0.0.0:8080").unwrap();
    let refused = Command::new(binary()).args(["run", "--kubeconfig"]).arg(&kubeconfig).output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
    drop(taken);
}
