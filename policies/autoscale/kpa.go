package autoscale

import (
	"math"
	"time"

	"taillab/policies"
)

// KPA is Knative's pod autoscaler: the service's total concurrency (or rate), averaged
// over a stable window, divided by the target per replica; in a burst it panics and
// goes by a short window, upwards only. Code: knative/serving pkg/autoscaler/scaling
// (autoscaler.go) and pkg/reconciler/autoscaling/kpa (scaler.go).
//
// Knative's activator, which holds requests back while the replicas have too little
// room for a burst, is the hold stage of the front ends.
type KPA struct {
	Metric      Metric        `yaml:"metric" about:"what the target counts" enum:"concurrency|rate"`
	Target      float64       `yaml:"target" about:"requests (or requests per second) a replica can take" above:"0"`
	Utilization float64       `yaml:"utilization" about:"share of the target to aim at" above:"0" max:"1"`
	Tick        time.Duration `yaml:"tick" about:"time between decisions" above:"0s"`
	Scrape      time.Duration `yaml:"scrape" about:"time between readings of the pods" above:"0s"`
	Stable      time.Duration `yaml:"stable" about:"stable window" min:"6s" max:"1h"`
	PanicWindow float64       `yaml:"panic_window" about:"panic window, as a share of the stable one" above:"0" max:"1"`
	Threshold   float64       `yaml:"panic_threshold" about:"panics when the panic window wants this many times the ready replicas" above:"1"`
	MaxUp       float64       `yaml:"max_up" about:"grows to at most this many times the ready replicas" above:"1"`
	MaxDown     float64       `yaml:"max_down" about:"shrinks to at least the ready replicas over this" above:"1"`
	Burst       float64       `yaml:"burst_capacity" about:"requests that must find room at once, or the hold stage is in the path; 0 = only at zero, -1 = always" min:"-1"`
	Delay       time.Duration `yaml:"down_delay" about:"goes down to the most wanted within it" min:"0s"`
	Activation  int           `yaml:"activation_scale" about:"least count other than 0" min:"1"`
	Grace       time.Duration `yaml:"grace" about:"the last replica stays this long after the hold stage has taken over" min:"0s"`
	Retention   time.Duration `yaml:"retention" about:"the last replica stays at least this long" min:"0s"`
	Weighted    bool          `yaml:"weighted" about:"recent seconds count more"`

	clock    clock
	begun    bool
	panicked bool
	panicAt  time.Duration
	peak     int // most wanted during the panic
	wants    history
	idle     idleness
}

// idleness is the way to zero: inactive after a whole stable window without demand,
// then the hold stage takes over, then the last replica goes.
type idleness struct {
	active bool
	since  time.Duration // of being active or not
}

func newKPA() *KPA {
	return &KPA{
		Metric: Concurrency, Target: 100, Utilization: 0.7, Tick: 2 * time.Second, Scrape: time.Second, Stable: time.Minute,
		PanicWindow: 0.1, Threshold: 2, MaxUp: 1000, MaxDown: 2, Burst: 211, Activation: 1, Grace: 30 * time.Second,
	}
}

// Check implements policies.Checker.
func (k *KPA) Check() []policies.Problem {
	if w := k.panicWindow(); w < bucket {
		return []policies.Problem{{Path: "panic_window", Msg: "panic_window is " + w.String() + " of the stable window: it must be at least 1s"}}
	}
	return nil
}

func (k *KPA) panicWindow() time.Duration { return time.Duration(k.PanicWindow * float64(k.Stable)) }

// Queries implements Reader.
func (k *KPA) Queries() []Query {
	return []Query{{Metric: k.Metric, Scrape: k.Scrape, Sampled: true, Window: k.Stable, Panic: k.panicWindow(), Weighted: k.Weighted}}
}

// FromZero implements Waker.
func (k *KPA) FromZero() bool { return true }

// Desire implements Autoscaler. A call before its time is a request that was held at
// zero, which Knative's activator announces at once.
func (k *KPA) Desire(env *policies.Env, m *Metrics) Decision {
	if d, ok := k.clock.early(env.Now); ok && m.Spec > 0 {
		return d
	}
	k.begin(env.Now, m)
	d := Decision{Count: m.Spec, Hold: k.clock.last.Hold, Next: k.Tick}
	r := m.reading(0)
	if r.Stable.OK && r.Panic.OK {
		var want int
		want, d.Hold = k.scale(env.Now, m, r.Stable.Value, r.Panic.Value)
		d.Count = k.activated(env.Now, want, m, &d.Hold)
	} else if m.Held > 0 {
		d.Count = k.activated(env.Now, 1, m, &d.Hold)
	}
	d.Count = m.clamp(d.Count)
	return k.clock.decide(env.Now, d)
}

// begin starts in panic where there are replicas already: their load is not known yet.
func (k *KPA) begin(now time.Duration, m *Metrics) {
	if k.begun {
		return
	}
	k.begun = true
	k.idle = idleness{active: m.Spec > 0, since: now}
	if n := m.ReadyPods(); n > 1 {
		k.panicked, k.panicAt, k.peak = true, now, n
	}
}

// scale is one round of the autoscaler: the count, and whether bursts need the hold
// stage because the replicas lack room for them.
func (k *KPA) scale(now time.Duration, m *Metrics, stable, panicking float64) (int, bool) {
	target := float64(k.Target * k.Utilization)
	pods := m.ReadyPods()
	ready := math.Max(1, float64(pods))
	most, least := math.Ceil(float64(k.MaxUp*ready)), 0.0
	if m.Reachable {
		least = math.Floor(ready / k.MaxDown)
	}
	raw := math.Ceil(panicking / target)
	ds := k.lifted(min(max(math.Ceil(stable/target), least), most))
	dp := k.lifted(min(max(raw, least), most))
	switch over := raw/ready >= k.Threshold; {
	case over:
		k.panicked, k.panicAt = true, now
	case k.panicked && k.panicAt+k.Stable < now:
		k.panicked, k.peak = false, 0
	}
	want := ds
	if k.panicked {
		k.peak = max(k.peak, ds, dp)
		want = k.peak
	}
	if k.Delay > 0 && m.Reachable {
		k.wants.add(now, want, k.Delay)
		want = k.wants.highest(now, want, k.Delay)
	}
	return want, k.shortOfRoom(float64(pods)*k.Target, panicking)
}

// lifted applies the least count other than 0.
func (k *KPA) lifted(n float64) int {
	if n > 0 {
		n = max(n, float64(k.Activation))
	}
	return int(min(n, 1e9))
}

// shortOfRoom tells whether the excess burst capacity is negative.
func (k *KPA) shortOfRoom(capacity, panicking float64) bool {
	if k.Burst <= 0 {
		return k.Burst < 0
	}
	return math.Floor(capacity-k.Burst-panicking) < 0
}

// activated carries the count through the way to and from zero.
func (k *KPA) activated(now time.Duration, want int, m *Metrics, hold *bool) int {
	if want > 0 || m.Min > 0 || m.Held > 0 {
		if !k.idle.active {
			k.idle = idleness{active: true, since: now}
		}
		return max(want, min(1, m.Max))
	}
	switch {
	case k.idle.active && now-k.idle.since < k.Stable:
		return 1
	case k.idle.active:
		k.idle = idleness{since: now}
		*hold = true
		return 1
	case m.Spec > 0 && now-k.idle.since < max(k.Grace, k.Retention):
		*hold = true
		return 1
	}
	*hold = true
	return 0
}
