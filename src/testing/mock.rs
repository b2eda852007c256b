//! For unit tests: a context with an API server of one object, which compares and swaps, and fails as a test asks.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures::FutureExt;
use kube::client::Body;
use serde_json::{Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    admission::{Admission, Candidate, Core, ObjectName, Refusal, RequestedAt},
    api::ClusterRedistribution,
    cloud::{
        self,
        auth::{AccessKey, Key},
    },
    controller::{
        attempt::{Delivered, deliver},
        context::{Context, Timing},
        prepare::{Ready, object_name},
    },
    credentials::{Credentials, tokens::TokenCache},
    precheck::{Mode, Precheck},
    protocol::{
        attempts::AttemptTracker,
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

/// An API server with one object.
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
        *self.secret.lock().unwrap() = code;
    }

    /// Number of reads of a Secret.
    pub fn secret_reads(&self) -> usize {
        self.secret_reads.load(Ordering::SeqCst)
    }

    /// A client of this server.
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
        let mut object = self.object.lock().unwrap();
        change(&mut object);
        bump(&mut object);
    }

    /// The stored object as JSON.
    pub fn value(&self) -> Value {
        self.object.lock().unwrap().clone()
    }

    /// The stored object.
    pub fn object(&self) -> ClusterRedistribution {
        serde_json::from_value(self.value()).unwrap()
    }

    async fn answer(&self, request: http::Request<Body>) -> http::Response<Body> {
        let method = request.method().as_str().to_owned();
        if !request.uri().path().contains("/clusterredistributions/") {
            self.secret_reads.fetch_add(usize::from(request.uri().path().contains("/secrets/")), Ordering::SeqCst);
            let code = *self.secret.lock().unwrap();
            return reply(code, &failure(code));
        }
        let bytes = request.into_body().collect_bytes().await.unwrap();
        let mut object = self.object.lock().unwrap();
        let fault = (self.script.lock().unwrap())(&method, &mut object);
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

/// A context with that API server. Nothing listens at its endpoint, that of the region `lab`.
pub fn context(server: &Server, leads: bool) -> Arc<Context> {
    let client = server.client();
    let lab = ("lab".to_owned(), "http://127.0.0.1:9".parse().unwrap());
    let cloud = cloud::Client::new(&cloud::ClientSettings {
        ca_bundle: None,
        proxy: None,
        connect_timeout: Duration::from_secs(1),
        request_timeout: Duration::from_secs(2),
    });
    let grace = Duration::from_secs(75);
    let synced = Synced::new(&[]);
    synced.complete(0);
    Arc::new(Context {
        store: StatusStore::new(client.clone()),
        admission: Admission::new(Core::new(8, 0.0)).0,
        cloud: cloud.unwrap(),
        credentials: Credentials::new(client.clone(), None, &[], Duration::from_secs(2)),
        tokens: TokenCache::new(Duration::from_secs(2), Duration::from_millis(300)),
        rules: Rules {
            require_not_after: false,
            hold_reverts: false,
            observe: false,
            grace,
            regions: Regions::new(Some("lab"), &[], &[lab]).unwrap(),
        },
        precheck: Precheck { mode: Mode::Off, every: Duration::from_secs(60) },
        observe: None,
        timing: Timing { send_budget: Duration::from_millis(300), grace },
        clock: Clock::of_this_host(),
        attempts: Arc::new(Mutex::new(AttemptTracker::default())),
        events: Events::start(client, "mock", Metrics::default()),
        metrics: Metrics::default(),
        holder: "mock".to_owned(),
        tasks: TaskTracker::new(),
        closing: CancellationToken::new(),
        leadership: watch::channel(leads).1,
        synced,
        failures: Mutex::new(HashMap::new()),
        throttled_log: Mutex::default(),
        ended: mpsc::unbounded_channel().0,
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
    /// The clocks, as the context reads them.
    pub fn clock(&self) -> Clock {
        let clock = self.clone();
        Clock::new(move || *clock.0.lock().unwrap())
    }

    /// The machine was suspended, and its wall clock has not been corrected.
    pub fn suspended(&self, time: Duration) {
        self.0.lock().unwrap().since_boot += time;
    }

    /// The wall clock was set.
    pub fn wall_set(&self, forward: Duration, back: Duration) {
        let mut reading = self.0.lock().unwrap();
        reading.wall = reading.wall + forward - back;
    }
}

/// Claims for the stored object, as a reconciliation does once everything is prepared.
pub async fn claim(context: &Arc<Context>, server: &Server) -> Delivered {
    let object = server.object();
    let Step::Call(plan) = context.decide(&object) else { panic!("nothing to claim") };
    let source = context.credentials.choose(None, "team");
    let key = Key::AccessKey(AccessKey { access: "AK".to_owned(), secret: "SK".to_owned().into(), token: None });
    let identity = context.credentials.identity(&key, &plan.endpoint);
    let request = candidate(&object_name(&object).1, &object.spec.cluster_id, 0);
    let admitted = context.admission.enter(Candidate { key: identity, ..request }).await.unwrap();
    let (ready, (known, _)) = (Ready { key, source, admitted, note: None, baseline: None }, oneshot::channel());
    Box::pin(deliver(Arc::clone(context), object, plan, ready, known)).await
}

/// A candidate that requests a call for that cluster with that key.
pub fn candidate(name: &str, cluster: &str, key: u8) -> Candidate {
    Candidate {
        object: ("team".to_owned(), name.to_owned()),
        cluster: cluster.to_owned(),
        key: [key; 32].into(),
        requested_at: RequestedAt::default(),
        has_other_report: false,
    }
}

/// An admission with one slot, and the objects that it wakes: it has woken `sample`, from the queue of key 1, and `next` is
/// behind it. No other object is woken until `sample` enters or leaves.
pub async fn sample_is_woken() -> (Arc<Admission>, mpsc::UnboundedReceiver<ObjectName>) {
    let (admission, mut woken) = Admission::new(Core::new(1, 0.0));
    let permit = admission.enter(candidate("calls", "another", 1)).await.unwrap();
    assert!(admission.enter(candidate("sample", "first", 1)).now_or_never().is_none(), "it waits, and is cancelled");
    assert!(matches!(
        admission.enter(candidate("next", "second", 1)).now_or_never(),
        Some(Err(Refusal::Queued { .. }))
    ));
    drop(permit);
    assert_eq!(woken.try_recv().unwrap().1, "sample");
    assert!(woken.try_recv().is_err());
    (admission, woken)
}
