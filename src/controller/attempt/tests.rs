use std::time::Duration;

use futures::FutureExt;
use tokio::net::TcpListener;

use super::*;
use crate::testing::{
    mock::{ManualClock, Server, Setup, claim, reconciler},
    sample::fresh,
};

/// The result of a call with `happens` between its claim and its request. Nothing may reach the endpoint.
async fn between_claim_and_send(happens: impl Fn(&ManualClock) + Send + 'static) -> (Ended, Attempt) {
    let hands = ManualClock::default();
    let moved = hands.clone();
    let server = Server::new(&fresh(1), move |method, _| {
        if method == "PUT" {
            happens(&moved);
        }
        None
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let setup = Setup {
        endpoint: format!("http://{}", listener.local_addr().unwrap()).parse().unwrap(),
        clock: hands.clock(),
        send_budget: Duration::from_secs(2),
        ..Setup::default()
    };
    let end = claim(&reconciler(&server, setup), &server).await;
    assert!(listener.accept().now_or_never().is_none(), "somebody connected");
    (end, *server.object().status.unwrap().attempt.unwrap())
}

#[tokio::test]
async fn a_machine_suspended_between_claim_and_send_sends_nothing() {
    let suspended: [fn(&ManualClock); 2] = [
        |hands| hands.suspended(Duration::from_secs(17)),
        |hands| hands.wall_set(Duration::from_secs(17), Duration::ZERO),
    ];
    for suspended in suspended {
        let (end, attempt) = between_claim_and_send(suspended).await;
        assert!(matches!(end, Ended::Done), "{end:?}");
        assert_eq!((attempt.state.as_str(), attempt.closed), ("NotSent", Some(false)));
        let message = attempt.message.unwrap();
        assert!(message.contains("--send-budget") && message.contains("the machine stood still"), "{message}");
    }
}
