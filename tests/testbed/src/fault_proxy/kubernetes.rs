//! The side towards the API server: every connection of the operator has one of its own behind the proxy, every request
//! is numbered, and the plan says which of them meet a fault. It judges nothing; the record does.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, combinators::UnsyncBoxBody};
use hyper::{
    body::{Bytes, Incoming},
    client::conn::http1::SendRequest,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Mutex,
    time::{sleep, timeout},
};

use super::{
    Shared,
    order::OrderKind,
    plan::{Fault, Kind},
    stream,
};

/// Longer than the send budget of a plan's operator, and than its timeout for a claim.
const TOO_LATE: Duration = Duration::from_millis(1500);
/// When an abandoned request is still forwarded: later than any timeout of the operator.
const AFTER_ALL: Duration = Duration::from_secs(11);
/// Longest wait for the API server itself.
const UPSTREAM: Duration = Duration::from_secs(60);

/// A body on its way to the operator.
pub type Body = UnsyncBoxBody<Bytes, BoxError>;
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Accepts without end.
pub async fn serve(listener: TcpListener, shared: Arc<Shared>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let shared = Arc::clone(&shared);
        tokio::spawn(shared.stop.clone().run_until_cancelled_owned(async move { connection(stream, shared).await }));
    }
}

async fn connection(stream: TcpStream, shared: Arc<Shared>) {
    if shared.outage.is_on() {
        shared.requests.fetch_add(1, Ordering::Relaxed);
        return;
    }
    let _ = stream.set_nodelay(true);
    // A second handle on the same socket: once TLS and HTTP own the first, this one can still reset the connection.
    let Ok((stream, resetter)) = twice(stream) else { return };
    let resetter = Arc::new(std::sync::Mutex::new(Some(resetter)));
    let Ok(stream) = shared.acceptor.accept(stream).await else { return };
    let upstream = Arc::new(Mutex::new(None));
    let cut = shared.outage.clone();
    let service = service_fn(move |request| {
        let exchange =
            Exchange { shared: Arc::clone(&shared), upstream: Arc::clone(&upstream), resetter: Arc::clone(&resetter) };
        exchange.handle(request)
    });
    let serving = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::select! { _ = serving => {}, () = cut.begins() => {} }
}

fn twice(stream: TcpStream) -> std::io::Result<(TcpStream, TcpStream)> {
    let stream = stream.into_std()?;
    let second = stream.try_clone()?;
    Ok((TcpStream::from_std(stream)?, TcpStream::from_std(second)?))
}

struct Exchange {
    shared: Arc<Shared>,
    upstream: Arc<Mutex<Option<SendRequest<Full<Bytes>>>>>,
    resetter: Arc<std::sync::Mutex<Option<TcpStream>>>,
}

