package reports

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func scaled(t *testing.T, s *Scaling, name string) *float64 {
	t.Helper()
	for _, m := range s.Metrics(7200, 0.25) {
		if m.Name == name {
			return m.Value
		}
	}
	t.Fatalf("no metric %s", name)
	return nil
}

// TestScaling follows one run by hand: 4 replicas, a rise of the load at 100 s that
// needs 10, answered in two steps, and a fall.
func TestScaling(t *testing.T) {
	t.Parallel()
	const s = time.Second
	x := &Scaling{SLO: true, Surge: 100 * s, Needed: 10}
	x.Begin(4, 4)
	x.Desired(20*s, 5) // before the window: no turn
	x.Desired(30*s, 4)
	x.Open(50 * s)
	x.Desired(102*s, 8)
	x.Desired(110*s, 12)
	x.Ready(132*s, 8)
	x.Ready(140*s, 12)
	x.Started()
	x.Desired(200*s, 6)
	x.Ready(200*s, 6)
	x.Desired(210*s, 7)
	x.Held(2 * s)
	x.Held(4 * s)
	x.Killed(true)
	x.Killed(false)
	x.Close(250 * s)
	x.Desired(300*s, 50) // after the window: nothing
	for name, want := range map[string]float64{
		"detection_s": 2, "capacity_s": 40, "overshoot": 2, "oscillations": 3 * 3600 / 200.0,
		"replicas_desired": (52*4 + 8*8 + 90*12 + 10*6 + 40*7) / 200.0, "replicas_ready": (82*4 + 8*8 + 60*12 + 50*6) / 200.0,
		"cold_starts": 1, "held_requests": 2, "held_mean_s": 3, "killed_requests": 2, "killed_by_reclaim": 0.5,
		"gpu_hours": 2, "idle_gpu": 0.25, "slo_miss_s": 0,
	} {
		require.InDelta(t, want, *scaled(t, x, name), 1e-9, name)
	}
}

// TestScalingOfEnough: a fleet that has what the risen load needs had it all the time.
func TestScalingOfEnough(t *testing.T) {
	t.Parallel()
	x := &Scaling{Surge: 100 * time.Second, Needed: 4}
	x.Begin(4, 4)
	x.Open(time.Second)
	x.Close(200 * time.Second)
	require.Zero(t, *scaled(t, x, "detection_s"))
	require.Zero(t, *scaled(t, x, "capacity_s"))
	require.Nil(t, scaled(t, x, "slo_miss_s"), "no SLO")
	x = &Scaling{Surge: -1}
	x.Begin(4, 4)
	x.Open(time.Second)
	x.Close(2 * time.Second)
	require.Nil(t, scaled(t, x, "detection_s"), "no rise")
}

// TestMissedSeconds: of n requests the ⌈0.99 n⌉-th smallest decides.
func TestMissedSeconds(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ n, bad, want int }{{1, 0, 0}, {1, 1, 1}, {99, 1, 1}, {100, 1, 0}, {100, 2, 1}, {250, 2, 0}, {250, 3, 1}} {
		x := &Scaling{SLO: true, Surge: -1}
		x.Begin(1, 1)
		x.Open(10 * time.Second)
		for i := range c.n {
			x.Request(12*time.Second+time.Duration(i)*time.Millisecond, i >= c.bad)
		}
		require.Equal(t, c.want, x.Missed(), "%+v", c)
	}
}

func TestSpread(t *testing.T) {
	t.Parallel()
	m := FamilyMetric("autoscale", "slo_miss_s", LowerBetter, "")
	c := Cell{Parts: []Part{{Metrics: map[string]*float64{"slo_miss_s": finite(1)}}, {Metrics: map[string]*float64{"slo_miss_s": finite(3)}}, {}}}
	mean, ci := c.Spread(m, 0.95)
	require.InDelta(t, 2, *mean, 1e-12)
	require.InDelta(t, 2+12.706, ci[1], 1e-3, "t with one degree of freedom")
	mean, ci = (&Cell{Parts: c.Parts[:1]}).Spread(m, 0.95)
	require.InDelta(t, 1, *mean, 0)
	require.Nil(t, ci)
	mean, _ = (&Cell{}).Spread(m, 0.95)
	require.Nil(t, mean)
}
