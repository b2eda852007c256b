package main

import (
	"context"
	"fmt"
	"net/http"
	"os"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/uuid"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"bench.invalid/peer/api"
)

// reconciler claims, calls and records. Both writes are updates of the object as it was read, so each of them is refused
// when somebody else was quicker.
type reconciler struct {
	client.Client
	cloud *cloud
}

// Reconcile is called for every object at the start and for every new generation.
func (r *reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	var object api.ClusterRedistribution
	if err := r.Get(ctx, request.NamespacedName, &object); err != nil {
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	attempt := object.Status.Attempt
	if attempt != nil && attempt.Generation == object.Generation {
		if attempt.State == "Claimed" {
			// Claimed by a process that is no more: whether it called cannot be known.
			return ctrl.Result{}, r.record(ctx, &object, "Unknown", 0, "", "OutcomeUnknown")
		}
		return ctrl.Result{}, nil
	}

	if err := r.cloud.turn(ctx); err != nil {
		return ctrl.Result{}, err
	}
	if err := r.claim(ctx, &object); err != nil {
		return ctrl.Result{}, err
	}
	answer, err := r.cloud.redistribute(ctx, object.Spec)
	code, id := answer.code, answer.id
	switch {
	case err != nil:
		return ctrl.Result{}, r.record(ctx, &object, "Unknown", 0, "", "OutcomeUnknown")
	case code == http.StatusTooManyRequests:
		// Nothing was done, so the claim is given back and the queue asks again when the cloud says.
		object.Status.Attempt = nil
		return ctrl.Result{RequeueAfter: answer.retryAfter}, r.Status().Update(ctx, &object)
	case code >= 300:
		return ctrl.Result{}, r.record(ctx, &object, "Answered", code, id, "Rejected")
	}
	log.FromContext(ctx).Info("delivered", "code", code, "requestID", id)
	return ctrl.Result{}, r.record(ctx, &object, "Answered", code, id, "Delivered")
}

func (r *reconciler) claim(ctx context.Context, object *api.ClusterRedistribution) error {
	now := metav1.Now()
	object.Status.ObservedGeneration = object.Generation
	object.Status.StatusCode = nil
	object.Status.Attempt = &api.Attempt{
		ID:          string(uuid.NewUUID()),
		UID:         string(object.UID),
		Generation:  object.Generation,
		State:       "Claimed",
		Holder:      os.Getenv("HOSTNAME"),
		Region:      "lab",
		Endpoint:    r.cloud.url,
		Credentials: "Namespace/dws-redistribution-credentials",
		ClaimedTime: &now,
	}
	set(object, "Delivered", metav1.ConditionUnknown, "RequestInFlight")
	set(object, "Ready", metav1.ConditionFalse, "RequestInFlight")
	set(object, "Reconciling", metav1.ConditionTrue, "RequestInFlight")
	return r.Status().Update(ctx, object)
}

func (r *reconciler) record(
	ctx context.Context, object *api.ClusterRedistribution, state string, code int32, id string, reason string,
) error {
	now := metav1.Now()
	attempt := object.Status.Attempt
	attempt.State, attempt.FinishedTime, attempt.RequestID = state, &now, id
	attempt.Message = fmt.Sprintf("The cloud answered %d", code)
	if code != 0 {
		attempt.StatusCode, object.Status.StatusCode = &code, &code
	}
	ready := metav1.ConditionFalse
	if reason == "Delivered" {
		ready = metav1.ConditionTrue
	} else {
		set(object, "Stalled", metav1.ConditionTrue, reason)
	}
	set(object, "Delivered", ready, reason)
	set(object, "Ready", ready, reason)
	meta.RemoveStatusCondition(&object.Status.Conditions, "Reconciling")
	return r.Status().Update(ctx, object)
}

func set(object *api.ClusterRedistribution, kind string, status metav1.ConditionStatus, reason string) {
	meta.SetStatusCondition(&object.Status.Conditions, metav1.Condition{
		Type:               kind,
		Status:             status,
		ObservedGeneration: object.Generation,
		Reason:             reason,
		Message:            fmt.Sprintf("Calling for cluster %s: %s", object.Spec.ClusterID, reason),
	})
}
