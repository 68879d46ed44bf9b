package autoscale

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
)

// asks is a policy that reads every metric once a second.
type asks struct{}

func (asks) Desire(*policies.Env, *Metrics) Decision { return Decision{Next: time.Second} }
func (asks) Queries() (out []Query) {
	for _, m := range []Metric{Concurrency, Queue, Rate, Utilization, Duty} {
		out = append(out, Query{Metric: m, Scrape: time.Second, Window: 10 * time.Second, Panic: time.Second})
	}
	return out
}

// TestBooks follows one replica of two slots through three requests of a second each,
// of which two run at a time, and through a second life.
func TestBooks(t *testing.T) {
	t.Parallel()
	b := NewBooks(2, 2, nil)
	b.Read(asks{})
	require.Len(t, b.Scrapes(), 5)
	dice := rand.NewPCG(1, 2)
	at := func(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }
	b.Begin(0, 7, 0)
	for range 3 {
		b.Arrived(1)
		b.Accepted(0)
	}
	b.Pass(0, 0, 2, 1)
	b.Began(1)
	b.Began(1)
	scrape := func(now time.Duration, held int) {
		for k := range b.Scrapes() {
			b.Scrape(k, now, held, dice)
		}
	}
	b.Pass(0, at(0.5), 1, 0) // two have ended, the third runs
	b.Began(1)
	b.Finished(1, at(0.5))
	b.Finished(1, at(0.5))
	b.Closed()
	b.Closed()
	scrape(at(1), 4)
	var m Metrics
	b.Show(&m, at(1), 4)
	require.Equal(t, 4, m.Held)
	var got []int64
	for _, r := range m.Readings {
		require.Len(t, r.Samples, 1)
		require.Equal(t, 7, r.Samples[0].Pod)
		require.Equal(t, time.Second, r.Samples[0].Window)
		got = append(got, r.Samples[0].Value)
	}
	require.Equal(t, []int64{2000, 500, 3000, 1500, 1000}, got, "concurrency, queue, rate, slots that work, duty")
	require.Equal(t, []int64{2000, 1000}, []int64{m.Readings[3].Samples[0].Request, m.Readings[4].Samples[0].Request})
	require.InDelta(t, 6, m.Readings[0].Stable.Value, 1e-9, "2 inside and 4 held")
	require.Equal(t, ClassBacklog{Class: 1, Arrivals: 3, Done: 2, GPUTime: at(0.75)}, m.Backlog[1], "1.5 s of slots over 2 slots")
	open, ok := m.external(OpenRequests)
	require.True(t, ok)
	require.InDelta(t, 1, open, 0)

	b.Drain(0)
	scrape(at(2), 0)
	b.Show(&m, at(2), 0)
	require.Equal(t, at(1), m.Readings[0].Samples[0].At, "the newest of one that drains still counts")
	b.End(0)
	b.Show(&m, at(2), 0)
	require.Empty(t, m.Readings[0].Samples)
	b.Pass(0, at(2), 0, 0)
	b.Begin(0, 8, at(3))
	b.Pass(0, at(3.5), 1, 0)
	scrape(at(4), 0)
	b.Show(&m, at(4), 0)
	require.Equal(t, Sample{Pod: 8, At: at(4), Window: time.Second, Value: 500, Request: 2000}, m.Readings[3].Samples[0], "of this life alone")
	require.Equal(t, at(0.25), b.workedSince(at(4.5)), "half a second of one slot of two since the last Show")
	b.Note(at(5), 3)
	require.InDelta(t, 3, b.gauges[0].panicky.Average(at(5)).Value, 1e-9)
}

func TestPodsThatGoFirst(t *testing.T) {
	t.Parallel()
	ready, younger := Pod{ID: 1, Phase: Ready, LastTransition: 1}, Pod{ID: 2, Phase: Ready, LastTransition: 2}
	loading, twin := Pod{ID: 3, Phase: Loading, LastTransition: 3}, Pod{ID: 4, Phase: Loading, LastTransition: 3}
	for _, x := range [][2]Pod{{loading, ready}, {younger, ready}, {twin, loading}} {
		require.True(t, x[0].Before(&x[1]))
		require.False(t, x[1].Before(&x[0]))
	}
}
