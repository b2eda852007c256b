//! Counts requests to the API server, as client-go does. Does not change them.

use std::task::{self, Poll};

use futures::{FutureExt, future::BoxFuture};
use http::{Request, Response, StatusCode};
use tower::{Layer, Service};

use super::Metrics;

/// Wraps a client to count its requests.
#[derive(Clone)]
pub struct CountRequests {
    /// The metrics that count them.
    pub metrics: Metrics,
    /// Host and port of the API server.
    pub host: String,
}

impl<S> Layer<S> for CountRequests {
    type Service = Counted<S>;

    fn layer(&self, inner: S) -> Counted<S> {
        Counted { inner, count: self.clone() }
    }
}

/// A client whose requests are counted.
#[derive(Clone)]
pub struct Counted<S> {
    inner: S,
    count: CountRequests,
}

impl<S, A, B> Service<Request<A>> for Counted<S>
where
    S: Service<Request<A>, Response = Response<B>>,
    S::Future: Send + 'static,
    S::Response: Send,
    S::Error: Send,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = BoxFuture<'static, Result<S::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut task::Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<A>) -> Self::Future {
        let (CountRequests { metrics, host }, method) = (self.count.clone(), request.method().to_string());
        let answer = self.inner.call(request);
        async move {
            let answer = answer.await;
            let status = answer.as_ref().map(Response::status).ok();
            metrics.api_request(status.as_ref().map_or("<error>", StatusCode::as_str), &method, &host);
            answer
        }
        .boxed()
    }
}
