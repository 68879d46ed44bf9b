package autoscale

import (
	"time"

	"taillab/policies"
)

// Autoscaler decides how many replicas a service should have. Desire is called at the
// start, then after each Decision.Next, and once at once when the first request is
// held while the count is 0.
type Autoscaler interface {
	Desire(env *policies.Env, m *Metrics) Decision
}

// Decision is the answer to Desire.
type Decision struct {
	Count int           // replicas wanted in all, those still starting included
	Hold  bool          // requests pass the hold stage of the front ends
	Next  time.Duration // delay until the next call, > 0
}

// Phase is where a pod is in its life.
type Phase uint8

// The phases, in order.
const (
	Pending  Phase = iota // waits for a node
	Pulling               // its image is pulled
	Loading               // its model is loaded
	Warming               // it warms up
	Ready                 // it takes requests
	Draining              // it finishes what it has
	Gone
)

// Pod is one replica as the control plane knows it. Times are since the run began.
type Pod struct {
	ID             int
	Phase          Phase
	Ready          bool
	EverReady      bool
	Start          time.Duration // −1 before it has started
	LastTransition time.Duration // of Ready
	Deleted        bool
	Failed         bool
}

// Sample is one pod's reading of one metric, in thousandths of its unit.
type Sample struct {
	Pod     int
	At      time.Duration
	Value   int64
	Request int64 // what the pod asked for: the base of a utilisation; 0 = none
}

// ClassBacklog is the work of one class of requests. Arrivals, GPUTime and Done are
// since the last call, Waiting is now.
type ClassBacklog struct {
	Class    uint32
	Waiting  int
	Arrivals int64
	GPUTime  time.Duration
	Done     int64
}

// Value is one external metric, in thousandths of its unit. OK is false where it
// could not be read.
type Value struct {
	Name  string
	Milli int64
	OK    bool
}

// Metrics is what an autoscaler is shown, lent for one call.
type Metrics struct {
	Spec      int // replicas asked for at present
	Pods      []Pod
	Samples   []Sample // of the metric that the policy named, see Reader
	Panic     []Sample // the same over the short window, where the policy has one
	Backlog   []ClassBacklog
	External  []Value
	Held      int // requests in the hold stages of all front ends
	Reachable bool
}
