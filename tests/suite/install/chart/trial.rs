//! The manifest and the values for a trial with the simulated cloud match each other, the chart and a real API server.
//! The tests in real pods check that they work.

use serde_json::{Value, json};

use super::{directory, objects, render};
use crate::support::world::World;

const SIMULATOR: &str = include_str!("../../../../deploy/simulator/simulator.yaml");
const GUIDE: &str = include_str!("../../../../deploy/simulator/README.md");

fn of_kind(objects: &[Value], kind: &str) -> Value {
    objects.iter().find(|object| object["kind"] == kind).unwrap().clone()
}

#[test]
fn the_operator_of_a_trial_calls_the_simulator_by_its_service() {
    let values = directory().join("../simulator/values.yaml");
    let operator = objects(&render(&["--namespace", "dws-try", "--values", values.to_str().unwrap()]));
    let simulator = objects(SIMULATOR);
    let (service, deployment) = (of_kind(&simulator, "Service"), of_kind(&simulator, "Deployment"));
    let metadata = &service["metadata"];
    let host = format!("{}.{}.svc", metadata["name"].as_str().unwrap(), metadata["namespace"].as_str().unwrap());
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    assert!(container["args"].as_array().unwrap().contains(&json!(format!("--name={host}"))), "{container}");
    let pod = of_kind(&operator, "Deployment")["spec"]["template"]["spec"].clone();
    let endpoint = format!("--endpoint=lab=https://{host}:{}", service["spec"]["ports"][0]["port"]);
    assert!(pod["containers"][0]["args"].as_array().unwrap().contains(&json!(endpoint)), "{pod}");
    // The simulator's output directory is the one that the operator mounts and reads.
    let rules = &of_kind(&simulator, "Role")["rules"];
    assert_eq!(rules[1]["resourceNames"][0], pod["volumes"][0]["configMap"]["name"]);
    assert_eq!(rules[2]["resourceNames"][0], "dws-redistribution-credentials");
    for image in ["localhost/redistribution-operator:try", "localhost/dws-simulator:try"] {
        assert!(GUIDE.matches(image).count() == 2, "{image} is built and loaded");
    }
    assert_eq!(container["image"], "localhost/dws-simulator:try");
    let values = std::fs::read_to_string(values).unwrap();
    let values: Value = serde_saphyr::from_str(&values).unwrap();
    assert_eq!(values["image"], json!({"repository": "localhost/redistribution-operator", "tag": "try"}));
}

#[tokio::test]
async fn the_simulators_manifest_is_taken_without_a_warning() {
    let world = World::new().await;
    let mut items = objects(&SIMULATOR.replace("dws-try", &world.namespace));
    items.retain(|object| object["kind"] != "Namespace");
    let list = json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string();
    let arguments = ["apply", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "-f", "-"];
    let output = world.plane.kubectl_with_input(&arguments, &list).unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
