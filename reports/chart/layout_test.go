package chart

import (
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSpread(t *testing.T) {
	t.Parallel()
	require.Empty(t, spread(nil, 10, 0, 100))
	require.Equal(t, []float64{20, 60}, spread([]float64{20, 60}, 10, 0, 100), "what is apart stays")
	require.Equal(t, []float64{45, 55}, spread([]float64{50, 50}, 10, 0, 100), "what touches moves equally")
	require.Equal(t, []float64{0, 10, 20}, spread([]float64{0, 0, 0}, 10, 0, 100), "the edge holds")
	require.Equal(t, []float64{80, 90, 100}, spread([]float64{99, 99, 200}, 10, 0, 100))
	rapid.Check(t, func(t *rapid.T) {
		want := rapid.SliceOfN(rapid.Float64Range(-50, 150), 1, 15).Draw(t, "want")
		slices.Sort(want)
		got := spread(want, 10, 0, 100)
		gap := min(10, 100/max(1, float64(len(want)-1)))
		require.Len(t, got, len(want))
		for i, y := range got {
			require.True(t, y >= -1e-6 && y <= 100+1e-6, "%v", got)
			if i > 0 {
				require.GreaterOrEqual(t, y-got[i-1], gap-1e-6, "%v", got)
			}
		}
	})
}

func TestTicks(t *testing.T) {
	t.Parallel()
	require.Equal(t, []float64{100, 200, 500, 1000}, logTicks(90, 1100, 5))
	require.Equal(t, []float64{1, 10, 100, 1000, 10000}, logTicks(1, 10000, 6))
	require.Equal(t, []float64{100, 105, 110, 115}, logTicks(98, 118, 5), "too short for decades: even steps")
	require.Nil(t, logTicks(0, 10, 5))
	require.Nil(t, logTicks(math.NaN(), 10, 5))
	require.Equal(t, []float64{0, 20, 40, 60, 80, 100}, linTicks(0, 100, 7))
	require.Nil(t, linTicks(1, 1, 5))
	rapid.Check(t, func(t *rapid.T) {
		lo := math.Pow(10, rapid.Float64Range(-6, 6).Draw(t, "lo"))
		hi := lo * math.Pow(10, rapid.Float64Range(0.05, 9).Draw(t, "span"))
		ts := logTicks(lo, hi, 7)
		require.NotEmpty(t, ts)
		require.LessOrEqual(t, len(ts), 8)
		require.True(t, slices.IsSorted(ts))
		require.True(t, ts[0] >= lo*(1-1e-6) && ts[len(ts)-1] <= hi*(1+1e-6), "%v outside %v…%v", ts, lo, hi)
	})
}

func TestLooksDiffer(t *testing.T) {
	t.Parallel()
	type key struct {
		c      ink
		dashes int
	}
	seen, marks := map[key]bool{}, map[[3]int]bool{}
	for i := range maxSeries {
		l := lookOf(i)
		k := key{l.line, len(l.dash)}
		if len(l.dash) == 2 && l.dash[0] < 2 {
			k.dashes = 1 // dots
		}
		require.False(t, seen[k], "series %d looks like an earlier one", i)
		seen[k] = true
		m := [3]int{int(l.line), l.marker}
		require.False(t, marks[m], "series %d has the marker of an earlier one of its colour", i)
		marks[m] = true
	}
}

// WCAG: 3:1 for lines, 4.5:1 for text, on the ground of each theme.
func TestContrast(t *testing.T) {
	t.Parallel()
	for _, th := range []Theme{Light(), Dark()} {
		ground := th.colours[paper]
		for _, c := range []ink{line1, line2, line3, line4} {
			require.GreaterOrEqual(t, contrast(th.colours[c], ground), 3.0, "%s %s", th.Name, inkNames[c])
		}
		for _, c := range []ink{text, muted, label1, label2, label3, label4} {
			require.GreaterOrEqual(t, contrast(th.colours[c], ground), 4.5, "%s %s", th.Name, inkNames[c])
		}
		hot := blend(th.colours[line2], ground, 0.54) // the strongest tint of the matrix
		require.GreaterOrEqual(t, contrast(th.colours[text], hot), 4.5, "%s matrix", th.Name)
	}
}

func contrast(a, b uint32) float64 {
	la, lb := luminance(a), luminance(b)
	return (max(la, lb) + 0.05) / (min(la, lb) + 0.05)
}

func luminance(c uint32) float64 {
	channel := func(v uint32) float64 {
		f := float64(v&0xff) / 255
		if f <= 0.04045 {
			return f / 12.92
		}
		return math.Pow((f+0.055)/1.055, 2.4)
	}
	return 0.2126*channel(c>>16) + 0.7152*channel(c>>8) + 0.0722*channel(c)
}

func blend(top, ground uint32, a float64) uint32 {
	var out uint32
	for shift := 0; shift < 24; shift += 8 {
		v := a*float64(top>>shift&0xff) + (1-a)*float64(ground>>shift&0xff)
		out |= uint32(v) << shift
	}
	return out
}

func TestThinKeepsExtremes(t *testing.T) {
	t.Parallel()
	s := Series{}
	for i := range 10_000 {
		s.X, s.Y = append(s.X, float64(i)), append(s.Y, 5)
	}
	s.Y[1234], s.Y[8765] = 99, -3
	out := thin(s, maxPoints)
	require.LessOrEqual(t, len(out), maxPoints)
	require.Contains(t, out, pt{1234, 99})
	require.Contains(t, out, pt{8765, -3})
	require.True(t, slices.IsSortedFunc(out, func(a, b pt) int { return int(a.x - b.x) }))
}
