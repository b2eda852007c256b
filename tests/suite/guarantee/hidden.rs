//! A CRD that hides parts of status for a while, and status that was lost under it: nothing is called again, hidden
//! fields are not overwritten, and lost ones are reported.

use serde_json::{Value, json};
use testbed::{Operator, eventually, simulator::Script};

use crate::support::{
    crd,
    world::{PATIENCE, SHORT_GRACE, World, reason_of},
};

/// One object on a control plane of its own, called once, whose answer was lost; the operator is stopped.
struct Called {
    world: World,
    cluster: String,
}

impl Called {
    async fn new() -> Self {
        let world = crd::world(&crd::current()).await;
        let cluster = world.cluster();
        world.cloud.script(&cluster, [Script::lost_reply()]);
        let operator = world.operator_with(&[SHORT_GRACE]).await;
        world.create("asked", &cluster).await;
        world.settled("asked", "OutcomeUnknown").await;
        assert!(operator.terminate().await.unwrap().success());
        Self { world, cluster }
    }

    async fn version(&self) -> Option<String> {
        self.world.api().get("asked").await.unwrap().metadata.resource_version
    }

    /// The operator reports that the object's status is incomplete, and does not write it.
    async fn is_reported_as_hidden(&self, operator: &Operator) {
        eventually(PATIENCE, "the object is reported as hidden", async || {
            let log = operator.output();
            let says = |line: &str| line.contains("\"name\":\"asked\"") && line.contains("CRDOutdated");
            if log.lines().any(says) { Ok(()) } else { Err(log) }
        })
        .await;
    }
}

#[tokio::test]
async fn a_hidden_journal_is_not_overwritten_and_reappears_with_its_crd() {
    for hides in [&["attempt", "conditions"][..], &["attempt", "conditions", "statusCode", "history"]] {
        let called = Called::new().await;
        crd::replace(&called.world, &crd::without(hides)).await;
        let version = called.version().await;
        let operator = called.world.operator_with(&[SHORT_GRACE]).await;
        called.is_reported_as_hidden(&operator).await;
        assert!(operator.terminate().await.unwrap().success());
        assert_eq!(called.version().await, version, "{hides:?}: overwritten");
        crd::replace(&called.world, &crd::current()).await;
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
    crd::replace(&called.world, &crd::without(&["attempt", "conditions"])).await;
    called.world.patch("asked", json!({"metadata": {"labels": {"touched": "yes"}}})).await;
    crd::replace(&called.world, &crd::current()).await;
    let _operator = called.world.operator_with(&[SHORT_GRACE]).await;
    called.world.settled("asked", "JournalInvalid").await;
    assert_eq!(called.world.calls(&called.cluster), 1);
    // A new trigger is called after the longest grace; the operator has a short one.
    called.world.patch("asked", json!({"spec": {"trigger": "again"}})).await;
    let object = called.world.api().get("asked").await.unwrap();
    assert_eq!(object.metadata.generation, Some(2));
    assert_eq!(called.world.calls(&called.cluster), 1, "called before the longest grace has passed");
}

#[tokio::test]
async fn a_lost_journal_is_reported_also_where_managed_fields_were_emptied() {
    let called = Called::new().await;
    crd::replace(&called.world, &crd::without(&["attempt", "conditions", "statusCode", "history"])).await;
    called.world.patch("asked", json!({"metadata": {"managedFields": [{}]}})).await;
    crd::replace(&called.world, &crd::current()).await;
    let _operator = called.world.operator_with(&[SHORT_GRACE]).await;
    called.world.settled("asked", "JournalInvalid").await;
    assert_eq!(called.world.calls(&called.cluster), 1);
}

#[tokio::test]
async fn a_restored_object_whose_managed_fields_name_a_status_is_reported() {
    let world = World::new().await;
    let cluster = world.create_for("restored", None).await;
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
