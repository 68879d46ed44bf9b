package autoscale

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWindowAverages(t *testing.T) {
	t.Parallel()
	const s = time.Second
	w := NewWindow(6*s, false)
	require.False(t, w.Average(0).OK)
	w.Add(10*s, 3)
	w.Add(10*s+s/2, 3)
	require.Equal(t, Average{6, true}, w.Average(10*s), "since the first write")
	w.Add(13*s, 2)
	require.Equal(t, Average{2, true}, w.Average(13*s), "a gap counts as 0")
	require.Equal(t, Average{2, true}, w.Average(14*s), "what came after the last write does not")
	require.Equal(t, Average{0.666667, true}, w.Average(16*s), "the first bucket is out: 2/3, rounded")
	require.Equal(t, Average{2, true}, w.Average(18*s))
	require.False(t, w.Average(19*s).OK)
	w.Add(30*s, 5)
	require.Equal(t, Average{5, true}, w.Average(30*s), "begins anew after a whole window without writes")
}

func TestWindowWeights(t *testing.T) {
	t.Parallel()
	w := NewWindow(60*time.Second, true)
	w.Add(0, 1)
	w.Add(time.Second, 1)
	require.InDelta(t, 0.2+0.2*0.8, w.Average(time.Second).Value, 1e-9, "c is at least 0.2")
	w = NewWindow(5*time.Second, true)
	w.Add(0, 1)
	require.InDelta(t, 0.841511, w.Average(0).Value, 1e-6, "c = 1 − 0.0001^(1/5)")
}

func TestSampleSize(t *testing.T) {
	t.Parallel()
	for n, want := range map[int]int{0: 0, 1: 1, 3: 3, 4: 4, 10: 7, 50: 12, 100: 14, 1000: 16} {
		require.Equal(t, want, SampleSize(n), "%d pods", n)
	}
}
