package api

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// DeepCopyInto copies all of it.
func (in *Attempt) DeepCopyInto(out *Attempt) {
	*out = *in
	if in.ClaimedTime != nil {
		out.ClaimedTime = in.ClaimedTime.DeepCopy()
	}
	if in.FinishedTime != nil {
		out.FinishedTime = in.FinishedTime.DeepCopy()
	}
	if in.StatusCode != nil {
		code := *in.StatusCode
		out.StatusCode = &code
	}
}

// DeepCopyInto copies all of it.
func (in *Status) DeepCopyInto(out *Status) {
	*out = *in
	if in.Conditions != nil {
		out.Conditions = make([]metav1.Condition, len(in.Conditions))
		for index := range in.Conditions {
			in.Conditions[index].DeepCopyInto(&out.Conditions[index])
		}
	}
	if in.StatusCode != nil {
		code := *in.StatusCode
		out.StatusCode = &code
	}
	if in.Attempt != nil {
		out.Attempt = new(Attempt)
		in.Attempt.DeepCopyInto(out.Attempt)
	}
}

// DeepCopyInto copies all of it.
func (in *ClusterRedistribution) DeepCopyInto(out *ClusterRedistribution) {
	*out = *in
	in.ObjectMeta.DeepCopyInto(&out.ObjectMeta)
	in.Status.DeepCopyInto(&out.Status)
}

// DeepCopyObject copies all of it.
func (in *ClusterRedistribution) DeepCopyObject() runtime.Object {
	out := new(ClusterRedistribution)
	in.DeepCopyInto(out)
	return out
}

// DeepCopyObject copies all of it.
func (in *ClusterRedistributionList) DeepCopyObject() runtime.Object {
	out := new(ClusterRedistributionList)
	*out = *in
	in.ListMeta.DeepCopyInto(&out.ListMeta)
	if in.Items != nil {
		out.Items = make([]ClusterRedistribution, len(in.Items))
		for index := range in.Items {
			in.Items[index].DeepCopyInto(&out.Items[index])
		}
	}
	return out
}
