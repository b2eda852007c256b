//! The admin pages, plain http on loopback, for users who run the simulator as a program of its own:
//!
//! | | |
//! | --- | --- |
//! | `GET /ledger`, `/reads`, `/logins` | every call, read or login that arrived, as JSON |
//! | `GET /clusters` | the clusters and their tasks |
//! | `POST /clusters` | `{"project", "cluster", "task_status"}`: adds or changes one |

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

use super::{cloud::Cloud, task::TaskState};

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

async fn page(request: Request<Incoming>, cloud: &Cloud) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let shown = match (head.method.as_str(), head.uri.path()) {
        ("GET", "/ledger") => serde_json::to_string_pretty(&cloud.entries()),
        ("GET", "/reads") => serde_json::to_string_pretty(&cloud.all_reads()),
        ("GET", "/logins") => serde_json::to_string_pretty(&cloud.login_entries()),
        ("GET", "/clusters") => serde_json::to_string_pretty(&cloud.clusters()),
        ("POST", "/clusters") => serde_json::from_slice(&body).map(|ClusterPage { project, cluster, task_status }| {
            cloud.set_cluster(&project, &cluster, task_status);
            "{}".to_owned()
        }),
        _ => return answer(StatusCode::NOT_FOUND, "no such page\n".to_owned()),
    };
    match shown {
        Ok(text) => answer(StatusCode::OK, text + "\n"),
        Err(error) => answer(StatusCode::BAD_REQUEST, format!("{error}\n")),
    }
}

fn answer(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
}
