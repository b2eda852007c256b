//! The admin pages, plain http on loopback, for users who run the simulator as a program of its own:
//!
//! | | |
//! | --- | --- |
//! | `GET /ledger`, `/reads`, `/logins` | every call, read or login that arrived, as JSON |
//! | `GET /clusters` | the clusters and their tasks |
//! | `POST /clusters` | `{"project", "cluster", "task_status"}`: adds or changes one |
//! | `POST /run?cluster=ID` | fields of its run, for example `{"tables_done": 95, "status": "PAUSE"}` |
//! | `POST /detail?cluster=ID` | fields of its detail, for example `{"status": "ACTIVE", "no_task": "empty"}` |
//! | `POST /lag?cluster=ID` | `{"reads": 3}` or `"never"`: how long it shows its state from before a call |
//! | `POST /tables-per-read?cluster=ID` | how many tables each read moves |
//! | `POST /no-run?cluster=ID` | `"null"`, `"not_found"` or `"last_run"`: the details without a redistribution |
//! | `POST /keys` | `{"access_key", "secret_key", "security_token"}`: adds or changes one |
//! | `POST /users` | `{"domain", "user", "password"}`: adds or changes one |
//! | `POST /revoke` | `"user"`: ends the tokens of one user |
//! | `POST /throttle` | `{"limit", "seconds", "retry_after"}`, or `null` for none |
//! | `POST /deny?read=KIND` | `"gateway"`, `"service"` or `"policy"` refuses these reads; `null` accepts them again |
//! | `POST /script?cluster=ID` | the script of its next call, for example `{"act": {"answer": {"status": 503}}}` |
//! | `POST /release?cluster=ID` | releases a held call |
//!
//! `/script` and `/release` with `&read=KIND` are for reads of that kind: `cluster` or `redistribution`.

use std::{convert::Infallible, sync::Arc};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use tokio::net::TcpListener;

use super::{
    address::{self, Read},
    cloud::Cloud,
    cluster::merge_into,
    task::TaskState,
};

/// Serves without end.
pub async fn serve(listener: TcpListener, cloud: Arc<Cloud>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let cloud = Arc::clone(&cloud);
        tokio::spawn(async move {
            let service = service_fn(move |request| {
                let cloud = Arc::clone(&cloud);
                async move { Ok::<_, Infallible>(page(request, &cloud).await) }
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
        });
    }
}

#[derive(Deserialize)]
struct ClusterPage {
    project: String,
    cluster: String,
    #[serde(default = "waiting")]
    task_status: TaskState,
}

fn waiting() -> TaskState {
    TaskState::WaitingRedistribution
}

#[derive(Deserialize)]
struct KeyPage {
    access_key: String,
    secret_key: String,
    security_token: Option<String>,
}

#[derive(Deserialize)]
struct UserPage {
    domain: String,
    user: String,
    password: String,
}

async fn page(request: Request<Incoming>, cloud: &Cloud) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let target = head.uri.to_string();
    let cluster = address::parameter(&target, "cluster").unwrap_or_default();
    let read = match address::parameter(&target, "read").map(|read| serde_json::from_value(Value::from(read))) {
        None => None,
        Some(Ok(read)) => Some(read),
        Some(Err(error)) => return answer(StatusCode::BAD_REQUEST, format!("{error}\n")),
    };
    let done = match (head.method.as_str(), head.uri.path()) {
        ("GET", page) => show(page, cloud),
        ("POST", page) if cluster.is_empty() => change(page, read, &body, cloud),
        ("POST", page) => tell_cluster(page, cluster, read, &body, cloud),
        _ => None,
    };
    match done {
        Some(Ok(text)) => answer(StatusCode::OK, text + "\n"),
        Some(Err(error)) => answer(StatusCode::BAD_REQUEST, format!("{error}\n")),
        None => answer(StatusCode::NOT_FOUND, "no such page\n".to_owned()),
    }
}

/// A page's text; nothing if there is no such page.
type Page = Option<serde_json::Result<String>>;

fn show(page: &str, cloud: &Cloud) -> Page {
    Some(match page {
        "/ledger" => serde_json::to_string_pretty(&cloud.entries()),
        "/reads" => serde_json::to_string_pretty(&cloud.all_reads()),
        "/logins" => serde_json::to_string_pretty(&cloud.login_entries()),
        "/clusters" => serde_json::to_string_pretty(&cloud.clusters()),
        _ => return None,
    })
}

fn change(page: &str, read: Option<Read>, body: &[u8], cloud: &Cloud) -> Page {
    Some(match (page, read) {
        ("/clusters", _) => {
            taken(body, |page: ClusterPage| cloud.set_cluster(&page.project, &page.cluster, page.task_status))
        }
        ("/keys", _) => taken(body, |page: KeyPage| {
            cloud.add_key(&page.access_key, &page.secret_key, page.security_token.as_deref());
        }),
        ("/users", _) => taken(body, |page: UserPage| cloud.add_user(&page.domain, &page.user, &page.password)),
        ("/revoke", _) => taken(body, |user: String| cloud.revoke_tokens(&user)),
        ("/throttle", _) => taken(body, |throttle| cloud.throttle(throttle)),
        ("/deny", Some(read)) => taken(body, |denial| cloud.deny(read, denial)),
        _ => return None,
    })
}

fn tell_cluster(page: &str, cluster: &str, read: Option<Read>, body: &[u8], cloud: &Cloud) -> Page {
    Some(match (page, read) {
        ("/run", _) => fields(body, |fields, laid| {
            cloud.run(cluster, |run| *laid = lay(run, fields));
        }),
        ("/detail", _) => fields(body, |fields, laid| cloud.detail(cluster, |detail| *laid = lay(detail, fields))),
        ("/lag", _) => taken(body, |lag| cloud.lag(cluster, lag)),
        ("/tables-per-read", _) => taken(body, |tables| cloud.tables_per_read(cluster, tables)),
        ("/no-run", _) => taken(body, |no_run| cloud.no_run(cluster, no_run)),
        ("/script", None) => taken(body, |script| cloud.script(cluster, [script])),
        ("/script", Some(read)) => taken(body, |script| cloud.script_reads(cluster, read, [script])),
        ("/release", None) => taken(b"null", |(): ()| cloud.release(cluster)),
        ("/release", Some(read)) => taken(b"null", |(): ()| cloud.release_read(cluster, read)),
        _ => return None,
    })
}

fn taken<T: DeserializeOwned>(body: &[u8], act: impl FnOnce(T)) -> serde_json::Result<String> {
    serde_json::from_slice(body).map(|value| {
        act(value);
        "{}".to_owned()
    })
}

/// Merges the fields of the body into a part of a cluster, if it exists.
fn fields(body: &[u8], act: impl FnOnce(&Value, &mut serde_json::Result<String>)) -> serde_json::Result<String> {
    serde_json::from_slice(body).and_then(|fields| {
        let mut laid = Err(serde::de::Error::custom("it has none"));
        act(&fields, &mut laid);
        laid
    })
}

/// Merges fields into a value, which stays unchanged if they do not fit.
fn lay<T: Serialize + DeserializeOwned>(under: &mut T, fields: &Value) -> serde_json::Result<String> {
    let mut value = serde_json::to_value(&*under)?;
    merge_into(&mut value, fields);
    *under = serde_json::from_value(value)?;
    Ok("{}".to_owned())
}

fn answer(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
}
