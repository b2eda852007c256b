use serde_json::{Value, json};

use super::*;
use crate::{
    mock::{Server, bump},
    resource::{Attempt, AttemptState, Reason},
    sample::{at, attempt, fresh},
};

fn claimed() -> ClusterRedistribution {
    let mut object = fresh(1);
    let attempt = Attempt { endpoint: Some("host".to_owned()), ..attempt("a", 1, AttemptState::Claimed) };
    object.status = Some(status::claimed(object.status.as_ref(), attempt, "calling", at(0)));
    object
}

fn delivered() -> Record {
    Record {
        state: AttemptState::Answered,
        reason: Reason::Delivered,
        message: "accepted".to_owned(),
        status_code: Some(200),
        error_code: None,
        request_id: None,
    }
}

/// A server whose object is changed by somebody just before the first write arrives.
fn changed_meanwhile(change: impl Fn(&mut Value) + Send + 'static) -> Server {
    let mut first = true;
    Server::new(&claimed(), move |method, object| {
        if method == "PUT" && std::mem::take(&mut first) {
            change(object);
            bump(object);
        }
        None
    })
}

#[tokio::test]
async fn an_outcome_is_recorded_also_on_an_object_whose_spec_stopped_to_fit_during_the_call() {
    let server = changed_meanwhile(|object| object["spec"]["redisMode"] = json!("fast"));
    let recorded = Ledger::new(server.client()).record(claimed(), "a", &delivered()).await;
    let object = server.value();
    assert_eq!(recorded, Recorded::Written);
    assert_eq!(object["status"]["attempt"]["state"], "Answered");
    assert_eq!((&object["status"]["statusCode"], &object["spec"]["redisMode"]), (&json!(200), &json!("fast")));
    assert_eq!(object["status"]["conditions"][1]["reason"], "Delivered");
}

#[tokio::test]
async fn where_not_even_the_status_fits_the_attempt_alone_is_recorded() {
    let server = changed_meanwhile(|object| {
        object["spec"]["redisMode"] = json!("fast");
        object["status"]["observedGeneration"] = json!("one");
    });
    let before = server.value();
    let recorded = Ledger::new(server.client()).record(claimed(), "a", &delivered()).await;
    let object = server.value();
    assert_eq!(recorded, Recorded::Written);
    assert_eq!(
        (&object["status"]["attempt"]["state"], &object["status"]["attempt"]["endpoint"]),
        (&json!("Answered"), &json!("host"))
    );
    assert_eq!(
        (&object["status"]["observedGeneration"], &object["status"]["conditions"]),
        (&json!("one"), &before["status"]["conditions"])
    );
}
