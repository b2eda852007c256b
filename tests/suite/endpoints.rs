//! The ways to the API server and to the cloud: proxies, certificates, names, addresses, large answers. What is needed to get
//! there is taken as kubectl or the cloud's own tools take it, and no login of it is ever shown.

mod addresses;
mod kubeconfig;
mod network;
mod sizes;
