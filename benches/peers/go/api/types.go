// Package api is the resource as a user of kubebuilder would write it down: the fields of the CRD in crds/ that this
// controller reads or writes.
package api

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion of the resource.
var GroupVersion = schema.GroupVersion{Group: "dws.huaweicloud.com", Version: "v1alpha1"}

// AddToScheme makes the types known to a scheme.
func AddToScheme(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion, &ClusterRedistribution{}, &ClusterRedistributionList{})
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}

// ClusterRedistribution asks for one redistribution.
type ClusterRedistribution struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec   Spec   `json:"spec"`
	Status Status `json:"status,omitempty"`
}

// ClusterRedistributionList is a list of them.
type ClusterRedistributionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`

	Items []ClusterRedistribution `json:"items"`
}

// Spec is the request.
type Spec struct {
	ProjectID    string `json:"projectID"`
	ClusterID    string `json:"clusterID"`
	RedisMode    string `json:"redisMode"`
	ParallelJobs int32  `json:"parallelJobs"`
	Region       string `json:"region,omitempty"`
	Trigger      string `json:"trigger,omitempty"`
}

// Status is what became of it.
type Status struct {
	Conditions         []metav1.Condition `json:"conditions,omitempty"`
	ObservedGeneration int64              `json:"observedGeneration,omitempty"`
	StatusCode         *int32             `json:"statusCode,omitempty"`
	Attempt            *Attempt           `json:"attempt,omitempty"`
}

// Attempt is the claim and, later, the record.
type Attempt struct {
	ID           string       `json:"id"`
	UID          string       `json:"uid"`
	Generation   int64        `json:"generation"`
	State        string       `json:"state"`
	Holder       string       `json:"holder,omitempty"`
	Region       string       `json:"region,omitempty"`
	Endpoint     string       `json:"endpoint,omitempty"`
	Credentials  string       `json:"credentials,omitempty"`
	ClaimedTime  *metav1.Time `json:"claimedTime,omitempty"`
	FinishedTime *metav1.Time `json:"finishedTime,omitempty"`
	StatusCode   *int32       `json:"statusCode,omitempty"`
	RequestID    string       `json:"requestID,omitempty"`
	Message      string       `json:"message,omitempty"`
}
