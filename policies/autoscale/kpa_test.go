package autoscale

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
)

// The cases follow the unit tests of knative/serving pkg/autoscaler/scaling.

// plainKPA aims at the target itself and moves by at most ten times.
func plainKPA(target float64) *KPA {
	k := newKPA()
	k.Target, k.Utilization, k.MaxUp, k.MaxDown, k.begun = target, 1, 10, 10, true
	return k
}

func pods(n int) *Metrics { return &Metrics{Pods: running(n), Spec: n, Max: 10_000, Reachable: true} }

func TestKPAScale(t *testing.T) {
	t.Parallel()
	type step struct {
		at            time.Duration
		stable, panic float64
		ready, want   int
	}
	slow := func(k *KPA) *KPA { k.MaxDown = 1.1; return k }
	held := func(k *KPA) *KPA { k.Delay = 5 * time.Minute; return k }
	const s = time.Second
	for _, c := range []struct {
		name  string
		k     *KPA
		steps []step
	}{
		{"stable", plainKPA(10), []step{{0, 50, 50, 1, 5}}},
		{"panic", plainKPA(10), []step{{0, 50, 100, 1, 10}}},
		{"step by step", plainKPA(1), []step{{0, 6, 6, 1, 6}, {2 * s, 36, 36, 6, 36}, {4 * s, 216, 216, 36, 216}, {6 * s, 1296, 1296, 216, 1296}}},
		{"down by tenths", plainKPA(10), []step{{0, 1, 1, 100, 10}, {2 * s, 1, 1, 10, 1}}},
		{"slowly down", slow(plainKPA(10)), []step{{0, 1, 1, 100, 90}}},
		{"out of panic", plainKPA(1), []step{{0, 100, 100, 10, 100}, {30 * s, 1, 1, 10, 100}, {61 * s, 1, 1, 10, 1}}},
		{"panic lasts", plainKPA(1), []step{{0, 100, 100, 10, 100}, {60 * s, 1, 1, 10, 100}}},
		{"delayed", held(plainKPA(10)), []step{{0, 40, 40, 4, 4}, {5 * time.Minute, 0, 0, 4, 4}, {5*time.Minute + 2*s, 0, 0, 4, 0}}},
	} {
		for _, x := range c.steps {
			got, _ := c.k.scale(x.at, pods(x.ready), x.stable, x.panic)
			require.Equal(t, x.want, got, "%s at %v", c.name, x.at)
		}
	}
}

func TestKPAHolds(t *testing.T) {
	t.Parallel()
	k := plainKPA(10)
	for _, c := range []struct {
		burst, capacity, load float64
		want                  bool
	}{{0, 40, 100, false}, {-1, 4000, 0, true}, {211, 40, 0, true}, {211, 400, 189, false}, {211, 400, 190, true}} {
		k.Burst = c.burst
		require.Equal(t, c.want, k.shortOfRoom(c.capacity, c.load), "%+v", c)
	}
}

func TestKPAActivationScale(t *testing.T) {
	t.Parallel()
	k := plainKPA(10)
	k.Activation = 3
	got, _ := k.scale(0, pods(1), 5, 5)
	require.Equal(t, 3, got)
	got, _ = k.scale(0, pods(1), 0, 0)
	require.Equal(t, 0, got)
}

// TestKPAStartsInPanic: replicas that are there at the start are not taken away before
// their load is known.
func TestKPAStartsInPanic(t *testing.T) {
	t.Parallel()
	k := newKPA()
	m := pods(6)
	d := k.Desire(&policies.Env{}, m)
	require.Equal(t, 6, d.Count, "no data yet")
	m.Readings = []Reading{{Stable: Average{1, true}, Panic: Average{1, true}}}
	require.Equal(t, 6, k.Desire(&policies.Env{Now: 2 * time.Second}, m).Count)
	require.Equal(t, 3, k.Desire(&policies.Env{Now: 62 * time.Second}, m).Count, "half of those ready")
}

// TestKPAToZero follows the way down: a stable window without load, the hold stage,
// the grace, nothing; and the way up when a request is held.
func TestKPAToZero(t *testing.T) {
	t.Parallel()
	k := newKPA()
	m := pods(1)
	var holds, zero time.Duration
	for now := time.Duration(0); zero == 0 && now < 10*time.Minute; now += k.Tick {
		m.Readings = []Reading{{Stable: Average{0, true}, Panic: Average{0, true}}}
		d := k.Desire(&policies.Env{Now: now}, m)
		if d.Hold && holds == 0 && now >= k.Stable {
			holds = now
		}
		if d.Count == 0 {
			zero = now
		}
	}
	require.Equal(t, 60*time.Second, holds)
	require.Equal(t, 90*time.Second, zero)
	m = pods(0)
	require.Equal(t, 0, k.Desire(&policies.Env{Now: 100 * time.Second}, m).Count)
	m.Held = 1
	d := k.Desire(&policies.Env{Now: 101 * time.Second}, m)
	require.Equal(t, 1, d.Count)
	m = pods(0)
	m.Spec, m.Readings = 1, []Reading{{Stable: Average{0, true}, Panic: Average{0, true}}}
	require.Equal(t, 1, k.Desire(&policies.Env{Now: 103 * time.Second}, m).Count, "active again for a stable window")
	m.Min = 1
	require.Equal(t, 1, k.Desire(&policies.Env{Now: time.Hour}, m).Count)
}
