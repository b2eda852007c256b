//! Injects faults into the stream of a watch: it ends early, freezes, or loses one event. One event is one line.

use std::{sync::Arc, time::Duration};

use http_body_util::{BodyExt, StreamBody};
use hyper::body::{Bytes, Frame};
use tokio::sync::mpsc;

use super::{
    Shared,
    kubernetes::{Body, BoxError},
    plan::Fault,
};

/// How long a frozen watch delivers nothing: longer than the grace of a plan's operator.
const FROZEN: Duration = Duration::from_secs(8);

/// The same stream with this fault.
pub fn disturb(body: Body, fault: Fault, shared: Arc<Shared>) -> Body {
    let (lines, received) = mpsc::channel::<Result<Frame<Bytes>, BoxError>>(64);
    let stop = shared.stop.clone();
    tokio::spawn(stop.run_until_cancelled_owned(async move { copy(body, fault, &shared, &lines).await }));
    let stream = futures::stream::unfold(received, |mut received| async {
        let frame = received.recv().await?;
        Some((frame, received))
    });
    StreamBody::new(stream).boxed_unsync()
}

async fn copy(mut body: Body, fault: Fault, shared: &Shared, lines: &mpsc::Sender<Result<Frame<Bytes>, BoxError>>) {
    let mut buffer = Vec::new();
    let mut events = 0;
    while let Some(Ok(frame)) = body.frame().await {
        let Ok(data) = frame.into_data() else { continue };
        buffer.extend_from_slice(&data);
        while let Some(end) = buffer.iter().position(|&byte| byte == b'\n') {
            let line: Vec<u8> = buffer.drain(..=end).collect();
            let is_event = !line.windows(10).any(|window| window == b"\"BOOKMARK\"");
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
