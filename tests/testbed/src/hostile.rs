//! What can a tenant who only creates objects, or somebody who reaches the admin port, do to a healthy tenant? Real API
//! server, the chart's rights, the operator as a process. Tenant A attacks, tenant B is measured.
//!
//! | module | question |
//! | --- | --- |
//! | [`attacks`] | which attacks exist, what does each do, and what must hold? |
//! | [`stage`], [`victim`], [`tenant`] | what do all attacks share, how is the operator started, what may a tenant do? |
//! | [`measure`] | how soon is B called, how soon does `/livez` answer, how much memory was used? |
//! | [`memory`], [`calls`], [`keys`], [`names`], [`admin_port`] | how is each attack carried out? |
//! | [`figure`] | did the bars hold? |

pub mod admin_port;
pub mod attacks;
pub mod calls;
pub mod figure;
pub mod keys;
pub mod measure;
pub mod memory;
pub mod names;
pub mod stage;
pub mod tenant;
pub mod victim;
