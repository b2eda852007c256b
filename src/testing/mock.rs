//! For unit tests: a controller with an API server of one object, which compares and swaps, and fails as a test asks.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use k8s_openapi::ByteString;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::{mpsc, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use url::Url;

use crate::{
    admission::Admission,
    api::ClusterRedistribution,
    cloud::{
        self,
        auth::{AccessKey, Key, KeyDigests},
    },
    controller::{
        Decider, FailedReconciles, Reconciler, Reporter, Role, Tasks, WaitReports, call::Prepared, tasks::Ended,
    },
    credentials::{self, Credential, CredentialId, CredentialSource, Credentials},
    observe::{Observe, Observer},
    precheck::{self, Mode, Precheck},
    protocol::{
        decide::{Rules, Step},
        regions::Regions,
    },
    runtime::{
        clock::{Clock, Reading},
        events::Events,
        metrics::Metrics,
        synced::Synced,
    },
    store::StatusStore,
    testing::sample::at,
};

/// A fault of the API server at one request.
pub enum Fault {
    /// The request is carried out, but answered with this code.
    AppliedButError(u16),
    /// The request is answered with this code and not carried out.
    Rejected(u16),
    /// A proxy answers with this code; the API server never receives the request.
    NotForwarded(u16),
}

type Script = dyn FnMut(&str, &mut Value) -> Option<Fault> + Send;

#[derive(Clone)]
pub struct Server {
    object: Arc<Mutex<Value>>,
    script: Arc<Mutex<Box<Script>>>,
    secret: Arc<Mutex<u16>>,
    secret_reads: Arc<AtomicUsize>,
}

impl Server {
    /// A server with that object. `script` is called with the method before each request; it may change the object and
    /// return a fault.
    pub fn new(
        object: &ClusterRedistribution,
        script: impl FnMut(&str, &mut Value) -> Option<Fault> + Send + 'static,
    ) -> Self {
        let object = serde_json::to_value(object).unwrap();
        Self {
            object: Arc::new(Mutex::new(object)),
            script: Arc::new(Mutex::new(Box::new(script))),
            secret: Arc::new(Mutex::new(404)),
            secret_reads: Arc::default(),
        }
    }

    /// Sets the status code of reads of a Secret; 404 at first.
    pub fn secret_answers(&self, code: u16) {
        *self.secret.lock() = code;
    }

    pub fn secret_reads(&self) -> usize {
        self.secret_reads.load(Ordering::SeqCst)
    }

    pub fn client(&self) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, std::io::Error>(server.answer(request).await) }
        });
        kube::Client::new(service, "team")
    }

    /// Changes the object, as another writer does.
    pub fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut object = self.object.lock();
        change(&mut object);
        bump(&mut object);
    }

    pub fn value(&self) -> Value {
        self.object.lock().clone()
    }

    pub fn object(&self) -> ClusterRedistribution {
        serde_json::from_value(self.value()).unwrap()
    }

    async fn answer(&self, request: http::Request<Body>) -> http::Response<Body> {
        let method = request.method().as_str().to_owned();
        if !request.uri().path().contains("/clusterredistributions/") {
            self.secret_reads.fetch_add(usize::from(request.uri().path().contains("/secrets/")), Ordering::SeqCst);
            let code = *self.secret.lock();
            let keys = json!({"accessKey": ByteString(b"AK".into()), "secretKey": ByteString(b"SK".into())});
            let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}, "data": keys});
            return reply(code, &if code == 200 { secret } else { failure(code) });
        }
        let bytes = request.into_body().collect_bytes().await.unwrap();
        let mut object = self.object.lock();
        let fault = (self.script.lock())(&method, &mut object);
        match fault {
            Some(Fault::Rejected(code)) => return reply(code, &failure(code)),
            Some(Fault::NotForwarded(code)) => return reply(code, &json!("404 page not found")),
            Some(Fault::AppliedButError(_)) | None => {}
        }
        if method == "PUT" {
            let sent: Value = serde_json::from_slice(&bytes).unwrap();
            if sent["metadata"]["resourceVersion"] != object["metadata"]["resourceVersion"] {
                return reply(409, &failure(409));
            }
            object["status"] = sent["status"].clone();
            bump(&mut object);
        }
        match fault {
            Some(Fault::AppliedButError(code)) => reply(code, &failure(code)),
            _ => reply(200, &object),
        }
    }
}

/// Increments the resourceVersion, as a write does.
pub fn bump(object: &mut Value) {
    let version: u64 = object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap();
    object["metadata"]["resourceVersion"] = json!((version + 1).to_string());
}

fn failure(code: u16) -> Value {
    let reason = if code == 404 { "NotFound" } else { "x" };
    json!({"kind": "Status", "apiVersion": "v1", "code": code, "status": "Failure", "reason": reason, "message": "x"})
}

fn reply(code: u16, body: &Value) -> http::Response<Body> {
    http::Response::builder().status(code).body(Body::from(body.to_string().into_bytes())).unwrap()
}

