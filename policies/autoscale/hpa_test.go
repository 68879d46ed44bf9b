package autoscale

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
)

// The cases follow the unit tests of kubernetes/kubernetes pkg/controller/podautoscaler.

// cores makes samples of pods 0, 1 … in thousandths of what each asked for.
func cores(request int64, values ...int64) []Sample {
	var out []Sample
	for i, v := range values {
		out = append(out, Sample{Pod: i, At: time.Hour, Window: 15 * time.Second, Value: v, Request: request})
	}
	return out
}

// running makes n pods that have been ready for long.
func running(n int) []Pod {
	out := make([]Pod, n)
	for i := range out {
		out[i] = Pod{ID: i, Phase: Ready, Ready: true, EverReady: true}
	}
	return out
}

func TestHPAReplicas(t *testing.T) {
	t.Parallel()
	const late = 2 * time.Hour
	half := running(3)
	for i := 1; i < 3; i++ {
		half[i].Ready, half[i].Start, half[i].LastTransition = false, late-time.Second, late-time.Second
	}
	pending := running(3)
	pending[1].Phase, pending[2].Phase = Pending, Pulling
	uneven := cores(1000, 1010, 1030, 1020)
	uneven[0].Request, uneven[2].Request = 900, 1100
	share := func(x float64) Target { return Target{Utilization, x} }
	for _, c := range []struct {
		name    string
		spec    int
		pods    []Pod
		samples []Sample
		target  Target
		want    int
	}{
		{"scale up", 3, running(3), cores(1000, 300, 500, 700), share(0.3), 5},
		{"unready pods use nothing", 3, half, cores(1000, 400, 500, 700), share(0.3), 3},
		{"pending pods use nothing", 3, pending, cores(1000, 400), share(0.3), 3},
		{"within the tolerance", 3, running(3), uneven, share(1), 3},
		{"a missing sample is not scaled up on", 2, running(2), cores(1000, 1000), share(1), 2},
		{"a missing sample is not scaled down on", 2, running(2), cores(1000, 600), share(1), 2},
		{"samples of pods that do not exist", 4, running(4), cores(1000, 4000, 9500, 3000, 7000, 3200, 2000), share(1), 24},
		{"plain metric down", 4, running(4), cores(0, 50, 50, 50, 50), Target{Concurrency, 0.1}, 2},
		{"plain metric with one missing", 4, running(4), cores(0, 50, 50, 50), Target{Concurrency, 0.1}, 3},
		{"deleted pods are ignored", 3, append(running(2), Pod{ID: 2, Phase: Draining, Deleted: true}), cores(1000, 600, 600, 9000), share(0.3), 4},
	} {
		n, ok := newHPA().replicas(late, &Metrics{Spec: c.spec, Pods: c.pods}, c.target, c.samples)
		require.True(t, ok, c.name)
		require.Equal(t, c.want, n, c.name)
	}
	_, ok := newHPA().replicas(late, &Metrics{Spec: 3, Pods: running(3)}, share(0.3), nil)
	require.False(t, ok, "nothing to read")
	require.InDelta(t, 0.5, ratio([]podRow{{value: 50}}, Target{Concurrency, 0.1}), 0, "average 50m against 100m")
}

// TestHPAStarting: the share of a pod that starts is not read before it has been ready
// for a whole reading; later only one that never was ready stays out.
func TestHPAStarting(t *testing.T) {
	t.Parallel()
	h := newHPA()
	s := Sample{At: 100 * time.Second, Window: 15 * time.Second}
	pod := Pod{Phase: Ready, Ready: true, Start: 60 * time.Second, LastTransition: 90 * time.Second}
	require.True(t, h.starting(101*time.Second, &pod, &s), "read over the time before it was ready")
	s.At = 105 * time.Second
	require.False(t, h.starting(105*time.Second, &pod, &s))
	pod.Ready = false
	require.True(t, h.starting(105*time.Second, &pod, &s))
	require.False(t, h.starting(10*time.Minute, &Pod{Phase: Ready, Start: 0, LastTransition: 5 * time.Minute}, &s), "was ready once")
	require.True(t, h.starting(10*time.Minute, &Pod{Phase: Ready, Start: 0, LastTransition: 20 * time.Second}, &s), "never was")
	require.True(t, h.starting(time.Hour, &Pod{Phase: Ready, Ready: true, Start: -1}, &s))
}

