package autoscale

import (
	"time"

	"taillab/policies"
)

// Autoscaler decides how many replicas a service should have. Desire is called at the
// start, then after each Decision.Next, and once at once when the first request is
// held while the count is 0; a policy that acts on a period of its own answers such a
// call with its last count and the time that is left.
type Autoscaler interface {
	Desire(env *policies.Env, m *Metrics) Decision
}

// Decision is the answer to Desire. The host clamps Count to the bounds of the fleet.
type Decision struct {
	Count int           // replicas wanted in all, those still starting included
	Hold  bool          // requests pass the hold stage of the front ends
	Next  time.Duration // delay until the next call, > 0
}

// Reader is implemented by a policy that reads the pods' metrics: one Query per
// Metrics.Readings. The answer must not change during a run.
type Reader interface{ Queries() []Query }

// Oracle is implemented by a policy that looks at requests still to come. It says at
// what; only a simulator can show it.
type Oracle interface{ NeedsTruth() string }

// Waker is implemented by a policy that brings a service back from zero replicas.
type Waker interface{ FromZero() bool }

// Metric names what is read of a pod.
type Metric string

// The metrics. A pod's server tells them from the moment it is Ready.
const (
	Concurrency Metric = "concurrency" // requests inside, waiting or served, on average
	Queue       Metric = "queue"       // requests waiting inside, on average
	Rate        Metric = "rate"        // requests accepted per second
	Utilization Metric = "utilization" // slots that work, of the slots there are
	Duty        Metric = "duty"        // share of the time in which anything runs, as nvidia-smi tells it
)

// Resource tells whether a metric is the use of something that a pod asked for: then
// Sample.Request holds how much, and the metric cannot exceed it.
func (m Metric) Resource() bool { return m == Utilization || m == Duty }

// Query says what the host has to gather. Every Scrape it reads the mean of the metric
// since the scrape before; of more than three pods a Sampled query reads a part only,
// see SampleSize. With a Window it also keeps the total over the pods, those in the
// hold stages included, in buckets of a second.
type Query struct {
	Metric   Metric
	Scrape   time.Duration // > 0
	Sampled  bool
	Window   time.Duration // of Reading.Stable; 0 = no totals
	Panic    time.Duration // of Reading.Panic
	Weighted bool          // recent buckets count more
}

// Reading is what the host gathered for one Query.
type Reading struct {
	Samples []Sample // the newest of each pod, by ascending pod
	Stable  Average  // of the total, over Query.Window
	Panic   Average  // of the total, over Query.Panic
}

// Average is a mean over a window; OK is false while there are no data.
type Average struct {
	Value float64
	OK    bool
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

	Phases // number of phases
)

// String returns the phase's name.
func (p Phase) String() string {
	names := [Phases]string{"pending", "pulling", "loading", "warming", "ready", "draining", "gone"}
	if p >= Phases {
		return "unknown"
	}
	return names[p]
}

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

// Before orders pods by how little is lost with them, as a ReplicaSet does: those that
// are not ready first, then the one that became ready last.
func (p *Pod) Before(q *Pod) bool {
	if p.Phase != q.Phase {
		return p.Phase < q.Phase
	}
	if p.LastTransition != q.LastTransition {
		return p.LastTransition > q.LastTransition
	}
	return p.ID > q.ID
}

// Sample is one pod's reading of one metric, in thousandths of its unit: the mean over
// the Window before At.
type Sample struct {
	Pod     int
	At      time.Duration
	Window  time.Duration
	Value   int64
	Request int64 // of a Resource: how much the pod asked for, in the same unit
}

// ClassBacklog is the work of one class of requests. Arrivals, GPUTime and Done are
// since the last call, Waiting is now. GPUTime is of the requests done: the time in a
// slot over the slots of the replica.
type ClassBacklog struct {
	Class    uint32
	Waiting  int
	Arrivals int64
	GPUTime  time.Duration
	Done     int64
}

// The external values that every host knows of a service.
const (
	OpenRequests    = "open"    // not answered yet: held, waiting or served
	WaitingRequests = "waiting" // not in a slot yet
)

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
	Min, Max  int // bounds of the fleet; Min 0 permits zero
	Pods      []Pod
	Readings  []Reading // by query of the policy, see Reader
	Backlog   []ClassBacklog
	External  []Value
	Held      int // requests in the hold stages of all front ends
	Reachable bool

	Lead  time.Duration // from asking for a replica to Ready, on average
	Ahead []float64     // for an Oracle: work of each second from now, in replicas
}

// ReadyPods counts the pods that take requests.
func (m *Metrics) ReadyPods() int {
	n := 0
	for i := range m.Pods {
		if m.Pods[i].Ready && !m.Pods[i].Deleted {
			n++
		}
	}
	return n
}

// external returns the value called name; false when it is not there.
func (m *Metrics) external(name string) (float64, bool) {
	for _, v := range m.External {
		if v.Name == name && v.OK {
			return float64(v.Milli) / 1000, true
		}
	}
	return 0, false
}

// reading returns the i-th reading, empty when the host has none.
func (m *Metrics) reading(i int) Reading {
	if i >= len(m.Readings) {
		return Reading{}
	}
	return m.Readings[i]
}

// clamp bounds a count by the fleet.
func (m *Metrics) clamp(n int) int { return min(max(n, m.Min), m.Max) }
