package reports

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestHolm(t *testing.T) {
	t.Parallel()
	for i, want := range []float64{.03, .06, .06, .02} {
		require.InDelta(t, want, Holm([]float64{.01, .04, .03, .005})[i], 1e-12)
	}
	require.Empty(t, Holm(nil))
	rapid.Check(t, func(t *rapid.T) {
		ps := rapid.SliceOfN(rapid.Float64Range(0, 1), 1, 20).Draw(t, "p")
		adjusted := Holm(ps)
		for i := range ps {
			require.GreaterOrEqual(t, adjusted[i], ps[i])
			require.LessOrEqual(t, adjusted[i], 1.0)
			for k := range ps {
				require.False(t, ps[i] < ps[k] && adjusted[i] > adjusted[k], "monotone")
			}
		}
		more := Holm(append(slices.Clone(ps), rapid.Float64Range(0, 1).Draw(t, "one more")))
		for i := range ps {
			require.GreaterOrEqual(t, more[i], adjusted[i], "another gate never lowers an adjusted p")
		}
	})
}

// Of twenty gates that lie on their bound, one that fails by a hair is no longer
// beyond doubt; one that fails by far still fails.
func TestHolmGates(t *testing.T) {
	t.Parallel()
	base, now := &Stored{Path: "before"}, &Stored{Path: "after"}
	base.Host, now.Host = "sim", "sim"
	for i := range 20 {
		label := string(rune('a' + i))
		d := []float64{.01, -.01, .02, -.02, 0}
		switch i {
		case 0:
			d = []float64{.06, .07, .06, .07, .08} // against ln 1.05 = .0488: t = 5.1, p = .003
		case 1:
			d = []float64{.30, .301, .302, .301, .30}
		}
		now.Cells = append(now.Cells, logSeeded(label, 100, d...))
		base.Cells = append(base.Cells, logSeeded(label, 100, 0, 0, 0, 0, 0))
		base.Cells[i].ResultHash = "before"
	}
	verdicts := func(holm bool) []Verdict {
		c, err := CompareRuns(base, now, CompareOptions{Tolerance: 5, Holm: holm})
		require.NoError(t, err)
		require.Len(t, c.Gates, 20)
		return []Verdict{c.Gates[0].Verdict, c.Gates[1].Verdict, c.Gates[2].Verdict, c.Verdict}
	}
	require.Equal(t, []Verdict{Fail, Fail, Pass, Fail}, verdicts(false))
	require.Equal(t, []Verdict{Inconclusive, Fail, Pass, Fail}, verdicts(true))
}
