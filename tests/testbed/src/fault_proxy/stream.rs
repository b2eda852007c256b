//! Injects faults into the stream of a watch: it ends early, freezes, or loses one event. One event is one line. The
//! events of a streamed list are not counted.

use std::{sync::Arc, time::Duration};

use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{
    Shared,
    kubernetes::{Body, BoxError},
    plan::{Fault, Kind},
};

/// How long a frozen watch delivers nothing: longer than the grace of a plan's operator.
const FROZEN: Duration = Duration::from_secs(8);

/// In the bookmark after a streamed list.
const END_OF_LIST: &str = "k8s.io/initial-events-end";

/// This list as a stream, which then ends.
pub fn streamed(list: &str) -> String {
    let list: Value = serde_json::from_str(list).unwrap_or_default();
    let metadata =
        json!({"resourceVersion": list["metadata"]["resourceVersion"], "annotations": {END_OF_LIST: "true"}});
    let kind = list["kind"].as_str().unwrap_or_default().trim_end_matches("List");
    let bookmark = json!({"apiVersion": list["apiVersion"], "kind": kind, "metadata": metadata});
    // The type comes first, as from an API server.
    let event = |kind: &str, object: &Value| format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n");
    let objects = list["items"].as_array().into_iter().flatten().map(|object| event("ADDED", object));
    objects.chain([event("BOOKMARK", &bookmark)]).collect()
}

/// The same stream with this fault.
pub fn disturb(body: Body, kind: Kind, fault: Fault, shared: Arc<Shared>) -> Body {
    let (lines, received) = mpsc::channel::<Result<Frame<Bytes>, BoxError>>(64);
    let stop = shared.stop.clone();
    tokio::spawn(stop.run_until_cancelled_owned(async move { copy(body, (kind, fault), &shared, &lines).await }));
    let stream = futures::stream::unfold(received, |mut received| async {
        let frame = received.recv().await?;
        Some((frame, received))
    });
    StreamBody::new(stream).boxed_unsync()
}

async fn copy(
    mut body: Body,
    (kind, fault): (Kind, Fault),
    shared: &Shared,
    lines: &mpsc::Sender<Result<Frame<Bytes>, BoxError>>,
) {
    let mut buffer = Vec::new();
    let (mut is_listed, mut events) = (kind != Kind::Stream, 0);
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        buffer.extend_from_slice(&data);
        while let Some(end) = buffer.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            let has = |text: &str| line.windows(text.len()).any(|window| window == text.as_bytes());
            let is_event = is_listed && !has("\"BOOKMARK\"");
            let ends_list = !is_listed && has(END_OF_LIST);
            if ends_list && fault == Fault::Torn {
                shared.record.trace(format_args!("{} the list is torn", shared.name));
                return;
            }
            is_listed |= ends_list;
            events += usize::from(is_event);
            if is_event && fault.swallows() == Some(events) {
                shared.record.trace(format_args!("{} event {events} is swallowed", shared.name));
                continue;
            }
            if lines.send(Ok(Frame::data(line.into()))).await.is_err() {
                return;
            }
            if events == 1 && is_event {
                match fault {
                    Fault::CloseWatch => return,
                    Fault::Freeze => {
                        shared.record.trace(format_args!("{} watch stands still", shared.name));
                        tokio::time::sleep(FROZEN).await;
                    }
                    Fault::BlackHole => {
                        shared.record.trace(format_args!("{} watch is a black hole", shared.name));
                        lines.closed().await;
                        return;
                    }
                    _ => {}
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use kube::api::{DynamicObject, WatchEvent};

    use super::*;

    #[test]
    fn a_list_becomes_its_objects_and_the_bookmark_after_them() {
        let object = json!({"apiVersion": "g/v1", "kind": "Thing", "metadata": {"name": "one"}});
        let list =
            json!({"apiVersion": "g/v1", "kind": "ThingList", "metadata": {"resourceVersion": "7"}, "items": [object]});
        let stream = streamed(&list.to_string());
        let events: Vec<_> = stream.lines().map(serde_json::from_str::<WatchEvent<DynamicObject>>).collect();
        let [Ok(WatchEvent::Added(object)), Ok(WatchEvent::Bookmark(end))] = &events[..] else { panic!("{events:?}") };
        assert_eq!((object.metadata.name.as_deref(), end.types.kind.as_str()), (Some("one"), "Thing"));
        assert_eq!(end.metadata.resource_version, "7");
        assert!(end.metadata.annotations.contains_key(END_OF_LIST));
    }
}
