//! The command lines of the control plane. They match those of a production cluster in everything that an operator can
//! notice (authentication, RBAC, admission, priority and fairness) and are reduced where only time is at stake (fsync,
//! TLS to etcd).

use std::{ffi::OsString, net::SocketAddr, path::Path};

/// etcd on sockets of its own directory: no port that another process could take.
pub fn etcd(directory: &Path) -> Vec<OsString> {
    let client = format!("unix://{}", directory.join("etcd.sock").display());
    let peer = format!("unix://{}", directory.join("peer.sock").display());
    arguments(&[
        ("--data-dir", &directory.join("etcd").display().to_string()),
        ("--listen-client-urls", &client),
        ("--advertise-client-urls", &client),
        ("--listen-peer-urls", &peer),
        ("--initial-advertise-peer-urls", &peer),
        ("--initial-cluster", &format!("default={peer}")),
        ("--unsafe-no-fsync", "true"),
        ("--log-level", "warn"),
    ])
}

/// kube-apiserver on a port that the owner has reserved; sharing keeps the reservation while kube-apiserver runs.
pub fn kube_apiserver(directory: &Path, address: SocketAddr, further: &[String]) -> Vec<OsString> {
    let file = |name: &str| directory.join("pki").join(name).display().to_string();
    let mut all = arguments(&[
        ("--etcd-servers", &format!("unix://{}", directory.join("etcd.sock").display())),
        ("--bind-address", &address.ip().to_string()),
        ("--advertise-address", "127.0.0.1"),
        ("--secure-port", &address.port().to_string()),
        ("--permit-port-sharing", "true"),
        ("--endpoint-reconciler-type", "none"),
        ("--service-cluster-ip-range", "10.96.0.0/24"),
        ("--authorization-mode", "Node,RBAC"),
        ("--client-ca-file", &file("ca.crt")),
        ("--tls-cert-file", &file("apiserver.crt")),
        ("--tls-private-key-file", &file("apiserver.key")),
        ("--kubelet-client-certificate", &file("admin.crt")),
        ("--kubelet-client-key", &file("admin.key")),
        ("--service-account-issuer", "https://kubernetes.default.svc"),
        ("--service-account-key-file", &file("service-accounts.pub")),
        ("--service-account-signing-key-file", &file("service-accounts.key")),
    ]);
    all.extend(further.iter().map(OsString::from));
    all
}

/// kube-controller-manager, without a serving port.
pub fn kube_controller_manager(directory: &Path, kubeconfig: &Path) -> Vec<OsString> {
    let file = |name: &str| directory.join("pki").join(name).display().to_string();
    arguments(&[
        ("--kubeconfig", &kubeconfig.display().to_string()),
        ("--root-ca-file", &file("ca.crt")),
        ("--service-account-private-key-file", &file("service-accounts.key")),
        ("--use-service-account-credentials", "true"),
        ("--leader-elect", "false"),
        ("--secure-port", "0"),
    ])
}

fn arguments(pairs: &[(&str, &str)]) -> Vec<OsString> {
    pairs.iter().map(|(flag, value)| format!("{flag}={value}").into()).collect()
}
