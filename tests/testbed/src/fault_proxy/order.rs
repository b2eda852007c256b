//! A proxy's orders for the operator behind it: the proxy can hold a request, but only the owner of the process can end
//! or stop it.

use tokio::sync::oneshot;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OrderKind {
    /// SIGKILL; the order is done once the process is gone.
    Kill,
    /// SIGSTOP, and SIGCONT when another operator has had more than the grace; the order is done after that.
    Stop,
    /// SIGSTOP; the order is done at once, and SIGCONT follows by itself when another operator has had more than the
    /// grace.
    StopAndReturn,
}

/// An order, with the receiver of its completion.
#[derive(Debug)]
pub struct Order {
    pub kind: OrderKind,
    /// Notified when it is done.
    pub done: oneshot::Sender<()>,
}
