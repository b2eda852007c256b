use std::time::Duration;

use futures::FutureExt;
use tokio::net::TcpListener;

use super::*;
use crate::{
    protocol::regions::Regions,
    testing::{
        mock::{ManualClock, Server, claim, context},
        sample::fresh,
    },
};

/// The result of a call with `happens` between its claim and its request. Nothing may reach the endpoint.
async fn between_claim_and_send(happens: impl Fn(&ManualClock) + Send + 'static) -> (Delivered, Attempt) {
    let hands = ManualClock::default();
    let moved = hands.clone();
    let server = Server::new(&fresh(1), move |method, _| {
        if method == "PUT" {
            happens(&moved);
        }
        None
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let lab = ("lab".to_owned(), format!("http://{}", listener.local_addr().unwrap()).parse().unwrap());
    let mut context = Arc::into_inner(context(&server, true)).unwrap();
    context.rules.regions = Regions::new(Some("lab"), &[], &[lab]).unwrap();
    (context.clock, context.timing.send_budget) = (hands.clock(), Duration::from_secs(2));
    let delivered = claim(&Arc::new(context), &server).await;
    assert!(listener.accept().now_or_never().is_none(), "somebody connected");
    (delivered, server.object().status.unwrap().attempt.unwrap())
}

#[tokio::test]
async fn a_machine_suspended_between_claim_and_send_sends_nothing() {
    let suspended: [fn(&ManualClock); 2] = [
        |hands| hands.suspended(Duration::from_secs(17)),
        |hands| hands.wall_set(Duration::from_secs(17), Duration::ZERO),
    ];
    for suspended in suspended {
        let (delivered, attempt) = between_claim_and_send(suspended).await;
        assert!(matches!(delivered, Delivered::NotSent), "{delivered:?}");
        assert_eq!((attempt.state.as_str(), attempt.closed), ("NotSent", Some(false)));
        let message = attempt.message.unwrap();
        assert!(message.contains("--send-budget") && message.contains("the machine stood still"), "{message}");
    }
}