func TestHPALimits(t *testing.T) {
	t.Parallel()
	const now = time.Hour
	events := func(counts ...int) history {
		var h history
		for i, n := range counts {
			h.add(now-time.Duration(len(counts)-i)*10*time.Second, n, time.Hour)
		}
		return h
	}
	pods := func(n int, period time.Duration) Limit { return Limit{limitPods, n, period} }
	percent := func(n int, period time.Duration) Limit { return Limit{limitPercent, n, period} }
	for _, c := range []struct {
		name           string
		spec           int
		rule           Rule
		growing        bool
		added, removed history
		want           int
	}{
		{"pods", 10, Rule{Select: "max", Policies: []Limit{pods(30, time.Minute)}}, true, history{}, history{}, 40},
		{"the larger change", 10, Rule{Select: "max", Policies: []Limit{pods(100, time.Minute), percent(100, time.Minute)}}, true, history{}, history{}, 110},
		{"the smaller change", 10, Rule{Select: "min", Policies: []Limit{pods(100, time.Minute), percent(100, time.Minute)}}, true, history{}, history{}, 20},
		{"events of the period", 100, Rule{Select: "max", Policies: []Limit{percent(200, 2*time.Minute)}}, true, events(1, 5, 9), history{}, 255},
		{"both kinds of events", 6, Rule{Select: "max", Policies: []Limit{percent(300, 5*time.Minute)}}, true, events(4), events(2), 16},
		{"disabled", 6, Rule{Select: "disabled", Policies: []Limit{pods(9, time.Minute)}}, true, history{}, history{}, 6},
		{"no limit", 6, Rule{Select: "max"}, false, history{}, history{}, 0},
		{"shrinking, the larger change", 100, Rule{Select: "max", Policies: []Limit{pods(30, time.Minute), percent(10, time.Minute)}}, false, history{}, history{}, 70},
		{"shrinking, the smaller change", 100, Rule{Select: "min", Policies: []Limit{pods(30, time.Minute), percent(10, time.Minute)}}, false, history{}, history{}, 90},
		{"shrinking, above the count", 100, Rule{Select: "max", Policies: []Limit{percent(10, time.Minute)}}, false, history{}, events(10, 10, 10), 117},
	} {
		h := newHPA()
		h.added, h.removed = c.added, c.removed
		require.Equal(t, c.want, h.bound(now, c.spec, c.rule, c.growing), c.name)
	}
	h := newHPA()
	h.Down, h.removed = Rule{Select: "max", Policies: []Limit{{limitPercent, 10, time.Minute}}}, events(10, 10, 10)
	require.Equal(t, 100, h.limited(now, 1, &Metrics{Spec: 100, Max: 1000}), "a limit never turns the direction round")
}

// TestHPAGrowsByItsRules follows a tenfold load from 4 pods: 8, 16, 32, 40 in four
// periods, then down only after the stabilisation window.
func TestHPAGrowsByItsRules(t *testing.T) {
	t.Parallel()
	h := newHPA()
	h.Metric, h.Target = Concurrency, 8
	m := Metrics{Spec: 4, Min: 1, Max: 64}
	var env policies.Env
	round := func(total int64) int {
		m.Pods = running(m.Spec)
		values := make([]int64, m.Spec)
		for i := range values {
			values[i] = 1000 * total / int64(m.Spec)
		}
		m.Readings = []Reading{{Samples: cores(0, values...)}}
		d := h.Desire(&env, &m)
		require.Equal(t, h.Period, d.Next)
		env.Now += d.Next
		m.Spec = d.Count
		return d.Count
	}
	var got []int
	for range 5 {
		got = append(got, round(320))
	}
	require.Equal(t, []int{8, 16, 32, 40, 40}, got)
	last := env.Now
	for m.Spec == 40 {
		round(32)
	}
	require.Equal(t, 5*time.Minute, env.Now-last, "the window after the last high recommendation")
	require.Equal(t, 4, m.Spec)
	d := h.Desire(&policies.Env{Now: env.Now - time.Second}, &m)
	require.Equal(t, Decision{Count: 4, Next: time.Second}, d, "early calls change nothing")
}

func TestHPASeveralMetrics(t *testing.T) {
	t.Parallel()
	h := newHPA()
	h.Metric, h.Target, h.Metrics = Concurrency, 8, []Target{{Queue, 1}}
	m := Metrics{Spec: 4, Min: 1, Max: 64, Pods: running(4)}
	read := func(concurrency, queue []Sample) int {
		m.Readings = []Reading{{Samples: concurrency}, {Samples: queue}}
		n, ok := h.largest(0, &m)
		if !ok {
			return -1
		}
		return n
	}
	busy, calm := cores(0, 16000, 16000, 16000, 16000), cores(0, 2000, 2000, 2000, 2000)
	require.Equal(t, 8, read(busy, cores(0, 0, 0, 0, 0)))
	require.Equal(t, 8, read(busy, nil), "growth needs one")
	require.Equal(t, -1, read(calm, nil), "shrinking needs all")
	require.Equal(t, -1, read(nil, nil))
	require.Equal(t, 1, read(calm, cores(0, 100, 100, 100, 100)))
}

func TestHPALegacy(t *testing.T) {
	t.Parallel()
	h := newHPA()
	h.Legacy = true
	require.Equal(t, 8, h.limited(0, 100, &Metrics{Spec: 4, Min: 1, Max: 1000}))
	require.Equal(t, 4, h.limited(0, 100, &Metrics{Spec: 1, Min: 1, Max: 1000}))
	require.Equal(t, 100, h.limited(5*time.Minute, 1, &Metrics{Spec: 100, Min: 1, Max: 1000}))
	require.Equal(t, 1, h.limited(5*time.Minute+1, 1, &Metrics{Spec: 100, Min: 1, Max: 1000}))
}

func TestHPACheck(t *testing.T) {
	t.Parallel()
	require.Empty(t, newHPA().Check())
	h := newHPA()
	h.Target, h.ToleranceUp, h.Metrics = 80, 1, []Target{{}}
	h.Up.Policies = []Limit{{Type: limitPods}}
	var paths []string
	for _, p := range h.Check() {
		paths = append(paths, p.Path)
	}
	require.Equal(t, []string{"target", "metrics[0].metric", "tolerance_up", "up.policies[0]"}, paths)
}