pub struct Setup {
    pub leads: bool,
    /// Which first lists are complete; those of all by default.
    pub synced: Synced,
    /// Endpoint of the region `lab`; nothing listens at the default.
    pub endpoint: Url,
    pub clock: Clock,
    pub send_budget: Duration,
    pub observe: Option<Observe>,
}

impl Default for Setup {
    fn default() -> Self {
        let synced = Synced::new(&[]);
        synced.complete(0);
        Self {
            leads: true,
            synced,
            endpoint: "http://127.0.0.1:9".parse().unwrap(),
            clock: Clock::of_this_host(),
            send_budget: Duration::from_millis(300),
            observe: None,
        }
    }
}

pub fn reconciler(server: &Server, setup: Setup) -> Arc<Reconciler> {
    let (client, metrics, request_timeout) = (server.client(), Metrics::default(), Duration::from_secs(2));
    let cloud = cloud::Client::new(&cloud::ClientSettings {
        ca_bundle: None,
        proxy: None,
        connect_timeout: Duration::from_secs(1),
        request_timeout,
    });
    let cloud = Arc::new(cloud.unwrap());
    let decider = Decider::new(Rules {
        require_not_after: false,
        hold_reverts: false,
        grace: Duration::from_secs(75),
        regions: Regions::new(Some("lab"), &[], &[("lab".to_owned(), setup.endpoint)]).unwrap(),
    });
    let role =
        Role { closing: CancellationToken::new(), leadership: watch::channel(setup.leads).1, synced: setup.synced };
    let store = StatusStore::new(client.clone());
    let settings = credentials::Settings { request_timeout, send_budget: setup.send_budget, ..Default::default() };
    let credentials = Credentials::new(client.clone(), Arc::clone(store.limit()), Arc::clone(&cloud), settings);
    let (admission, credentials) = (Admission::new(8, 0.0), Arc::new(credentials));
    let settings = precheck::Settings { mode: Mode::Off, every: Duration::from_secs(60) };
    let precheck = Precheck::new(settings, setup.observe.is_some(), Arc::clone(&cloud), metrics.clone());
    let observer = setup.observe.map(|settings| {
        Arc::new(Observer::new(
            (settings, precheck::VALID_FOR),
            (Arc::clone(&decider.rules), role.synced.clone()),
            Arc::clone(&admission),
            Arc::clone(&credentials),
            (Arc::clone(&cloud), metrics.clone()),
        ))
    });
    Arc::new(Reconciler {
        tasks: Tasks::new(TaskTracker::new(), role.closing.clone()),
        decider,
        role,
        reporter: Reporter { store, events: Events::new(client, "mock", metrics.clone()), metrics },
        admission,
        credentials,
        cloud,
        precheck: Arc::new(precheck),
        observer,
        send_budget: setup.send_budget,
        clock: setup.clock,
        holder: "mock".to_owned(),
        requeue: mpsc::unbounded_channel().0,
        failures: FailedReconciles::default(),
        wait_reports: WaitReports::default(),
    })
}

/// Clocks that only a test moves.
#[derive(Clone)]
pub struct ManualClock(Arc<Mutex<Reading>>);

impl Default for ManualClock {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Reading { since_boot: Duration::from_secs(1000), wall: at(0) })))
    }
}

impl ManualClock {
    /// The clocks, as the runner of attempts reads them.
    pub fn clock(&self) -> Clock {
        let clock = self.clone();
        Clock::new(move || *clock.0.lock())
    }

    /// The machine was suspended, and its wall clock has not been corrected.
    pub fn suspended(&self, time: Duration) {
        self.0.lock().since_boot += time;
    }

    /// The wall clock was set.
    pub fn wall_set(&self, forward: Duration, back: Duration) {
        let mut reading = self.0.lock();
        reading.wall = reading.wall + forward - back;
    }
}

/// Claims for the stored object, as its task does once everything is prepared.
pub async fn claim(reconciler: &Reconciler, server: &Server) -> Ended {
    let object = server.object();
    let Step::Call(plan) = reconciler.decider.decide(&object) else { panic!("nothing to claim") };
    let digests = KeyDigests { key: [1; 32].into(), values: [1; 32].into() };
    let source = CredentialSource::Secret { namespace: "team".to_owned(), name: "keys".to_owned() };
    let id = CredentialId { digests, source };
    let key = Key::AccessKey(AccessKey { access: "AK".to_owned(), secret: "SK".to_owned().into(), token: None });
    let turn = reconciler.admission.cluster("team", (&plan).into()).await;
    let admitted = turn.place().await.with(id.clone()).await;
    let credential = Credential { key, id, is_recovered: false };
    let checked = reconciler.precheck.run(&plan, &credential, &admitted).await.unwrap().unwrap();
    let slot = admitted.slot().await.unwrap();
    Box::pin(reconciler.execute(object, &plan, Prepared { credential, admitted, checked, slot })).await
}
