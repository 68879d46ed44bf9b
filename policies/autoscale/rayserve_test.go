package autoscale

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
)

func TestRayServeScaled(t *testing.T) {
	t.Parallel()
	r := newRayServe()
	for _, c := range []struct {
		n        int
		ongoing  float64
		up, down float64
		want     int
	}{
		{10, 40, 1, 1, 20}, {10, 40, 0.5, 1, 15}, {10, 10, 1, 1, 5}, {10, 10, 1, 0.6, 7}, {2, 2, 1, 0.1, 1}, {1, 0, 1, 1, 0}, {4, 7.9, 1, 1, 4},
	} {
		r.UpFactor, r.DownFactor = c.up, c.down
		require.Equal(t, c.want, r.scaled(c.n, c.ongoing), "%+v", c)
	}
}

// TestRayServeWaits: a direction must be wanted for its delay without a break.
func TestRayServeWaits(t *testing.T) {
	t.Parallel()
	r := newRayServe()
	m := &Metrics{Spec: 4, Max: 100}
	at := func(now time.Duration, ongoing float64) int {
		m.Readings = []Reading{{Stable: Average{ongoing, true}}}
		m.Spec = r.Desire(&policies.Env{Now: now}, m).Count
		return m.Spec
	}
	var now time.Duration
	for ; now < 20*time.Second; now += time.Second {
		require.Equal(t, 4, at(now, 40))
	}
	at(now, 8)
	start := now + time.Second
	for now = start; m.Spec == 4; now += time.Second {
		at(now, 40)
	}
	require.Equal(t, 30*time.Second, now-time.Second-start, "the break begins it anew")
	require.Equal(t, 20, m.Spec)
	start = now
	for ; m.Spec > 0; now += time.Second {
		at(now, 0)
	}
	require.InDelta(t, 20*60, (now - start).Seconds(), 3, "to one after a delay, to none after another")
	m.Held = 3
	require.Equal(t, 1, at(now+time.Millisecond, 0), "traffic at zero")
}
