package reports

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestHistLayoutGoldens(t *testing.T) {
	t.Parallel()
	for v, want := range map[int64]int{0: 0, 2047: 2047, 2048: 2048, 2049: 2048, 4095: 3071, 4096: 3072, 1e9: 21363, 3.6e12: 33420} {
		require.Equal(t, want, indexOf(v, 10), "value %d", v)
	}
	low, width := edgesOf(21363, 10)
	require.Equal(t, int64(999_817_216), low)
	require.Equal(t, int64(1_000_341_504), low+width)
	require.Equal(t, 33_792, cellsOf(10))
	require.Equal(t, 1_216, cellsOf(5))
}

func TestHistQuantileGoldens(t *testing.T) {
	t.Parallel()
	h := NewHist(HistBits)
	for _, v := range []int64{2048, 2049, 2050, 2050} {
		h.Record(v)
	}
	require.Equal(t, 2048.5, h.Quantile(250))
	require.Equal(t, 2049.5, h.Quantile(500))
	require.Equal(t, 2050.0, h.Quantile(990))

	h.Reset()
	for range 1000 {
		h.Record(1e9)
	}
	for k := 0; k <= 1000; k += 10 {
		require.Equal(t, 1e9, h.Quantile(k))
	}
	require.Equal(t, 1e9, h.Mean())
}

func TestRanksAreIntegers(t *testing.T) {
	t.Parallel()
	require.Equal(t, int64(99), rankOf(990, 100))
	require.Equal(t, int64(100), rankOf(999, 100))
	require.Equal(t, int64(999), rankOf(999, 1000))
	require.Equal(t, int64(101), rankOf(990, 102))
	require.Equal(t, int64(99), rankAt(0.99, 100))
	require.Equal(t, int64(math.MaxInt64/1000*990+799), rankOf(990, math.MaxInt64)) // ⌈.99·(2⁶³ − 1)⌉ = 990·⌊n/1000⌋ + ⌈.99·807⌉: no overflow
}

func TestHistClampsAboveAnHour(t *testing.T) {
	t.Parallel()
	h := NewHist(HistBits)
	h.Record(HistMax)
	require.Zero(t, h.Over())
	h.Record(2 * HistMax)
	h.Record(math.MaxInt64)
	h.Record(math.MaxInt64)
	require.Equal(t, int64(2+1), h.Over())
	require.Equal(t, int64(math.MaxInt64), h.Max())
	require.InEpsilon(t, (3*float64(HistMax)+2*float64(math.MaxInt64))/4, h.Mean(), 1e-12) // beyond 64 bits
	require.Equal(t, int64(4), h.CountUpTo(math.MaxInt64))
	require.Panics(t, func() { h.Record(-1) })
}

func TestEmptyHistIsZero(t *testing.T) {
	t.Parallel()
	h := NewHist(HistBits)
	require.Zero(t, h.Quantile(990))
	require.Zero(t, h.Mean())
	require.Zero(t, h.Min())
	require.Zero(t, h.Max())
	require.Zero(t, h.CountUpTo(5))
	require.Empty(t, h.Bins())
	require.Zero(t, NewGroupHist(GroupBits).Quantile(500))
}

// Every value lies in its bin, and neighbouring bins share an edge.
func TestHistLayoutProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := uint(rapid.IntRange(5, 12).Draw(t, "bits"))
		v := rapid.Int64Range(0, HistMax).Draw(t, "v")
		i := indexOf(v, b)
		low, width := edgesOf(i, b)
		require.True(t, low <= v && v < low+width, "v %d low %d width %d", v, low, width)
		next, _ := edgesOf(i+1, b)
		require.Equal(t, low+width, next)
		if width > 1 {
			require.LessOrEqual(t, float64(width)/float64(low), math.Pow(2, -float64(b)))
		}
	})
}

// Halves merge to the whole, in dense, sparse and packed form; the quantile is
// never further than one bin from the sorted values, and never decreases.
func TestHistMergeAndQuantileProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		values := rapid.SliceOfN(rapid.Int64Range(0, 1<<uint(rapid.IntRange(1, 43).Draw(t, "span"))), 1, 300).Draw(t, "values")
		cut := rapid.IntRange(0, len(values)).Draw(t, "cut")
		whole, a, b, sparse := NewHist(10), NewHist(10), NewHist(10), NewGroupHist(10)
		for i, v := range values {
			whole.Record(v)
			sparse.Record(v)
			if i < cut {
				a.Record(v)
			} else {
				b.Record(v)
			}
		}
		b.Merge(a)
		require.Equal(t, whole, b)
		require.Equal(t, whole, whole.Pack().Hist())
		require.Equal(t, whole, sparse.Pack().Hist())

		slices.Sort(values)
		last := 0.0
		for k := 0; k <= 1000; k += 25 {
			q := whole.Quantile(k)
			require.Equal(t, q, sparse.Quantile(k))
			require.GreaterOrEqual(t, q, last)
			last = q
			exact := float64(min(values[max(rankOf(k, whole.n), 1)-1], HistMax))
			if exact < float64(HistMax) {
				require.InDelta(t, exact, q, exact/1024+1e-9)
			}
		}
		require.True(t, whole.Quantile(0) >= float64(whole.Min()) && last <= float64(whole.Max()))
	})
}

func TestRecordAllocatesNothing(t *testing.T) {
	h := NewHist(HistBits)
	require.Zero(t, testing.AllocsPerRun(100, func() { h.Record(123456789) }))
}

func BenchmarkHistRecord(b *testing.B) {
	h := NewHist(HistBits)
	v := int64(1)
	b.ReportAllocs()
	for b.Loop() {
		v = (v*6364136223846793005 + 1442695040888963407) & (1<<32 - 1)
		h.Record(v)
	}
}

func BenchmarkHistMerge(b *testing.B) {
	h, o := NewHist(HistBits), NewHist(HistBits)
	o.Record(1)
	for b.Loop() {
		h.Merge(o)
	}
}

// A curve reads counts below a value and values at a share: both ways agree.
func TestCurveReadings(t *testing.T) {
	t.Parallel()
	h := NewHist(HistBits)
	for v := range int64(1000) {
		h.Record(v)
	}
	require.Equal(t, int64(500), h.CountUpTo(499))
	require.Equal(t, int64(1000), h.CountUpTo(5000))
	require.Zero(t, h.CountUpTo(-1))
	require.Equal(t, h.Quantile(990), h.QuantileAt(0.99))
	require.Equal(t, h.Quantile(999), h.QuantileAt(0.999))
	require.Equal(t, 0.0, h.QuantileAt(0))
	require.Equal(t, 999.0, h.QuantileAt(1))
	require.Equal(t, Bin{Low: 7, Width: 1, Count: 1}, h.Bins()[7])
	require.Equal(t, HistBits, h.Precision())
	require.Panics(t, func() { h.Merge(NewHist(11)) })
}
