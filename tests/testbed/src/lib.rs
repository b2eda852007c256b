//! A real control plane, a simulated cloud, the operator as a process.
