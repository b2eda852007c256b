//! The node's configuration files. Every path in them lies in the node's own directory.

use std::{fs, io, path::Path};

use serde_json::json;

/// Writes containerd's and kubelet's configuration and that of the pods' network.
pub fn write(directory: &Path, pki: &Path, cgroup: &str) -> io::Result<()> {
    fs::create_dir_all(directory.join("network"))?;
    fs::write(directory.join("network/10-pods.conflist"), format!("{:#}\n", network(directory)))?;
    fs::write(directory.join("containerd.toml"), containerd(directory))?;
    // JSON is YAML.
    fs::write(directory.join("kubelet.yaml"), format!("{:#}\n", kubelet(directory, pki, cgroup)))
}

fn network(directory: &Path) -> serde_json::Value {
    json!({
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [{
            "type": "bridge",
            "bridge": "pods0",
            "isGateway": true,
            "ipam": {
                "type": "host-local",
                "dataDir": directory.join("addresses"),
                "ranges": [[{"subnet": "10.88.0.0/16"}]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    })
}

/// The network namespaces of pods are mounted below the state directory, not in the machine's /run/netns.
fn containerd(directory: &Path) -> String {
    let directory = directory.display();
    format!(
        r#"version = 3
root = "{directory}/containerd"
state = "{directory}/containers"

[grpc]
address = "{directory}/containerd.sock"

[plugins."io.containerd.cri.v1.images".pinned_images]
sandbox = "localhost/pause:testbed"

[plugins."io.containerd.cri.v1.runtime"]
restrict_oom_score_adj = true
disable_apparmor = true
netns_mounts_under_state_dir = true

[plugins."io.containerd.cri.v1.runtime".cni]
bin_dirs = ["/usr/lib/cni"]
conf_dir = "{directory}/network"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.cri.v1.runtime".containerd.runtimes.runc.options]
BinaryName = "runc"
SystemdCgroup = false
"#
    )
}

fn kubelet(directory: &Path, pki: &Path, cgroup: &str) -> serde_json::Value {
    json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": false,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "containerRuntimeEndpoint": format!("unix://{}", directory.join("containerd.sock").display()),
        "address": "10.96.0.1",
        "healthzPort": 0,
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": false},
            "x509": {"clientCAFile": pki.join("ca.crt")},
        },
        "authorization": {"mode": "AlwaysAllow"},
        "tlsCertFile": pki.join("kubelet.crt"),
        "tlsPrivateKeyFile": pki.join("kubelet.key"),
        "failSwapOn": false,
        "enforceNodeAllocatable": [],
        "resolvConf": "",
        "localStorageCapacityIsolation": false,
        // Tests may run on a machine whose disk is nearly full; the required space was determined by running them.
        "evictionHard": {
            "memory.available": "50Mi", "nodefs.available": "0%", "imagefs.available": "0%", "nodefs.inodesFree": "0%",
        },
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "maxPods": 200,
        "podLogsDir": directory.join("logs"),
    })
}
