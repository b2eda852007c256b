//! The guarantee, without I/O: what is asked, what is proven, what is next, and what status says after that.

pub mod annotations;
pub mod attempts;
pub mod conditions;
pub mod decide;
pub mod dry_run;
pub mod history;
pub mod journal;
pub mod lost;
pub mod record;
pub mod regions;
pub mod transitions;
