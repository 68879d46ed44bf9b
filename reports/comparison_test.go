package reports

import (
	"encoding/json"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

// stored is a saved run of the given cells.
func stored(path string, cells ...Cell) *Stored {
	for i := range cells {
		cells[i].ResultHash = path + cells[i].Policy
	}
	return &Stored{Path: path, Summary: Summary{Schema: SummarySchema, Scenario: "x", ScenarioHash: "h", Host: "sim", Verdict: VerdictNone, Cells: cells}}
}

func atLoad(c Cell, load float64) Cell {
	c.Load = &load
	return c
}

func TestCompareRuns(t *testing.T) {
	t.Parallel()
	base := stored("before", logSeeded("a", 100, 0, 0, 0, 0, 0), logSeeded("b", 200, 0, .3, .1, .2, 0), logSeeded("gone", 1, 0, 0))
	now := stored("after", logSeeded("a", 100, 0, .02, .04, .06, .08), logSeeded("b", 200, 0, .3, .1, .2, 0), atLoad(logSeeded("a", 100, 0, 0), 0.9))
	now.Cells[1].ResultHash = base.Cells[1].ResultHash
	now.Gates = []Gate{{Expr: "p99(a) < p99(b)", Line: 4, Column: 5}, {Expr: "p99(a) < p99(b)", Line: 4, Column: 5}, {Expr: "p99(a) within 1% of baseline", Line: 5, Column: 5}}
	c, err := CompareRuns(base, now, CompareOptions{Tolerance: 10})
	require.NoError(t, err)

	require.Equal(t, []CellName{{Policy: "gone", Load: base.Cells[2].Load, Axes: map[string]any{}}}, c.OnlyBase)
	require.Equal(t, []CellName{{Policy: "a", Load: now.Cells[2].Load, Axes: map[string]any{}}}, c.OnlyNew)
	require.Empty(t, c.Changed)
	require.Equal(t, []string{"p50", "p99"}, []string{c.Metrics[0].Metric, c.Metrics[1].Metric})
	a, b := c.Metrics[1].Cells[0], c.Metrics[1].Cells[1]
	require.InDelta(t, 0.0408, *a.Change.Change, 0.00005)
	require.Equal(t, Worse, a.Word)
	require.Equal(t, Identical, b.Word)

	// The geometric mean has the mean of the two ln ratios per seed: 0 .01 .02 .03 .04.
	g := c.Metrics[1].Geomean
	require.Equal(t, 2, g.Cells)
	require.InDelta(t, math.Exp(.02)-1, *g.Change, 1e-9)
	require.InDelta(t, math.Exp(.02-2.77645*.0158114/math.Sqrt(5))-1, g.CI[0], 1e-6)
	require.InDelta(t, math.Sqrt(100*200*math.Exp(.12)), *g.Base, 1e-9)

	// The scenario's gates, each once per cell, then the tolerance in both common cells.
	var got []string
	for _, x := range c.Gates {
		got = append(got, string(x.Verdict)+" "+x.Expr)
	}
	require.Equal(t, []string{"pass p99(a) < p99(b)", "inconclusive p99(a) < p99(b)", "inconclusive p99(a) within 1% of baseline",
		"inconclusive p99(a) within 1% of baseline", "pass p99(a) within 10% of baseline at load 0.8", "pass p99(b) within 10% of baseline at load 0.8"}, got)
	require.Equal(t, 4, c.Gates[0].Line)
	require.Zero(t, c.Gates[4].Line)
	require.Equal(t, Reference{Kind: "baseline", Path: "before"}, c.Gates[4].Reference)
	require.Equal(t, Inconclusive, c.Verdict)
	_, err = json.Marshal(c)
	require.NoError(t, err)

	_, err = c.JSON()
	require.NoError(t, err)
	swapped, err := CompareRuns(now, base, CompareOptions{})
	require.NoError(t, err)
	require.InEpsilon(t, 1, (1+*a.Change.Change)*(1+*swapped.Metrics[1].Cells[0].Change.Change), 1e-9)
	require.Empty(t, swapped.Gates, "a baseline has none")
	require.Equal(t, VerdictNone, swapped.Verdict)
}

func TestCompareRunsUnpaired(t *testing.T) {
	t.Parallel()
	base := stored("before", logSeeded("a", 100, 0, .1, .2), logSeeded("b", 100, 0, .1, .2, .3))
	now := stored("after", logSeeded("a", 100, 0, .1, .2), logSeeded("b", 100, 0, .1, .2))
	now.Cells[0].WorkloadHash = "else"
	c, err := CompareRuns(base, now, CompareOptions{Metrics: []string{"p99"}})
	require.NoError(t, err)
	require.True(t, c.Metrics[0].Cells[0].Unpaired)
	require.Equal(t, 1, c.Metrics[0].Cells[1].Dropped)
	require.NotNil(t, c.Metrics[0].Geomean.Change)
	require.Nil(t, c.Metrics[0].Geomean.CI, "cells without common seeds have no common interval")
	require.ElementsMatch(t, []string{"unpaired", "unpaired-seeds"}, codes(c.Warnings))
}

func TestCompareRunsGroups(t *testing.T) {
	t.Parallel()
	with := func(c Cell, p99 float64) Cell {
		c.Groups = []Group{{By: "tenant", Name: "x", P99MS: finite(p99)}}
		for i := range c.Parts {
			c.Parts[i].Groups = []Group{{By: "tenant", Name: "x", P99MS: finite(p99 + float64(i))}}
		}
		return c
	}
	c, err := CompareRuns(stored("before", with(logSeeded("a", 100, 0, .1), 50)), stored("after", with(logSeeded("a", 100, 0, .1), 80)), CompareOptions{})
	require.NoError(t, err)
	require.Equal(t, &GroupRef{By: "tenant", Name: "x"}, c.Metrics[1].Groups[0].Group)
	require.Equal(t, Worse, c.Metrics[1].Groups[0].Word)
	require.Nil(t, c.Metrics[1].Geomean, "one cell")
}

// What one of the runs is worth holds the gates back as it did when it was made.
func TestCompareRunsKeepsWhatWasFound(t *testing.T) {
	t.Parallel()
	base, now := stored("before", logSeeded("a", 100, 0, .1, .2)), stored("after", logSeeded("a", 100, 0, .1, .2))
	short := Warning{Code: "short-run", Policy: "a", Load: now.Cells[0].Load, Metric: "p99"}
	beside := Warning{Code: "short-run", Policy: "a", Load: now.Cells[0].Load, Metric: "p999"}
	base.Warnings, now.Warnings = []Warning{short}, []Warning{short, beside}
	c, err := CompareRuns(base, now, CompareOptions{Tolerance: 5})
	require.NoError(t, err)
	require.Equal(t, Inconclusive, c.Gates[0].Verdict)
	require.Equal(t, []Warning{short}, c.Warnings, "once, and nothing about metrics that are not compared")

	now.Cells[0].ResultHash = base.Cells[0].ResultHash
	c, err = CompareRuns(base, now, CompareOptions{Tolerance: 5})
	require.NoError(t, err)
	require.Equal(t, Pass, c.Gates[0].Verdict, "the same bits are no worse")

	now.Verdict = Invalid
	c, err = CompareRuns(base, now, CompareOptions{Tolerance: 5})
	require.NoError(t, err)
	require.Equal(t, Invalid, c.Verdict)
	require.Contains(t, *c.Gates[0].Reason, "after is not valid")
	c, err = CompareRuns(base, now, CompareOptions{})
	require.NoError(t, err)
	require.Empty(t, c.Gates)
	require.Equal(t, Invalid, c.Verdict, "also without gates")
	require.Contains(t, c.Invalid, "after is not valid")
}

func TestCompareRunsRefuses(t *testing.T) {
	t.Parallel()
	base, now := stored("before", logSeeded("a", 100, 0, .1)), stored("after", logSeeded("b", 100, 0, .1))
	_, err := CompareRuns(base, now, CompareOptions{})
	require.ErrorContains(t, err, "no cell in common: a against b")
	_, err = CompareRuns(base, base, CompareOptions{Metrics: []string{"p98"}})
	require.ErrorContains(t, err, `unknown metric "p98": did you mean "p90"?`)
	live := stored("live", base.Cells[0])
	live.Host = "live"
	_, err = CompareRuns(base, live, CompareOptions{})
	require.ErrorContains(t, err, "compares hosts")
	now.Cells[0].Policy = "a"
	now.Gates = []Gate{{Expr: "p99(a) smells"}}
	_, err = CompareRuns(base, now, CompareOptions{})
	require.ErrorContains(t, err, "gate `p99(a) smells` of x")
}

// A joined label is one cell: the tolerance names all of it.
func TestToleranceOfJoinedLabels(t *testing.T) {
	t.Parallel()
	cells := func() []Cell {
		return []Cell{logSeeded("lease/maxmin", 100, 0, .1, .2), logSeeded("lease/equal", 100, 0, .1, .2)}
	}
	c, err := CompareRuns(stored("before", cells()...), stored("after", cells()...), CompareOptions{Tolerance: 5})
	require.NoError(t, err)
	require.Len(t, c.Gates, 2)
	require.Equal(t, "p99(lease/maxmin) within 5% of baseline at load 0.8", c.Gates[0].Expr)
	require.Equal(t, Pass, c.Gates[0].Verdict)
}

func TestSameProgram(t *testing.T) {
	t.Parallel()
	a := Summary{Host: "sim", ScenarioHash: "h", Seed: 1, Git: &Git{Commit: "c"}, ToolVersion: "1", Machine: Machine{Arch: "amd64"}}
	b := a
	require.True(t, SameProgram(&a, &b))
	for _, change := range []func(s *Summary){
		func(s *Summary) { s.Git = &Git{Commit: "c", Dirty: true} }, func(s *Summary) { s.Git = nil }, func(s *Summary) { s.ToolVersion = "" },
		func(s *Summary) { s.Machine.Arch = "arm64" }, func(s *Summary) { s.Host = "live" }, func(s *Summary) { s.Seed = 2 },
	} {
		b = a
		change(&b)
		require.False(t, SameProgram(&a, &b))
	}
}

func TestJudgeForced(t *testing.T) {
	t.Parallel()
	opt := JudgeOptions{Invalid: "the client was saturated"}
	require.Equal(t, Invalid, judgeOne(t, "p99(new) <= 1.10 * p99(old)", opt, golden()...).Verdict)
	opt.Force = true
	g := judgeOne(t, "p99(new) <= 1.10 * p99(old)", opt, golden()...)
	require.Equal(t, Pass, g.Verdict)
	require.Equal(t, "not valid", *g.Reason)
	g = judgeOne(t, "p99(new) <= 1.05 * p99(old)", opt, golden()...)
	require.Contains(t, *g.Reason, "not valid; the interval holds the bound")
}

// Seeds that the baseline does not have would be dropped: it must have them, too.
func TestJudgeBaselineNeedsSeeds(t *testing.T) {
	t.Parallel()
	cells := golden()
	old := cells[1]
	old.Policy, old.ResultHash = "new", "before"
	g := judgeOne(t, "p99(new) within 5% of baseline", JudgeOptions{Baseline: &Baseline{Cells: []Cell{old}}}, cells[0])
	require.Equal(t, "the interval holds the bound; 48 more seeds would settle it; the baseline has 5 seeds: make it anew with as many", *g.Reason)
}
