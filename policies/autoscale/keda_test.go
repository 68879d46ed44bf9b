package autoscale

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
)

func TestKEDA(t *testing.T) {
	t.Parallel()
	k := newKEDA()
	m := &Metrics{Max: 20}
	env := &policies.Env{}
	at := func(now time.Duration, open int64) Decision {
		env.Now = now
		m.External = []Value{{OpenRequests, 1000 * open, true}}
		d := k.Desire(env, m)
		m.Spec = d.Count
		return d
	}
	require.Equal(t, Decision{Count: 0, Next: 30 * time.Second}, at(0, 0))
	require.Equal(t, Decision{Count: 0, Next: 20 * time.Second}, at(10*time.Second, 7), "polls only")
	require.Equal(t, 2, at(30*time.Second, 7).Count, "one by the poll, then the total over the target")
	require.Equal(t, 6, at(45*time.Second, 100).Count, "up by 4 pods or 100%")
	require.Equal(t, 12, at(60*time.Second, 100).Count)
	require.Equal(t, 20, at(75*time.Second, 100).Count)
	require.Equal(t, 20, at(90*time.Second, 95).Count, "within the tolerance")
	last := 90 * time.Second
	now := last
	for m.Spec > 0 {
		now += at(now, 0).Next
		require.Less(t, now, time.Hour)
	}
	require.Equal(t, Decision{Count: 0, Next: 30 * time.Second}, at(now, 0))
	require.InDelta(t, (last + k.Cooldown).Seconds(), now.Seconds(), 61, "the cooldown, up to two polls")
	m.External = nil
	m.Spec = 3
	env.Now = now + time.Minute
	require.Equal(t, 3, k.Desire(env, m).Count, "an unreadable total changes nothing")
}

func TestBacklog(t *testing.T) {
	t.Parallel()
	b := &Backlog{Drain: time.Minute, Rho: 0.8, HalfLife: time.Minute, DownWindow: 5 * time.Minute, Period: 5 * time.Second}
	m := &Metrics{Spec: 3, Min: 1, Max: 100}
	require.Equal(t, 3, b.Desire(&policies.Env{}, m).Count, "nothing known")
	m.Backlog = []ClassBacklog{{Waiting: 600, Arrivals: 10, Done: 4, GPUTime: 2 * time.Second}}
	require.Equal(t, 8, b.Desire(&policies.Env{Now: 5 * time.Second}, m).Count, "(600/60 + 2)·0.5/0.8 = 7.5")
	m.Spec = 8
	m.Backlog = []ClassBacklog{{Arrivals: 10, Done: 4, GPUTime: 2 * time.Second}}
	require.Equal(t, 8, b.Desire(&policies.Env{Now: 10 * time.Second}, m).Count, "down only after the window")
	require.Equal(t, 8, b.Desire(&policies.Env{Now: 305 * time.Second}, m).Count)
	d := b.Desire(&policies.Env{Now: 311 * time.Second}, m)
	require.Equal(t, 1, d.Count)
	require.Equal(t, Decision{Count: 1, Next: 3 * time.Second}, b.Desire(&policies.Env{Now: 313 * time.Second}, m))
}

// TestBacklogForgets: the average of arrivals never reaches 0, but a service that was
// left alone goes to zero.
func TestBacklogForgets(t *testing.T) {
	t.Parallel()
	b := &Backlog{Drain: time.Minute, Rho: 0.8, HalfLife: time.Minute, DownWindow: 5 * time.Minute, Period: 5 * time.Second}
	m := &Metrics{Spec: 1, Max: 100}
	env := &policies.Env{}
	b.Desire(env, m)
	m.Backlog = []ClassBacklog{{Arrivals: 10, Done: 10, GPUTime: time.Second}}
	for m.Spec > 0 {
		env.Now += b.Period
		require.Less(t, env.Now, time.Hour)
		m.Spec = b.Desire(env, m).Count
		m.Backlog = []ClassBacklog{{}}
	}
	require.InDelta(t, (14 * time.Minute).Seconds(), env.Now.Seconds(), 60, "2/s is 1 in 5 min after 9.2 half-lives, then the window")
}

// TestBacklogAverages: after one half life the average has gone half the way.
func TestBacklogAverages(t *testing.T) {
	t.Parallel()
	b := &Backlog{Drain: time.Minute, Rho: 0.8, HalfLife: time.Minute, Period: time.Second}
	m := &Metrics{Spec: 1, Max: 100}
	at := func(now time.Duration, arrivals int64, gpu time.Duration) flowRate {
		m.Backlog = []ClassBacklog{{Class: 7, Arrivals: arrivals, Done: 1, GPUTime: gpu}}
		b.Desire(&policies.Env{Now: now}, m)
		return *b.class(7)
	}
	at(0, 1, 0)
	require.Equal(t, flowRate{7, 2, 1, true}, at(time.Minute, 120, time.Second))
	got := at(2*time.Minute, 240, 3*time.Second)
	require.InDelta(t, 3, got.lambda, 1e-9)
	require.InDelta(t, 2, got.seconds, 1e-9)
}

func TestFixedAndForesight(t *testing.T) {
	t.Parallel()
	m := &Metrics{Spec: 4, Min: 1, Max: 64}
	require.Equal(t, 4, (&Fixed{}).Desire(&policies.Env{}, m).Count)
	require.Equal(t, 16, (&Fixed{Count: 16}).Desire(&policies.Env{}, m).Count)
	require.Equal(t, 64, (&Fixed{Count: 100}).Desire(&policies.Env{}, m).Count)

	f := &Foresight{Rho: 0.8, Smooth: 2 * time.Second, Period: time.Second}
	m.Lead = 3 * time.Second
	m.Ahead = []float64{1, 1, 1, 1, 8, 16, 99, 99}
	require.Equal(t, 15, f.Desire(&policies.Env{}, m).Count, "the mean of 8 and 16 over 0.8; what comes later can wait")
	m.Ahead = nil
	require.Equal(t, 1, f.Desire(&policies.Env{}, m).Count)
}