impl Exchange {
    async fn handle(self, request: Request<Incoming>) -> Result<Response<Body>, BoxError> {
        self.shared.requests.fetch_add(1, Ordering::Relaxed);
        let (head, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let path = head.uri.path().to_owned();
        let kind = kind_of(&head.method, &path, head.uri.query().unwrap_or_default());
        let record = &self.shared.record;
        record.check_for_leaks("the API server", &body);
        let what = if kind == Kind::Put { record.status(&path, &body) } else { path.clone() };
        let (number, fault) = self.shared.armed.come(kind);
        let label = format!("{} {}#{number}", self.shared.name, kind.word());
        record.trace(format_args!("{label} {what}{}", fault.map_or_else(String::new, |f| format!(" <- {}", f.word()))));
        let request = Request::from_parts(head, Full::new(body));
        let armed = &self.shared.armed;
        if kind == Kind::Stream && armed.is_paged() {
            return Ok(answer(422, status(422, "Invalid", "lists are not streamed").to_string()));
        }
        if matches!(kind, Kind::List | Kind::Stream) && armed.takes_old_list() {
            return self.old_list(request, kind, &label).await;
        }
        match fault {
            None => self.forward(request, kind, &label).await,
            Some(fault) => {
                record.struck();
                self.strike(fault, request, kind, &label).await
            }
        }
    }

    async fn strike(
        self,
        fault: Fault,
        request: Request<Full<Bytes>>,
        kind: Kind,
        label: &str,
    ) -> Result<Response<Body>, BoxError> {
        match fault {
            Fault::KillBefore | Fault::KillBeforeOld => {
                self.shared.order(OrderKind::Kill).await;
                Err("killed".into())
            }
            Fault::KillAfter | Fault::KillAfterOld => {
                let reply = self.forward(request, kind, label).await;
                self.shared.order(OrderKind::Kill).await;
                drop(reply);
                Err("killed".into())
            }
            Fault::StopBefore => {
                self.shared.order(OrderKind::Stop).await;
                self.forward(request, kind, label).await
            }
            Fault::StopAfter => {
                let reply = self.forward(request, kind, label).await;
                // The operator is stopped from here on, and finds the reply in its socket when it resumes.
                self.shared.order(OrderKind::StopAndReturn).await;
                reply
            }
            Fault::DropReply | Fault::ResetReply => {
                drop(self.forward(request, kind, label).await);
                self.gone(fault == Fault::ResetReply)
            }
            Fault::Reset => self.gone(true),
            Fault::Delay => {
                sleep(TOO_LATE).await;
                self.forward(request, kind, label).await
            }
            Fault::DelayReply => {
                let reply = self.forward(request, kind, label).await;
                sleep(TOO_LATE).await;
                reply
            }
            Fault::Hang => std::future::pending().await,
            Fault::HangReply => {
                let _reply = self.forward(request, kind, label).await;
                std::future::pending().await
            }
            Fault::Late => {
                let (shared, label) = (Arc::clone(&self.shared), label.to_owned());
                // In a task of its own: this future ends when the operator hangs up.
                tokio::spawn(self.shared.stop.clone().run_until_cancelled_owned(async move {
                    sleep(AFTER_ALL).await;
                    shared.record.trace(format_args!("{label} forwarded after all"));
                    let alone = Self { shared, upstream: Arc::default(), resetter: Arc::default() };
                    drop(alone.forward(request, kind, &label).await);
                }));
                std::future::pending().await
            }
            Fault::ConflictApplied | Fault::TimeoutApplied => {
                drop(self.forward(request, kind, label).await);
                Ok(refusal(fault))
            }
            Fault::Conflict | Fault::TooMany | Fault::Internal | Fault::Unavailable | Fault::Timeout => {
                Ok(refusal(fault))
            }
            Fault::Gone | Fault::GoneOld => Ok(refusal(fault)),
            Fault::GoneEvent => {
                let event = json!({"type": "ERROR", "object": status(410, "Expired", "too old resource version")});
                Ok(answer(200, format!("{event}\n")))
            }
            stream_fault => {
                let reply = self.forward(request, kind, label).await?;
                Ok(reply.map(|body| stream::disturb(body, kind, stream_fault, Arc::clone(&self.shared))))
            }
        }
    }

    /// The list as it was when the object had just been made.
    async fn old_list(
        self,
        request: Request<Full<Bytes>>,
        kind: Kind,
        label: &str,
    ) -> Result<Response<Body>, BoxError> {
        match self.shared.old_list() {
            Some(list) => {
                self.shared.record.trace(format_args!("{label} gets an old list"));
                Ok(answer(200, if kind == Kind::Stream { stream::streamed(&list) } else { list }))
            }
            None => self.forward(request, kind, label).await,
        }
    }

    fn gone(self, reset: bool) -> Result<Response<Body>, BoxError> {
        let resetter = self.resetter.lock().ok().and_then(|mut resetter| resetter.take());
        if let (true, Some(resetter)) = (reset, resetter) {
            resetter.set_zero_linger()?;
        }
        // hyper closes the connection without an answer.
        Err("dropped".into())
    }

    async fn forward(
        &self,
        request: Request<Full<Bytes>>,
        kind: Kind,
        label: &str,
    ) -> Result<Response<Body>, BoxError> {
        let (path, sent) = (request.uri().path().to_owned(), request.body().clone());
        let mut upstream = self.upstream.lock().await;
        let sender = match upstream.as_mut() {
            Some(sender) if !sender.is_closed() => sender,
            _ => upstream.insert(self.shared.kubernetes.connect(&self.shared.stop).await?),
        };
        timeout(UPSTREAM, sender.ready()).await??;
        let reply = timeout(UPSTREAM, sender.send_request(request)).await??;
        drop(upstream);
        let code = reply.status().as_u16();
        self.shared.record.trace(format_args!("{label} -> {code}"));
        if kind == Kind::Put && code == 200 {
            let body = sent.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
            self.shared.record.applied(&path, &body);
        }
        let (head, body) = reply.into_parts();
        if matches!(kind, Kind::Watch | Kind::Stream) {
            return Ok(Response::from_parts(head, body.map_err(Into::into).boxed_unsync()));
        }
        // Whole, so that the next event really comes after a reply.
        let whole = timeout(UPSTREAM, body.collect()).await??.to_bytes();
        Ok(Response::from_parts(head, Full::new(whole).map_err(|never| match never {}).boxed_unsync()))
    }
}

fn kind_of(method: &Method, path: &str, query: &str) -> Kind {
    let resource = "/clusterredistributions";
    let is_collection = path.ends_with(resource);
    match method.as_str() {
        "GET" if is_collection && query.contains("sendInitialEvents=true") => Kind::Stream,
        "GET" if is_collection && query.contains("watch=true") => Kind::Watch,
        "GET" if is_collection => Kind::List,
        "GET" if path.contains(resource) => Kind::Get,
        "GET" if path.contains("/secrets/") => Kind::Secret,
        "GET" if path == "/version" => Kind::Version,
        "PUT" if path.contains(resource) && path.ends_with("/status") => Kind::Put,
        "POST" | "PATCH" if path.contains("/events") => Kind::Event,
        _ => Kind::Other,
    }
}

fn refusal(fault: Fault) -> Response<Body> {
    let (code, reason) = match fault {
        Fault::Conflict | Fault::ConflictApplied => (409, "Conflict"),
        Fault::TooMany => (429, "TooManyRequests"),
        Fault::Internal => (500, "InternalError"),
        Fault::Unavailable => (503, "ServiceUnavailable"),
        Fault::Gone | Fault::GoneOld => (410, "Expired"),
        _ => (504, "Timeout"),
    };
    let mut response = answer(code, status(code, reason, "injected by the fault proxy").to_string());
    if code == 429 {
        response.headers_mut().insert("retry-after", http::HeaderValue::from_static("1"));
    }
    response
}

fn status(code: u16, reason: &str, message: &str) -> serde_json::Value {
    json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "message": message, "reason": reason, "code": code})
}

fn answer(code: u16, body: impl Into<Bytes>) -> Response<Body> {
    let mut response = Response::new(Full::new(body.into()).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response
}
