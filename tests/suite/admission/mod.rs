//! The order of calls, their pace, and what they cost.

pub mod costs;
pub mod fairness;
pub mod loops;
pub mod queue;
pub mod throttled;
