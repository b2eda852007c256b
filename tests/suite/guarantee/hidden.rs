//! A CRD that hides parts of status for a while, and status that was lost under it: nothing is called again, hidden
//! fields are not overwritten, and lost ones are reported.

use redistribution_operator::api::crd_json;
use serde_json::{Value, json};
use testbed::{
    ControlPlane, Operator, Options as PlaneOptions, Tools, apply_crd,
    simulator::{Options, Script},
};

use crate::support::world::{SHORT_GRACE, World, reason_of};

const STATUS: &str = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties";

/// The CRD without these fields of `status`.
fn without(fields: &[&str]) -> String {
    let mut crd = crd_json().unwrap();
    let status = crd.pointer_mut(STATUS).unwrap().as_object_mut().unwrap();
    for field in fields {
        assert!(status.remove(*field).is_some(), "status has no {field}");
    }
    crd.to_string()
}

/// One object on a control plane of its own, called once, whose answer was lost; the operator is stopped.
struct Called {
    world: World,
    cluster: String,
}

impl Called {
    async fn new() -> Self {
        let plane = ControlPlane::start(&Tools::new(), PlaneOptions::default()).unwrap();
        // Its supervisor ends it with the process, like the shared one.
        let plane: &'static ControlPlane = Box::leak(Box::new(plane));
        apply_crd(&plane.client().await.unwrap(), &crd_json().unwrap().to_string()).await.unwrap();
        let world = World::on(plane, Options::default()).await;
        let cluster = world.cluster();
        world.cloud.script(&cluster, [Script::lost_reply()]);
        let operator = world.operator_with(&[SHORT_GRACE]).await;
        world.create("asked", &cluster).await;
        world.settled("asked", "OutcomeUnknown").await;
        assert!(operator.terminate().await.unwrap().success());
        Self { world, cluster }
    }

    async fn apply(&self, crd: &str) {
        apply_crd(&self.world.client, crd).await.unwrap();
    }

    async fn label(&self) {
        self.world.patch("asked", json!({"metadata": {"labels": {"touched": "yes"}}})).await;
    }

    async fn version(&self) -> Option<String> {
        self.world.api().get("asked").await.unwrap().metadata.resource_version
    }

    /// The operator reports that the object's status is incomplete, and does not write it.
    async fn is_reported_as_hidden(&self, operator: &Operator) {
        testbed::eventually(crate::support::world::PATIENCE, "the object is reported as hidden", async || {
            let log = operator.output();
            let says = |line: &str| line.contains("\"name\":\"asked\"") && line.contains("CRDOutdated");
            if log.lines().any(says) { Ok(()) } else { Err(log) }
        })
        .await;
    }

    /// A new trigger is called, after the longest grace; the operator has a short one.
    async fn a_new_trigger_is_waited_for(&self) {
        self.world.patch("asked", json!({"spec": {"trigger": "again"}})).await;
    }
}

#[tokio::test]
async fn a_hidden_journal_is_not_overwritten_and_reappears_with_its_crd() {
    for hides in [&["attempt", "conditions"][..], &["attempt", "conditions", "statusCode", "history"]] {
        let called = Called::new().await;
        called.apply(&without(hides)).await;
        let version = called.version().await;
        let operator = called.world.operator_with(&[SHORT_GRACE]).await;
        called.is_reported_as_hidden(&operator).await;
        assert!(operator.terminate().await.unwrap().success());
        assert_eq!(called.version().await, version, "{hides:?}: overwritten");
        called.apply(&crd_json().unwrap().to_string()).await;
        let _again = called.world.operator_with(&[SHORT_GRACE]).await;
        called.world.create("next", &called.world.cluster()).await;
        called.world.settled("next", "Delivered").await;
        let object = called.world.api().get("asked").await.unwrap();
        assert_eq!(reason_of(&object).as_deref(), Some("OutcomeUnknown"), "{hides:?}");
        assert_eq!(called.world.calls(&called.cluster), 1, "{hides:?}: called again");
    }
}

#[tokio::test]
async fn a_journal_lost_by_a_label_under_an_old_crd_is_reported_after_a_dry_run() {
    let called = Called::new().await;
    called.apply(&without(&["attempt", "conditions"])).await;
    called.label().await;
    called.apply(&crd_json().unwrap().to_string()).await;
    let _operator = called.world.operator_with(&[SHORT_GRACE]).await;
    called.world.settled("asked", "JournalInvalid").await;
    assert_eq!(called.world.calls(&called.cluster), 1);
    called.a_new_trigger_is_waited_for().await;
    let object = called.world.api().get("asked").await.unwrap();
    assert_eq!(object.metadata.generation, Some(2));
    assert_eq!(called.world.calls(&called.cluster), 1, "called before the longest grace has passed");
}

#[tokio::test]
async fn a_lost_journal_is_reported_also_where_managed_fields_were_emptied() {
    let called = Called::new().await;
    called.apply(&without(&["attempt", "conditions", "statusCode", "history"])).await;
    called.world.patch("asked", json!({"metadata": {"managedFields": [{}]}})).await;
    called.apply(&crd_json().unwrap().to_string()).await;
    let _operator = called.world.operator_with(&[SHORT_GRACE]).await;
    called.world.settled("asked", "JournalInvalid").await;
    assert_eq!(called.world.calls(&called.cluster), 1);
}

#[tokio::test]
async fn a_restored_object_whose_managed_fields_name_a_status_is_reported() {
    let world = World::new().await;
    let cluster = world.cluster();
    world.create("restored", &cluster).await;
    let names = json!({"f:status": {"f:attempt": {"f:id": {}}, "f:conditions": {}}});
    let entry: Value = json!({
        "manager": "backup", "operation": "Update", "apiVersion": "dws.huaweicloud.com/v1alpha1",
        "fieldsType": "FieldsV1", "fieldsV1": names, "subresource": "status", "time": "2026-11-01T00:00:00Z",
    });
    world.patch("restored", json!({"metadata": {"managedFields": [entry]}})).await;
    let _operator = world.operator_with(&[SHORT_GRACE]).await;
    world.settled("restored", "JournalInvalid").await;
    assert_eq!(world.calls(&cluster), 0);
}
