package autoscale

import (
	"fmt"
	"time"

	"taillab/policies"
)

// HPA is the horizontal pod autoscaler of Kubernetes, autoscaling/v2: the ratio of the
// pods' metric to its target times the pods that are ready, with a tolerance,
// stabilisation windows and limits to the rate of change. Code:
// kubernetes/kubernetes pkg/controller/podautoscaler (replica_calculator.go,
// horizontal.go).
//
// A metric that is a share of what the pod has cannot exceed 100 %, so the ratio cannot
// exceed 1/target: at 80 % it grows by at most a quarter per period, however long the
// queues are.
type HPA struct {
	Metric  Metric   `yaml:"metric" about:"what is read of a pod" enum:"concurrency|queue|rate|utilization|duty"`
	Target  float64  `yaml:"target" about:"mean per pod to aim at: requests, requests per second, or a share" above:"0"`
	Metrics []Target `yaml:"metrics" about:"further metrics; the largest count wins"`

	Period         time.Duration `yaml:"period" about:"time between decisions" above:"0s"`
	Scrape         time.Duration `yaml:"scrape" about:"time between readings of the pods, and what one averages over" above:"0s"`
	ToleranceUp    float64       `yaml:"tolerance_up" about:"no step up while the ratio is at most 1 + this" min:"0"`
	ToleranceDown  float64       `yaml:"tolerance_down" about:"no step down while the ratio is at least 1 − this" min:"0"`
	CPUInit        time.Duration `yaml:"cpu_init" about:"shares only: after its start a pod is not read until it has been ready for a whole reading" min:"0s"`
	ReadinessDelay time.Duration `yaml:"readiness_delay" about:"shares only: a pod that is not ready counts as starting if it never was for longer than this" min:"0s"`

	Up     Rule `yaml:"up" about:"limits of growth: window, select, policies"`
	Down   Rule `yaml:"down" about:"limits of shrinking: window, select, policies"`
	Legacy bool `yaml:"legacy" about:"the rules before autoscaling/v2: down to the most wanted within down.window, up to max(2 × count, 4)"`

	clock   clock
	begun   bool
	recs    history
	added   history // events: replicas added, removed
	removed history
}

// Target is one metric and what to aim at.
type Target struct {
	Metric Metric  `yaml:"metric" about:"what is read of a pod" enum:"concurrency|queue|rate|utilization|duty"`
	Target float64 `yaml:"target" about:"mean per pod to aim at" above:"0"`
}

// Rule limits changes in one direction.
type Rule struct {
	Window   time.Duration `yaml:"window" about:"stabilisation: up to the least, down to the most wanted within it" min:"0s"`
	Select   string        `yaml:"select" about:"which limit holds, or that nothing changes" enum:"max|min|disabled"`
	Policies []Limit       `yaml:"policies" about:"limits"`
}

// Limit is a change allowed within a period: so many pods, or percent of the count.
type Limit struct {
	Type   string        `yaml:"type" about:"pods, or percent of the count at the start of the period" enum:"pods|percent"`
	Value  int           `yaml:"value" about:"pods, or percent" min:"1"`
	Period time.Duration `yaml:"period" about:"of the change" above:"0s" max:"30m"`
}

// Values of parameters.
const (
	selectMax      = "max"
	selectMin      = "min"
	selectDisabled = "disabled"
	limitPods      = "pods"
	limitPercent   = "percent"
)

// newHPA holds the defaults of kube-controller-manager and of autoscaling/v2. The
// scrape is metrics-server's.
func newHPA() *HPA {
	const step = 15 * time.Second
	return &HPA{
		Metric: Utilization, Target: 0.8, Period: step, Scrape: step, ToleranceUp: 0.1, ToleranceDown: 0.1,
		CPUInit: 5 * time.Minute, ReadinessDelay: 30 * time.Second,
		Up:   Rule{Select: selectMax, Policies: []Limit{{limitPods, 4, step}, {limitPercent, 100, step}}},
		Down: Rule{Window: 5 * time.Minute, Select: selectMax, Policies: []Limit{{limitPercent, 100, step}}},
	}
}

// Check implements policies.Checker.
func (h *HPA) Check() []policies.Problem {
	var out []policies.Problem
	for i, t := range h.targets() {
		path := ""
		if i > 0 {
			path = fmt.Sprintf("metrics[%d].", i-1)
		}
		switch {
		case t.Metric == "":
			out = append(out, policies.Problem{Path: path + "metric", Msg: path + "metric is missing", Hint: "such as {metric: concurrency, target: 8}"})
		case !(t.Target > 0):
			out = append(out, policies.Problem{Path: path + "target", Msg: path + "target is missing", Hint: "such as {metric: concurrency, target: 8}"})
		case t.Metric.Resource() && t.Target > 1:
			out = append(out, policies.Problem{Path: path + "target",
				Msg:  path + "target is above 100%: the metric " + string(t.Metric) + " is a share, which cannot reach it",
				Hint: "write target: 80%"})
		}
	}
	for _, t := range []struct {
		name string
		v    float64
	}{{"tolerance_up", h.ToleranceUp}, {"tolerance_down", h.ToleranceDown}} {
		if t.v >= 1 {
			out = append(out, policies.Problem{Path: t.name, Msg: t.name + " must be below 1"})
		}
	}
	for _, r := range []struct {
		name string
		rule Rule
	}{{"up", h.Up}, {"down", h.Down}} {
		for i, l := range r.rule.Policies {
			if l.Type == "" || l.Value < 1 || l.Period <= 0 {
				out = append(out, policies.Problem{Path: fmt.Sprintf("%s.policies[%d]", r.name, i),
					Msg: "a limit needs type, value and period", Hint: "such as {type: pods, value: 4, period: 15s}"})
			}
		}
	}
	return out
}

func (h *HPA) targets() []Target {
	return append([]Target{{h.Metric, h.Target}}, h.Metrics...)
}

// Queries implements Reader.
func (h *HPA) Queries() []Query {
	var out []Query
	for _, t := range h.targets() {
		out = append(out, Query{Metric: t.Metric, Scrape: h.Scrape})
	}
	return out
}

// Desire implements Autoscaler.
func (h *HPA) Desire(env *policies.Env, m *Metrics) Decision {
	if d, ok := h.clock.early(env.Now); ok {
		return d
	}
	return h.clock.decide(env.Now, Decision{Count: h.count(env.Now, m), Next: h.Period})
}

// count is one round of the controller.
func (h *HPA) count(now time.Duration, m *Metrics) int {
	if m.Spec == 0 && m.Min > 0 {
		return 0 // somebody scaled it to zero: autoscaling is disabled
	}
	if m.Spec > m.Max || m.Spec < m.Min {
		return m.clamp(m.Spec)
	}
	want, ok := h.largest(now, m)
	if !ok {
		return m.Spec
	}
	return h.limited(now, want, m)
}

// largest is the most that one of the metrics wants; where one fails, the others may
// only scale up.
func (h *HPA) largest(now time.Duration, m *Metrics) (int, bool) {
	want, failed, read := 0, false, false
	for i, t := range h.targets() {
		n, ok := h.replicas(now, m, t, m.reading(i).Samples)
		failed = failed || !ok
		if ok {
			want, read = max(want, n), true
		}
	}
	return want, read && (!failed || want >= m.Spec)
}
