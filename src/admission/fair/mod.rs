//! Whether a request may leave now, by tokio's fair mutexes and semaphores: whoever waits is handed its turn in the order
//! of arrival, and dropping a wait or what it gave frees everything.

pub mod keys;
pub mod locks;
pub mod places;
pub mod slots;
