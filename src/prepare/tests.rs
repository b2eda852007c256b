use super::*;
use crate::{
    annotations::{NOT_AFTER, SUSPEND},
    mock::{Server, context, entrant},
    sample::fresh,
};

fn seen(object: ClusterRedistribution, is_untouched: bool) -> Guarded {
    Guarded { seen: Some(Instant::now()), object: Ok(object), is_untouched }
}

fn annotated(name: &str, value: &str) -> ClusterRedistribution {
    let mut object = fresh(1);
    object.metadata.annotations = Some([(name.to_owned(), value.to_owned())].into());
    object
}

#[tokio::test]
async fn a_secret_is_read_ahead_for_a_lone_new_object_that_is_about_to_be_called_and_for_nothing_else() {
    let server = Server::new(&fresh(1), |_, _| None);
    let leader = context(&server, true);
    let would = |context: &Context, object: &Guarded| to_read_ahead(context, object).is_some();
    assert!(would(&leader, &seen(fresh(1), true)));
    assert!(!would(&leader, &seen(fresh(1), false)), "it may have been called");
    assert!(!would(&leader, &seen(annotated(SUSPEND, "true"), true)), "it is not called now");
    assert!(!would(&leader, &seen(annotated(NOT_AFTER, "2020-01-01T00:00:00Z"), true)), "its time has passed");
    assert!(!would(&context(&server, false), &seen(fresh(1), true)), "somebody else leads");

    let overtaken = context(&server, true);
    overtaken.memory().overtaken(&fresh(1));
    assert!(!would(&overtaken, &seen(fresh(1), true)), "the view is known to be late");

    let away = context(&server, true);
    away.gate.unreachable(&away.rules.regions.resolve(None).unwrap().host);
    assert!(!would(&away, &seen(fresh(1), true)), "the endpoint is not there");

    let pass = leader.gate.enter(entrant("another", "other", 1)).await.unwrap();
    assert!(!would(&leader, &seen(fresh(1), true)), "of a crowd");
    drop(pass);
    assert!(would(&leader, &seen(fresh(1), true)));
    leader.closing.cancel();
    assert!(!would(&leader, &seen(fresh(1), true)), "nothing new is begun");
}

#[test]
fn an_object_stands_in_line_by_its_creation_and_by_now_after_an_edit_or_a_look() {
    let created = Timestamp::UNIX_EPOCH;
    let now = created + Duration::from_secs(100);
    let second = |generation, was_looked_at| {
        let mut object = fresh(generation);
        object.metadata.creation_timestamp = Some(k8s_openapi::apimachinery::pkg::apis::meta::v1::Time(created));
        wished(&object, was_looked_at, None, now).second
    };
    assert_eq!((second(1, false), second(2, false), second(1, true)), (0, 100, 100));
}
