package balance

import (
	"time"

	"taillab/policies"
)

// Catalog lists the balancers, in the order in which they are shown. A prototype
// holds the defaults; a missing key keeps them.
func Catalog() policies.Catalog {
	return policies.Catalog{
		policies.Of("random", "a random replica, whatever its load",
			func() Balancer { return &Random{} }).From("independent queues by Poisson splitting"),
		policies.Of("round-robin", "the replicas in turn",
			func() Balancer { return &RoundRobin{Start: "random"} }).From("random start: Envoy documentation"),
		policies.Of("smooth-wrr", "the replicas in turn, in proportion to their weights, smoothly interleaved",
			func() Balancer { return &SmoothWRR{Start: "random", MaxFails: 1} }).From("code: nginx/nginx"),
		policies.Of("static", "fixed shares from rates measured off line",
			func() Balancer { return &Static{Chooser: "smooth-wrr"} }).From("DataFun 2023, a published talk on WeChat's dispatching (plan 1)"),
		policies.Of("least-outstanding", "the replica with the fewest own requests out",
			func() Balancer { return &LeastOutstanding{} }).From("known as least connections or least request"),
		policies.Of("jsq", "the truly shortest queue: an oracle, in the simulator only",
			func() Balancer { return &JSQ{} }).From("Winston 1977"),
		policies.Of("p2c", "the less loaded of two random replicas",
			func() Balancer {
				return &P2C{Choices: 2, Sample: "distinct", Load: "outstanding", ProbeTimeout: probeTimeout}
			}).From("Mitzenmacher 2001; code: twitter/finagle, envoyproxy/envoy, grpc/grpc-go"),
		policies.Of("board", "the least loaded by a copy of all loads that is refreshed periodically",
			func() Balancer {
				return &Board{Every: time.Second, Phase: "common", Mode: "full", Choices: 2}
			}).From("Mitzenmacher 2000; DataFun 2023 (plan 2)"),
		policies.Of("central-queue", "one queue behind all front ends; free slots pull",
			func() Balancer { return &CentralQueue{} }).From("M/M/c and M/M/c/K"),
		policies.Of("jiq", "a replica that has said it is idle, else a fallback",
			func() Balancer {
				return &JIQ{Reporting: "random", Choices: 2, DispatcherSample: "distinct", Fallback: "random",
					FallbackLoad: "outstanding", Pop: "fifo", Withdraw: true}
			}).From("Lu et al. 2011"),
		policies.Of("jiq-amnesia", "join-idle-queue that forgets silent replicas instead of keeping a registry",
			func() Balancer {
				return &JIQAmnesia{Heartbeat: 500 * time.Millisecond, Jitter: 0.1, Report: "both", Membership: "single",
					InsertChoices: 2, AskTimeout: askTimeout, DispatcherSample: "distinct", Pop: "fifo", Withdraw: true,
					Retention: "exp", Cut: 3, FallbackProbe: "live", HeartbeatTo: 1}
			}).From("DataFun 2023, a published talk on WeChat's dispatching; details reconstructed"),
		policies.Of("retry", "sends a failed request once more, to a replica not tried yet, within a budget",
			func() Balancer { return newRetry() }).From("full jitter: the AWS builders' library; budgets: twitter/finagle"),
		policies.Of("hedge", "sends a copy to another replica when no answer has come in time; the first one wins",
			func() Balancer { return newHedge() }).From("Dean and Barroso 2013"),
		policies.Of("outlier", "ejects replicas that fail more than the others, for a time",
			func() Balancer { return newOutlier() }).From("code: grpc/grpc-go; Envoy documentation"),
		policies.Of("panic", "takes all replicas as candidates when too few are available",
			func() Balancer { return newPanic() }).From("Envoy documentation"),
		policies.Of("slow-start", "gives a new replica a growing part of its weight",
			func() Balancer { return newSlowStart() }).From("Envoy documentation"),
	}
}
