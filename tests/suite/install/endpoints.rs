//! The connections to the API server and to the cloud: proxies, certificates, names, addresses, large answers. Their
//! settings are read as kubectl or the cloud's own tools read them, and no login in them is ever shown.

mod addresses;
mod kubeconfig;
mod network;
mod sizes;
