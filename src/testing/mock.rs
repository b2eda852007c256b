//! For unit tests: a context around an API server of one object, which compares and swaps, and says what a test wants it
//! to say.

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

/// What the API server does with a request instead of what it should.
pub enum Fault {
    /// Carries it out, and answers with this code all the same.
    AppliedButError(u16),
    /// Answers with this code and carries nothing out.
    Rejected(u16),
    /// Somebody on the way answers with this code, and the API server never hears of it.
    NotForwarded(u16),
}

type Script = dyn FnMut(&str, &mut Value) -> Option<Fault> + Send;

/// An API server that holds one object.
#[derive(Clone)]
pub struct Server {
    object: Arc<Mutex<Value>>,
    script: Arc<Mutex<Box<Script>>>,
    secret: Arc<Mutex<u16>>,
    secret_reads: Arc<AtomicUsize>,
}

impl Server {
    /// Holds that object. `script` is asked at each request of that method and may change the object before it.
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

    /// Answers so when it is asked for a Secret; 404 at first.
    pub fn secret_answers(&self, code: u16) {
        *self.secret.lock().unwrap() = code;
    }

    /// How often it was asked for one.
    pub fn secret_reads(&self) -> usize {
        self.secret_reads.load(Ordering::SeqCst)
    }

    /// A client of it.
    pub fn client(&self) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: http::Request<Body>| {
            let server = server.clone();
            async move { Ok::<_, std::io::Error>(server.answer(request).await) }
        });
        kube::Client::new(service, "team")
    }

    /// Somebody changes the object.
    pub fn change(&self, change: impl FnOnce(&mut Value)) {
        let mut object = self.object.lock().unwrap();
        change(&mut object);
        bump(&mut object);
    }

    /// What is in its store.
    pub fn value(&self) -> Value {
        self.object.lock().unwrap().clone()
    }

    /// The same, read.
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
        let odd = (self.script.lock().unwrap())(&method, &mut object);
        match odd {
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
        match odd {
            Some(Fault::AppliedButError(code)) => reply(code, &failure(code)),
            _ => reply(200, &object),
        }
    }
}

/// Another write has happened.
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

/// A context whose API server is that one. Nothing listens at its endpoint of the region `lab`.
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

/// Clocks that stand still until a test moves them.
#[derive(Clone)]
pub struct Hands(Arc<Mutex<Reading>>);

impl Default for Hands {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Reading { since_boot: Duration::from_secs(1000), wall: at(0) })))
    }
}

impl Hands {
    /// The clocks.
    pub fn clock(&self) -> Clock {
        let hands = self.clone();
        Clock::new(move || *hands.0.lock().unwrap())
    }

    /// The machine was suspended, and its wall clock has not been corrected.
    pub fn suspended(&self, time: Duration) {
        self.0.lock().unwrap().since_boot += time;
    }

    /// Somebody set the wall clock.
    pub fn wall_set(&self, forward: Duration, back: Duration) {
        let mut reading = self.0.lock().unwrap();
        reading.wall = reading.wall + forward - back;
    }
}

/// Claims for the object as it lies there, as a reconciliation does after it has prepared everything.
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

/// Who wants to call that cluster with that key.
pub fn candidate(name: &str, cluster: &str, key: u8) -> Candidate {
    Candidate {
        object: ("team".to_owned(), name.to_owned()),
        cluster: cluster.to_owned(),
        key: [key; 32].into(),
        requested_at: RequestedAt::default(),
        shows: false,
    }
}

/// A admission of one place, and who is woken: `sample` was, from the line of key 1, and `next` stands behind it. Unless it
/// comes or leaves, nobody else is woken.
pub async fn sample_is_woken() -> (Arc<Admission>, mpsc::UnboundedReceiver<ObjectName>) {
    let (admission, mut called) = Admission::new(Core::new(1, 0.0));
    let pass = admission.enter(candidate("calls", "another", 1)).await.unwrap();
    assert!(admission.enter(candidate("sample", "first", 1)).now_or_never().is_none(), "it waits here, and goes");
    assert!(matches!(
        admission.enter(candidate("next", "second", 1)).now_or_never(),
        Some(Err(Refusal::Queued { .. }))
    ));
    drop(pass);
    assert_eq!(called.try_recv().unwrap().1, "sample");
    assert!(called.try_recv().is_err());
    (admission, called)
}
