package autoscale

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"taillab/policies"
)

// world is a crude service for conformance tests: a load is shared by the ready pods,
// and pods are ready a while after they were asked for.
type world struct {
	policy Autoscaler
	env    policies.Env
	m      Metrics
	lead   time.Duration
	held   bool
	totals [][2]*Window
	asked  time.Duration
}

func newWorld(e policies.Entry, spec, least, most int, lead time.Duration) *world {
	w := &world{policy: e.New().(Autoscaler), lead: lead}
	w.env = policies.NewEnv(rand.New(rand.NewPCG(1, 2)), nil, 0)
	w.m = Metrics{Min: least, Max: most, Reachable: true, Lead: lead}
	if r, ok := w.policy.(Reader); ok {
		for _, q := range r.Queries() {
			w.totals = append(w.totals, [2]*Window{NewWindow(max(q.Window, bucket), q.Weighted), NewWindow(max(q.Panic, bucket), q.Weighted)})
		}
	}
	w.scale(spec)
	for i := range w.m.Pods {
		w.m.Pods[i].Start, w.m.Pods[i].LastTransition = -lead, 0
	}
	return w
}

// scale makes the pods be as many as asked for.
func (w *world) scale(n int) {
	for len(w.m.Pods) < n {
		id := 0
		if k := len(w.m.Pods); k > 0 {
			id = w.m.Pods[k-1].ID + 1
		}
		w.m.Pods = append(w.m.Pods, Pod{ID: id, Phase: Pending, Start: w.env.Now})
	}
	w.m.Pods = w.m.Pods[:n]
	w.m.Spec = n
}

// step lets a load rule until now and asks the policy; silent pods tell nothing.
func (w *world) step(now time.Duration, load float64, silent bool) Decision {
	for at := w.asked + time.Second; at <= now; at += time.Second {
		for _, t := range w.totals {
			t[0].Add(at, load)
			t[1].Add(at, load)
		}
	}
	dt := now - w.asked
	w.asked, w.env.Now = now, now
	ready := 0
	for i := range w.m.Pods {
		p := &w.m.Pods[i]
		if !p.Ready && p.Start+w.lead <= now {
			p.Phase, p.Ready, p.EverReady, p.LastTransition = Ready, true, true, p.Start+w.lead
		}
		if p.Ready {
			ready++
		}
	}
	w.m.Held = 0
	if ready == 0 && load > 0 {
		w.m.Held = int(load) + 1
	}
	w.read(now, load, ready, silent)
	w.m.Backlog = []ClassBacklog{{Arrivals: int64(load * dt.Seconds()), Done: int64(10 * dt.Seconds()), GPUTime: dt, Waiting: int(load)}}
	w.m.External = []Value{{OpenRequests, int64(1000 * load), true}, {WaitingRequests, int64(500 * load), true}}
	w.m.Ahead = slices.Repeat([]float64{load / 10}, 120)
	d := w.policy.Desire(&w.env, &w.m)
	w.held = d.Hold
	return d
}

func (w *world) read(now time.Duration, load float64, ready int, silent bool) {
	w.m.Readings = w.m.Readings[:0]
	r, ok := w.policy.(Reader)
	if !ok {
		return
	}
	for i, q := range r.Queries() {
		out := Reading{Stable: w.totals[i][0].Average(now), Panic: w.totals[i][1].Average(now)}
		for _, p := range w.m.Pods {
			if !p.Ready || silent {
				continue
			}
			s := Sample{Pod: p.ID, At: now, Window: q.Scrape, Value: int64(1000 * load / float64(ready))}
			if q.Metric.Resource() {
				s.Value, s.Request = min(s.Value/10, 1000), 1000
			}
			out.Samples = append(out.Samples, s)
		}
		w.m.Readings = append(w.m.Readings, out)
	}
}

