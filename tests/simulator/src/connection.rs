//! One connection: TLS, one request, the gateway's decision, and then the ordinary or the scripted answer. Each request
//! has a connection of its own, as the operator's have.

use std::{sync::Arc, time::Duration};

use k8s_openapi::jiff::Timestamp;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    Mode,
    address::{self, Address, ListenerRole},
    cloud::Cloud,
    ledger::Entry,
    reply,
    script::{Act, Script, Wait},
    signature::{self, Arrived},
    wire::{self, Head, ReadHead},
};

/// A request that is not complete by then is abandoned.
const READ_WITHIN: Duration = Duration::from_secs(120);

/// Accepts without end.
pub async fn serve(
    listener: TcpListener,
    config: Arc<ServerConfig>,
    mode: Mode,
    role: ListenerRole,
    cloud: Arc<Cloud>,
) {
    let acceptor = TlsAcceptor::from(config);
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let (acceptor, cloud) = (acceptor.clone(), Arc::clone(&cloud));
        tokio::spawn(async move {
            match mode {
                Mode::Cloud => connection(stream, acceptor, role, &cloud).await,
                Mode::NotTls => not_tls(stream).await,
                Mode::StalledTls => reply::until_gone(stream).await,
            }
        });
    }
}

async fn not_tls(mut stream: TcpStream) {
    wire::write(&mut stream, b"220 this is no TLS\r\n").await;
    reply::until_gone(stream).await;
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, role: ListenerRole, cloud: &Cloud) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    match cloud.next_connection_fault() {
        Some(Act::Reset) => return reply::reset(stream),
        Some(Act::Hang) => return reply::until_gone(stream).await,
        Some(_) => return,
        None => {}
    }
    let Ok(read) = tokio::time::timeout(READ_WITHIN, wire::read_head(&mut stream)).await else { return };
    match read {
        // Such as a probe.
        ReadHead::Nothing => {}
        ReadHead::Partial => {
            let ticket = cloud.arrive(entry(&Head::default(), &Address::default(), false));
            cloud.finish(ticket, "half a head");
        }
        ReadHead::Whole(head, body) => {
            let address = address::parse(role, &head.method, &head.target);
            request(stream, head, body, address, cloud).await;
        }
    }
}

async fn request(mut stream: TlsStream<TcpStream>, head: Head, mut body: Vec<u8>, address: Address, cloud: &Cloud) {
    let ticket = cloud.arrive(entry(&head, &address, true));
    let script = cloud.next_script(&address);
    if let Some((Script { act: Act::BeforeBody(early), .. }, _)) = &script {
        cloud.finish(ticket, &format!("{} before the body", early.status));
        reply::respond(&mut stream, early, ticket, cloud).await;
        // Closing with unread bytes would reset the connection and lose the answer.
        let _ = stream.shutdown().await;
        return reply::until_gone(stream).await;
    }
    let whole = tokio::time::timeout(READ_WITHIN, wire::read_body(&mut stream, &mut body, head.length()))
        .await
        .unwrap_or(false);
    if !whole {
        return cloud.finish(ticket, "half a body");
    }
    cloud.whole(ticket, &body);
    let arrived = Arrived { method: &head.method, target: &head.target, headers: &head.headers, body: &body };
    if let Err(refusal) = cloud.judge(ticket, &address.project, &arrived) {
        cloud.finish(ticket, &format!("{} of the gateway", refusal.status));
        reply::respond(&mut stream, &refusal, ticket, cloud).await;
        return reply::close(stream).await;
    }
    let Some((script, released)) = script else {
        let answer = cloud.serve(&address, &head.target, &body, ticket);
        return reply::act(stream, Act::Answer(answer), ticket, cloud).await;
    };
    if script.executed && address.kind == address::Kind::Call && script.act != Act::Ordinary {
        cloud.execute(&address, &body, ticket);
    }
    let waiting = async {
        match script.wait {
            Wait::No => {}
            Wait::Millis(millis) => tokio::time::sleep(Duration::from_millis(millis)).await,
            Wait::Released => drop(released.acquire().await.map(tokio::sync::SemaphorePermit::forget)),
        }
    };
    // A client that leaves while its request is held ends the wait.
    let mut ignored = [0; 16];
    tokio::select! {
        () = waiting => {}
        _ = stream.read(&mut ignored) => return cloud.finish(ticket, "the client left"),
    }
    let act = match script.act {
        Act::Ordinary => Act::Answer(cloud.serve(&address, &head.target, &body, ticket)),
        act => act,
    };
    reply::act(stream, act, ticket, cloud).await;
}

fn entry(head: &Head, address: &Address, whole_head: bool) -> Entry {
    let authorization = head.get("authorization").unwrap_or_default();
    let token = head.get("x-auth-token").unwrap_or_default();
    Entry {
        kind: address.kind,
        arrived_millis: i128::from(Timestamp::now().as_millisecond()),
        method: head.method.clone(),
        target: head.target.clone(),
        project: address.project.clone(),
        cluster: address.cluster.clone(),
        access_key: signature::parse(authorization).map(|claimed| claimed.access).unwrap_or_default(),
        authorization_digest: signature::digest(
            if authorization.is_empty() { token } else { authorization }.as_bytes(),
        ),
        date: head.get("x-sdk-date").unwrap_or_default().to_owned(),
        whole_head,
        ..Entry::default()
    }
}
