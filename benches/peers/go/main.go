// A controller for ClusterRedistribution as a team would write it with the current controller-runtime: a typed API, the
// manager's cached client, a reconciler with a claim before the call and a record after it. It stands beside the operator
// in benches/side_by_side and is no product: it has no hold, no pace and no look at a late outcome.
package main

import (
	"flag"
	"os"

	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/predicate"

	"bench.invalid/peer/api"
)

func main() {
	workers := flag.Int("workers", 0, "concurrent reconciles; 0 for the framework's default")
	callsPerSecond := flag.Float64("calls-per-second", 0, "pace of the calls; 0 for none")
	flag.Parse()
	ctrl.SetLogger(zap.New())
	if err := run(*workers, *callsPerSecond); err != nil {
		ctrl.Log.Error(err, "the manager ended")
		os.Exit(1)
	}
}

func run(workers int, callsPerSecond float64) error {
	scheme := runtime.NewScheme()
	if err := api.AddToScheme(scheme); err != nil {
		return err
	}
	config, err := ctrl.GetConfig()
	if err != nil {
		return err
	}
	manager, err := ctrl.NewManager(config, ctrl.Options{
		Scheme: scheme,
		Cache: cache.Options{
			DefaultNamespaces: map[string]cache.Config{os.Getenv("WATCH_NAMESPACE"): {}},
			// Half of an object's bytes, which nobody here reads.
			DefaultTransform: cache.TransformStripManagedFields(),
		},
		Metrics:                metricsserver.Options{BindAddress: "127.0.0.1:0"},
		HealthProbeBindAddress: "127.0.0.1:0",
	})
	if err != nil {
		return err
	}
	cloud, err := newCloud(callsPerSecond)
	if err != nil {
		return err
	}
	err = ctrl.NewControllerManagedBy(manager).
		For(&api.ClusterRedistribution{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		WithOptions(controller.Options{MaxConcurrentReconciles: workers}).
		Complete(&reconciler{Client: manager.GetClient(), cloud: cloud})
	if err != nil {
		return err
	}
	if err := manager.AddHealthzCheck("healthz", healthz.Ping); err != nil {
		return err
	}
	if err := manager.AddReadyzCheck("readyz", healthz.Ping); err != nil {
		return err
	}
	return manager.Start(ctrl.SetupSignalHandler())
}
