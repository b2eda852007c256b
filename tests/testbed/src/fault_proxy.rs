//! A proxy between an operator and everything it talks to, on the API server's side and on the cloud's, over TLS. It
//! numbers the requests, records them, and injects one fault where its plan says so.
//!
//! | module | question |
//! | --- | --- |
//! | `plan`, `fault` | which fault, and at which request? |
//! | `armed` | is it this request? |
//! | `kubernetes`, `stream` | how is it injected towards the API server? |
//! | `front`, `cloud` | how towards the cloud? |
//! | `record`, `judge` | what was sent, and was it true? |
//! | `order`, `outage` | what can only the owner do? |
//!
//! It must not know more of the operator than the requests it makes.

mod armed;
mod cloud;
mod fault;
mod front;
pub mod judge;
mod kubernetes;
pub mod order;
mod outage;
pub mod plan;
pub mod record;
mod stream;
mod upstream;

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use order::{Order, OrderKind};
pub use outage::Outage;
pub use plan::Plan;
pub use record::{Property, Record};
use tokio::{
    net::TcpListener,
    sync::{mpsc, oneshot},
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tokio_util::sync::CancellationToken;
pub use upstream::{Kubernetes, Network};

use self::{armed::Armed, front::Front};

/// State that all connections of one proxy share.
pub(crate) struct Shared {
    name: String,
    record: Arc<Record>,
    armed: Armed,
    acceptor: TlsAcceptor,
    stranger: TlsAcceptor,
    kubernetes: Kubernetes,
    cloud: SocketAddr,
    cloud_tls: TlsConnector,
    orders: mpsc::UnboundedSender<Order>,
    old_list: Mutex<Option<String>>,
    outage: Outage,
    requests: AtomicUsize,
    stop: CancellationToken,
}

impl Shared {
    /// Orders an action on the operator, and waits until it is done.
    async fn order(&self, kind: OrderKind) {
        self.record.trace(format_args!("{} {kind:?}", self.name));
        let (done, is_done) = oneshot::channel();
        if self.orders.send(Order { kind, done }).is_ok() {
            let _ = is_done.await;
        }
    }

    fn old_list(&self) -> Option<String> {
        self.old_list.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A running proxy for one operator; it ends when dropped.
pub struct FaultProxy {
    shared: Arc<Shared>,
    kubernetes: SocketAddr,
    cloud: SocketAddr,
}

impl FaultProxy {
    /// Starts it on the calling runtime. The receiver yields the actions that its operator needs.
    pub async fn start(
        name: &str,
        network: &Network,
        plan: &Plan,
        record: Arc<Record>,
    ) -> io::Result<(Self, mpsc::UnboundedReceiver<Order>)> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let (kubernetes, front) = (listener.local_addr()?, Front::reserve()?);
        let cloud = front.address();
        let (orders, received) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            name: name.to_owned(),
            record,
            armed: Armed::new(plan),
            acceptor: network.acceptor.clone(),
            stranger: network.stranger.clone(),
            kubernetes: network.kubernetes.clone(),
            cloud: network.cloud,
            cloud_tls: network.cloud_tls.clone(),
            orders,
            old_list: Mutex::default(),
            outage: Outage::default(),
            requests: AtomicUsize::new(0),
            stop: CancellationToken::new(),
        });
        let stop = shared.stop.clone();
        tokio::spawn(stop.clone().run_until_cancelled_owned(kubernetes::serve(listener, Arc::clone(&shared))));
        let serving = Arc::clone(&shared);
        tokio::spawn(stop.run_until_cancelled_owned(async move {
            if let Err(error) = front.serve(Arc::clone(&serving)).await {
                serving.record.violated(Property::Broken, format!("the proxy towards the cloud: {error}"));
            }
        }));
        Ok((Self { shared, kubernetes, cloud }, received))
    }

    /// Address of the API server, for its operator.
    pub fn kubernetes_url(&self) -> String {
        format!("https://{}", self.kubernetes)
    }

    /// Address of the cloud, for its operator.
    pub fn cloud_url(&self) -> String {
        format!("https://{}", self.cloud)
    }

    /// Sets the content of old lists from now on.
    pub fn remember_list(&self, list: String) {
        *self.shared.old_list.lock().unwrap_or_else(PoisonError::into_inner) = Some(list);
    }

    /// Requests to the API server so far, and connections that met an outage.
    pub fn requests(&self) -> usize {
        self.shared.requests.load(Ordering::Relaxed)
    }

    pub fn outage(&self) -> Outage {
        self.shared.outage.clone()
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.shared.stop.cancel();
    }
}
