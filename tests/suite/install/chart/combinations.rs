//! Values that people combine: thirty sets, each of one feature or of two related ones. It renders nothing.

/// Features that one `--set` enables.
const FEATURES: [&str; 15] = [
    "serviceMonitor.enabled=true,serviceMonitor.namespace=monitoring,prometheusRule.enabled=true",
    "dashboard.enabled=true,dashboard.namespace=monitoring,dashboard.annotations.folder=DWS",
    "networkPolicy.enabled=true,networkPolicy.extraPorts={5353,8443},networkPolicy.ingress.from[0].podSelector.matchLabels.app=prometheus",
    "podMonitor.enabled=true,metrics.service.enabled=false,prometheusRule.enabled=true",
    "leaderElection.enabled=false,replicaCount=1",
    "hostNetwork=true,metrics.port=9102",
    "watchNamespaces={team-a,team-b},crds.install=false",
    "cloud.region=lab,cloud.endpoints.lab=https://dws.example.com:8443,cloud.proxy=http://proxy.example.com:3128,cloud.caBundle.configMapName=roots",
    "hostUsers=false,serviceAccount.create=false,podAntiAffinityPreset=null",
    "defaultCredentials.existingSecret=own,defaultCredentials.namespaces={*}",
    r"commonLabels.team=a,commonLabels.app\.kubernetes\.io/name=x,podLabels.team=b,commonAnnotations.owner=c",
    "checkCluster=require,observe.enabled=true,guards.requireNotAfter=true,guards.holdReverts=true,log.format=text",
    "extraEnv[0].name=DWS_OPERATOR_HOLDER,extraEnv[0].value=me,extraVolumes[0].name=x,extraVolumeMounts[0].name=x,extraVolumeMounts[0].mountPath=/x",
    "rbac.create=false,admissionPolicy.enabled=false,podDisruptionBudget.maxUnavailable=50%",
    "credentials.allSecrets=true,rbac.aggregateWrite=true,resources.limits=null,livenessProbe.httpGet.path=/livez,livenessProbe.httpGet.port=http",
];

/// The sets, each as flags of Helm.
pub fn combinations() -> Vec<Vec<&'static str>> {
    let next = FEATURES.iter().cycle().skip(1);
    let alone = FEATURES.iter().map(|feature| vec!["--set", *feature]);
    let pairs = FEATURES.iter().zip(next).map(|(one, other)| vec!["--set", *one, "--set", *other]);
    alone.chain(pairs).collect()
}
