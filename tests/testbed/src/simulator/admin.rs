//! The admin pages, plain http on loopback, for who runs the simulator as a program of its own:
//!
//! | | |
//! | --- | --- |
//! | `GET /ledger` | every request that arrived, as JSON |
//! | `GET /clusters` | the clusters and what they are doing |
//! | `POST /clusters` | `{"project", "cluster", "task_status"}`: adds or changes one |
//! | `POST /keys` | `{"access_key", "secret_key", "security_token"}`: adds or changes one |
//! | `POST /throttle` | `{"limit", "seconds", "retry_after"}`, or `null` for none |
//! | `POST /script?cluster=ID` | what its next call meets, for example `{"act": {"answer": {"status": 503}}}` |
//! | `POST /release?cluster=ID` | lets a call go on that waits for it |

use std::{convert::Infallible, sync::Arc};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::{
    body::{Bytes, Incoming},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpListener;

use super::cloud::{Cloud, TaskState, Throttle};

/// Serves for ever.
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

async fn page(request: Request<Incoming>, cloud: &Cloud) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let cluster = head.uri.query().and_then(|query| query.strip_prefix("cluster=")).unwrap_or_default();
    let done = match (head.method.as_str(), head.uri.path()) {
        ("GET", "/ledger") => serde_json::to_string_pretty(&cloud.entries()),
        ("GET", "/clusters") => serde_json::to_string_pretty(&cloud.clusters()),
        ("POST", "/clusters") => serde_json::from_slice::<ClusterPage>(&body).map(|page| {
            cloud.set_cluster(&page.project, &page.cluster, page.task_status);
            "{}".to_owned()
        }),
        ("POST", "/keys") => serde_json::from_slice::<KeyPage>(&body).map(|page| {
            cloud.add_key(&page.access_key, &page.secret_key, page.security_token.as_deref());
            "{}".to_owned()
        }),
        ("POST", "/throttle") => serde_json::from_slice::<Option<Throttle>>(&body).map(|throttle| {
            cloud.throttle(throttle);
            "{}".to_owned()
        }),
        ("POST", "/script") if !cluster.is_empty() => serde_json::from_slice(&body).map(|script| {
            cloud.script(cluster, [script]);
            "{}".to_owned()
        }),
        ("POST", "/release") if !cluster.is_empty() => {
            cloud.release(cluster);
            Ok("{}".to_owned())
        }
        _ => return answer(StatusCode::NOT_FOUND, "no such page\n".to_owned()),
    };
    match done {
        Ok(text) => answer(StatusCode::OK, text + "\n"),
        Err(error) => answer(StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}

fn answer(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
}
