package autoscale

import (
	"time"

	"taillab/policies"
)

// Catalog lists the autoscalers, in the order in which they are shown. A prototype
// holds the defaults; a missing key keeps them.
func Catalog() policies.Catalog {
	return policies.Catalog{
		policies.Of("fixed", "the same count all the time",
			func() Autoscaler { return &Fixed{} }).From("static provisioning"),
		policies.Of("hpa", "Kubernetes' horizontal pod autoscaler: so many replicas that each is at its target",
			func() Autoscaler { return newHPA() }).From("code: kubernetes/kubernetes pkg/controller/podautoscaler"),
		policies.Of("kpa", "Knative's autoscaler: windows over the concurrency, panic in a burst, scale to zero",
			func() Autoscaler { return newKPA() }).From("code: knative/serving pkg/autoscaler"),
		policies.Of("keda", "so many replicas per request that is open, and none without any",
			func() Autoscaler { return newKEDA() }).From("code: kedacore/keda"),
		policies.Of("ray-serve", "in proportion to the ongoing requests, after a patient delay",
			func() Autoscaler { return newRayServe() }).From("code: ray-project/ray python/ray/serve"),
		policies.Of("backlog", "what works the backlog off within a time, beside the arrivals",
			func() Autoscaler {
				return &Backlog{Drain: time.Minute, Rho: 0.8, HalfLife: time.Minute, DownWindow: 5 * time.Minute, Period: 5 * time.Second}
			}).From("defined here: Little's law over backlog and arrivals"),
		policies.Of("foresight", "knows the arrivals one load time ahead: an oracle, in the simulator only",
			func() Autoscaler {
				return &Foresight{Rho: 0.8, Smooth: 10 * time.Second, Period: time.Second}
			}).From("defined here: the bound of what a forecast can give"),
	}
}
