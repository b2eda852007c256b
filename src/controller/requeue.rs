//! Has objects reconciled soon, which no event of the watch would do.

use tokio::sync::mpsc;

use crate::api::{ObjectKey, ObjectName};

/// Has objects reconciled. See the module.
#[derive(Clone, Debug)]
pub struct Requeue(mpsc::UnboundedSender<ObjectName>);

impl Requeue {
    /// The controller receives from the other end of this channel.
    pub const fn new(sender: mpsc::UnboundedSender<ObjectName>) -> Self {
        Self(sender)
    }

    /// Has this object reconciled soon.
    pub fn soon(&self, object: &ObjectKey) {
        // The receiver is gone once the controller stops.
        let _ = self.0.send(object.object_name());
    }
}
