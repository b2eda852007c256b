use super::*;
use crate::testing::sample::fresh;

#[test]
fn an_object_is_queued_by_creation_and_by_now_after_an_edit_or_precheck() {
    let created = Timestamp::UNIX_EPOCH;
    let now = created + Duration::from_secs(100);
    let second = |generation, was_prechecked| {
        let mut object = fresh(generation);
        object.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(created));
        requested_at(&object, was_prechecked, None, now).second
    };
    assert_eq!((second(1, false), second(2, false), second(1, true)), (0, 100, 100));
}
