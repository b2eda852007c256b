//! redistribution-operator: delivers a GaussDB(DWS) redistribution at most once per object uid and spec generation.

pub mod resource;