// TestConformance drives every autoscaler through random loads: counts stay within the
// bounds, calls may come late or early, and the same calls give the same answers.
func TestConformance(t *testing.T) {
	t.Parallel()
	for _, e := range Catalog() {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			rapid.Check(t, func(t *rapid.T) {
				least := rapid.IntRange(0, 3).Draw(t, "min")
				most := least + rapid.IntRange(1, 40).Draw(t, "span")
				start := rapid.IntRange(least, most).Draw(t, "start")
				lead := time.Duration(rapid.IntRange(0, 90).Draw(t, "lead")) * time.Second
				a, b := newWorld(e, start, least, most, lead), newWorld(e, start, least, most, lead)
				var now time.Duration
				for range 40 {
					load := float64(rapid.SampledFrom([]int{0, 0, 1, 5, 30, 300, 3000}).Draw(t, "load"))
					silent := rapid.Bool().Draw(t, "silent")
					d := a.step(now, load, silent)
					require.Equal(t, d, b.step(now, load, silent), "the same calls, the same answers")
					require.GreaterOrEqual(t, d.Count, least)
					require.LessOrEqual(t, d.Count, most)
					require.Positive(t, d.Next)
					a.scale(d.Count)
					b.scale(d.Count)
					late := rapid.SampledFrom([]float64{0.3, 1, 1, 1, 2}).Draw(t, "late")
					now += time.Duration(float64(d.Next)*late) + 1
				}
			})
		})
	}
}

// TestMoreLoadNeverGivesFewer: all else equal, a higher load asks for at least as many.
func TestMoreLoadNeverGivesFewer(t *testing.T) {
	t.Parallel()
	for _, e := range Catalog() {
		for _, spec := range []int{1, 4, 20} {
			before, at := 0, 0.0
			for _, load := range []float64{0, 1, 3, 8, 20, 33, 60, 150, 400, 2000} {
				w := newWorld(e, spec, 0, 1000, 10*time.Second)
				d := w.step(0, load, false)
				for range 12 { // the fleet stays, so only the load differs
					d = w.step(w.asked+d.Next, load, false)
				}
				require.GreaterOrEqual(t, d.Count, before, "%s at %d replicas: load %v gives %d, load %v %d", e.Name, spec, load, d.Count, at, before)
				before, at = d.Count, load
			}
		}
	}
}

// TestHPAMissingNeverHelpsTheDirection: hiding the samples of some pods never makes a
// step larger than it was with all of them at their target.
func TestHPAMissingNeverHelpsTheDirection(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 12).Draw(t, "pods")
		m := Metrics{Spec: n, Min: 1, Max: 1000, Pods: running(n)}
		all := make([]int64, n)
		for i := range all {
			all[i] = int64(rapid.IntRange(0, 30_000).Draw(t, "value"))
		}
		samples := cores(0, all...)
		h, target := newHPA(), Target{Concurrency, 8}
		shown := slices.Clone(samples[:rapid.IntRange(1, n).Draw(t, "shown")])
		got, ok := h.replicas(time.Hour, &m, target, shown)
		require.True(t, ok)
		var rows []podRow
		for _, s := range shown {
			rows = append(rows, podRow{value: s.Value})
		}
		switch r := ratio(rows, target); {
		case r > 1:
			require.GreaterOrEqual(t, got, n)
			require.LessOrEqual(t, got, max(n, up(r*float64(len(shown)))), "as if the others did nothing")
		case r < 1:
			require.LessOrEqual(t, got, n)
			require.GreaterOrEqual(t, got, min(n, n-len(shown)), "the others are at their target")
		}
	})
}

// TestKPANeverGoesDownInPanic holds whatever the load does.
func TestKPANeverGoesDownInPanic(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		k := plainKPA(10)
		last, was := 0, false
		for i := range 60 {
			load := float64(rapid.IntRange(0, 500).Draw(t, "load"))
			ready := rapid.IntRange(0, 40).Draw(t, "ready")
			got, _ := k.scale(time.Duration(i)*2*time.Second, pods(ready), load/2, load)
			if k.panicked && was {
				require.GreaterOrEqual(t, got, last)
			}
			last, was = got, k.panicked
		}
	})
}

// TestEveryPolicySaysWhatItIs: the catalogue's lines are complete and its defaults
// sound.
func TestEveryPolicySaysWhatItIs(t *testing.T) {
	t.Parallel()
	for _, e := range Catalog() {
		require.NotEmpty(t, e.About, e.Name)
		require.NotEmpty(t, e.Source, e.Name)
		if c, ok := e.New().(policies.Checker); ok {
			require.Empty(t, c.Check(), e.Name)
		}
		if r, ok := e.New().(Reader); ok {
			for _, q := range r.Queries() {
				require.Positive(t, q.Scrape, fmt.Sprint(e.Name, q))
			}
		}
	}
}
