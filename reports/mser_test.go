package reports

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// fivefold repeats every value five times, so that batch means are the values.
func fivefold(ys ...float64) []float64 {
	var out []float64
	for _, y := range ys {
		out = append(out, slices.Repeat([]float64{y}, 5)...)
	}
	return out
}

func TestMSERGoldens(t *testing.T) {
	t.Parallel()
	decay := []float64{30, 20, 12, 8, 5, 4.2, 3.9, 4.1, 4.0, 3.8, 4.2, 4.1, 3.9, 4.0, 4.1, 3.9, 4.0, 4.2, 3.8, 4.0}
	cut, settled := MSER5(fivefold(decay...))
	require.Equal(t, 30, cut)
	require.True(t, settled)
	for d, want := range map[int]float64{5: .0011437, 6: .0011224, 7: .0012381} {
		var w welford
		for _, y := range decay[d:] {
			w.add(y)
		}
		require.InDelta(t, want, w.m2/float64(w.n*w.n), 5e-8, "criterion at %d", d)
	}

	var ramp []float64
	for y := 20.0; y >= 1; y-- {
		ramp = append(ramp, y)
	}
	_, settled = MSER5(fivefold(ramp...))
	require.False(t, settled, "a ramp never settles")

	cut, settled = MSER5(fivefold(slices.Repeat([]float64{7}, 20)...))
	require.Equal(t, 0, cut)
	require.True(t, settled)

	for _, short := range [][]float64{nil, {1}, fivefold(1, 2, 3, 4)} {
		cut, settled = MSER5(short)
		require.Equal(t, 0, cut)
		require.False(t, settled, "too short to tell")
	}
}

func TestMSERProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		// Whole numbers keep scaling and shifting exact, so ties stay ties.
		ys := rapid.SliceOfN(rapid.IntRange(0, 50), 25, 200).Draw(t, "ys")
		a, b := rapid.SampledFrom([]float64{.25, 2, 8}).Draw(t, "scale"), float64(rapid.IntRange(-64, 64).Draw(t, "shift"))
		x, y := make([]float64, len(ys)), make([]float64, len(ys))
		for i, v := range ys {
			x[i], y[i] = float64(5*v), a*float64(5*v)+b
		}
		cut, settled := MSER5(x)
		require.Zero(t, cut%5)
		require.True(t, cut <= len(x)/2 || !settled)
		moved, also := MSER5(y)
		if score(x, cut) != score(x, moved) { // equal minima may be told apart by rounding
			require.InEpsilon(t, score(x, cut)+1, score(x, moved)+1, 1e-9)
		}
		if cut == moved {
			require.Equal(t, settled, also)
		}
	})
}

// score is the criterion of a cut.
func score(points []float64, cut int) float64 {
	var w welford
	for i := cut; i+5 <= len(points); i += 5 {
		w.add((points[i] + points[i+1] + points[i+2] + points[i+3] + points[i+4]) / 5)
	}
	return w.m2 / float64(w.n*w.n)
}

// A system that starts with 500 requests waiting needs its backlog gone: at 100
// arrivals and 200 ends a second that is 5 s, and steady before and after.
func TestWarmUpFindsTheEndOfABacklog(t *testing.T) {
	t.Parallel()
	run := func(seed int, slow time.Duration) *Collector {
		c := NewCollector(Setup{Seed: seed})
		id, free := uint64(0), time.Duration(0)
		add := func(at time.Duration) {
			free = max(free, at) + slow
			r := served(id, free-at)
			r.Arrived = at
			c.Add(&r)
			id++
		}
		for range 500 {
			add(0)
		}
		for k := range 6000 {
			add(time.Duration(k)*10*ms + time.Duration(seed)*ms)
		}
		return c.closed0()
	}
	cut, settled := WarmUp([]*Collector{run(1, 5*ms), run(2, 5*ms), run(3, 5*ms)})
	require.True(t, settled)
	require.InDelta(t, 5, cut.Seconds(), 1.5)

	_, settled = WarmUp([]*Collector{run(1, 12*ms)})
	require.False(t, settled, "more arrives than is served: the queue grows to the end")
	cut, settled = WarmUp(nil)
	require.Zero(t, cut)
	require.False(t, settled)
}
