use super::*;
use crate::{
    mock::Server,
    resource::Row,
    sample::{at, fresh},
    status::held,
};

/// What becomes of an object with that status whose spec cannot be read.
async fn reported(status: Value) -> (bool, bool) {
    let server = Server::new(&fresh(2), |_, _| None);
    server.change(|object| {
        object["spec"]["redisMode"] = json!("fast");
        object["status"] = status;
    });
    let before = server.value();
    let metadata = fresh(2).metadata;
    let written = Ledger::new(server.client()).report_undecodable(&metadata, "redisMode", at(9)).await.unwrap();
    (written, server.value() == before)
}

#[tokio::test]
async fn every_trace_of_a_call_forbids_to_write_over_it() {
    for reason in Reason::ALL {
        let status = json!(held(None, 2, *reason, "why", at(0)));
        let trace = matches!(reason.row(), Row::InFlight | Row::Delivered | Row::Refused | Row::Unknown);
        assert_eq!(reported(status).await, (!trace, trace), "{reason}");
    }
    for trace in [
        json!({"attempt": {"generation": 2}}),
        json!({"history": [{"generation": 1}, {"generation": 2}]}),
        json!({"history": [{"generation": 3}]}),
        json!({"history": [{}]}),
        json!({"conditions": [{"type": "Ready", "reason": 7}]}),
        json!({"observedGeneration": 2, "statusCode": 200}),
    ] {
        assert_eq!(reported(trace.clone()).await, (false, true), "{trace}");
    }
    for none in [json!({}), json!({"history": [{"generation": 1}], "attempt": {"generation": 1}})] {
        assert_eq!(reported(none.clone()).await, (true, false), "{none}");
    }
}
