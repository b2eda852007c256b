//! The guarantee, without I/O: what the object requests, what its journal proves, what this process knows of attempts, the
//! next step, and the status after it.

pub mod annotations;
pub mod attempts;
pub mod conditions;
pub mod decide;
pub mod hold;
pub mod journal;
pub mod lost;
pub mod record;
pub mod regions;
pub mod transitions;
