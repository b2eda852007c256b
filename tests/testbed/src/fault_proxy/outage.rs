//! An API server that is away: while an outage lasts, open connections are cut and new ones are closed at once.

use std::sync::Arc;

use tokio::sync::watch;

/// On or off, as its owner sets it.
#[derive(Clone, Debug)]
pub struct Outage(Arc<watch::Sender<bool>>);

impl Default for Outage {
    fn default() -> Self {
        Self(Arc::new(watch::channel(false).0))
    }
}

impl Outage {
    /// Begins or ends it.
    pub fn set(&self, on: bool) {
        self.0.send_replace(on);
    }

    /// Whether it lasts.
    pub fn is_on(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits until it begins.
    pub async fn begins(&self) {
        let mut changes = self.0.subscribe();
        if changes.wait_for(|on| *on).await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
