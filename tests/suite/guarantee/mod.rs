//! At most one call for each object and generation, and a status that is true, whatever happens.

pub mod crashes;
pub mod deletion;
pub mod delivery;
pub mod election;
pub mod generations;
pub mod hidden;
pub mod holds;
pub mod journal;
pub mod kstatus;
pub mod lists;
pub mod many;
pub mod model;
pub mod outage;
pub mod process;
pub mod pruned;
pub mod refusals;
pub mod signatures;
pub mod storm;
pub mod wire;
