package reports

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestSectionProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		xs := rapid.SliceOfN(rapid.Float64Range(1, 1e4), 5, 20).Draw(t, "sections")
		centre := rapid.Float64Range(1, 1e4).Draw(t, "centre")
		ci := SectionInterval(centre, xs, .95)
		require.True(t, 0 <= ci[0] && ci[0] <= centre && centre <= ci[1])
		shuffled := SectionInterval(centre, rapid.Permutation(xs).Draw(t, "order"), .95)
		require.InEpsilon(t, ci[1], shuffled[1], 1e-9, "in any order")
		wide := SectionInterval(centre, xs, .99)
		require.True(t, wide[0] <= ci[0] && ci[1] <= wide[1])
	})
}

// Requests that never end can only make a cell look worse: goodput falls, no
// percentile's gate passes that would not have passed before, and none is lost.
func TestUnfinishedNeverHelps(t *testing.T) {
	t.Parallel()
	gate := place(t, "p99(x) < 50ms")
	rapid.Check(t, func(t *rapid.T) {
		lost := rapid.IntRange(0, 200).Draw(t, "unfinished")
		slow := rapid.IntRange(0, 100).Draw(t, "slow")
		run := func(lost int) (Cell, Gate) {
			var runs []*Collector
			for seed := range 3 {
				c := NewCollector(Setup{Seed: seed + 1, Outcomes: []string{"ok", "unfinished"}, SLO: SLO{Latency: 20 * ms}})
				for i := range 4000 {
					r := served(uint64(i), ms+time.Duration(i%7)*ms)
					if i < slow {
						r = served(uint64(i), 100*ms)
					}
					if i < lost { // the slowest are those that do not come back
						r.Outcome = 1
					}
					c.Add(&r)
				}
				c.Close(End{MeasuredTime: time.Second})
				runs = append(runs, c)
			}
			cells, w := Summarize([]CellRuns{{Policy: "x", Runs: runs}}, Options{})
			gates, _ := Judge(gate, cells, JudgeOptions{Warnings: w})
			return cells[0], gates[0]
		}
		all, _ := run(0)
		some, after := run(lost)
		require.Equal(t, some.Requests, some.Completed+some.Errors["unfinished"])
		require.LessOrEqual(t, *some.GoodputRPS, *all.GoodputRPS)
		if lost > 40 { // a share above 1 − p
			require.NotEqual(t, Pass, after.Verdict, "the survivors prove nothing")
		}
	})
}

// A constant added to all ln x of one side shifts the interval by it; swapping the
// sides mirrors it.
func TestComparisonProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 12).Draw(t, "n")
		of := func(name string) []float64 { return rapid.SliceOfN(rapid.Float64Range(-1, 1), n, n).Draw(t, name) }
		da, db, shift := of("a"), of("b"), rapid.Float64Range(-1, 1).Draw(t, "shift")
		a, b := logSeeded("a", 100, da...), logSeeded("b", 100, db...)
		c := Compare(&a, &b, "p99", 0)
		back := Compare(&b, &a, "p99", 0)
		same := func(x, y float64) { // a change near −100% holds the digits of its ratio no more
			require.InDelta(t, math.Log1p(x), -math.Log1p(y), 1e-9+1e-15*math.Exp(math.Abs(math.Log1p(x))))
		}
		same(*c.Change, *back.Change)
		same(c.CI[0], back.CI[1])
		for i := range db {
			db[i] += shift
		}
		moved := logSeeded("b", 100, db...)
		m := Compare(&a, &moved, "p99", 0)
		require.InDelta(t, math.Log1p(c.CI[0])+shift, math.Log1p(m.CI[0]), 1e-6)
		require.InDelta(t, math.Log1p(c.CI[1])+shift, math.Log1p(m.CI[1]), 1e-6)
	})
}
