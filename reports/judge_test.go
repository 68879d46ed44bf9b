package reports

import (
	"encoding/json"
	"math"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func place(t require.TestingT, texts ...string) []PlacedGate {
	var out []PlacedGate
	for i, s := range texts {
		g, errs := ParseGate(s)
		require.Empty(t, errs, s)
		out = append(out, PlacedGate{Expr: g, Line: i + 1, Column: 3})
	}
	return out
}

// seeded is a cell whose seeds have the given P99 in ms.
func seeded(policy string, p99 ...float64) Cell {
	load := 0.8
	c := Cell{Policy: policy, Load: &load, Unit: UnitSeed, Seeds: len(p99), WorkloadHash: "w", ResultHash: policy,
		Requests: int64(len(p99)) * 10_000, Completed: int64(len(p99)) * 10_000, Errors: map[string]int64{}}
	for i, x := range p99 {
		c.Parts = append(c.Parts, Part{Seed: i + 1, P99MS: finite(x), MeanMS: finite(x / 4), P50MS: finite(x / 5), ErrorRate: finite(0),
			Requests: 10_000, Completed: 10_000})
	}
	c.P99MS, c.P99CI = LogInterval(p99, 0.95)
	c.MeanMS, c.P50MS, c.ErrorRate = finite(estimateOf(p99).mean/4), finite(*c.P99MS/5), finite(0)
	return c
}

// logSeeded has base·exp(d) for every d.
func logSeeded(policy string, base float64, d ...float64) Cell {
	xs := make([]float64, len(d))
	for i, x := range d {
		xs[i] = base * math.Exp(x)
	}
	return seeded(policy, xs...)
}

func judgeOne(t require.TestingT, gate string, opt JudgeOptions, cells ...Cell) Gate {
	out, _ := Judge(place(t, gate), cells, opt)
	require.Len(t, out, 1)
	return out[0]
}

func golden() []Cell {
	return []Cell{logSeeded("new", 100, 0, .02, .04, .06, .08), logSeeded("old", 100, 0, 0, 0, 0, 0)}
}

func TestJudgeGolden(t *testing.T) {
	t.Parallel()
	for gate, want := range map[string]Verdict{
		"p99(new) <= 1.10 * p99(old)": Pass, "p99(new) <= 1.05 * p99(old)": Inconclusive, "p99(new) <= 1.00 * p99(old)": Fail,
		"p99(new) within 10% of old": Pass, "p99(new) within 5% of old": Inconclusive, "p99(new) within 0.05% of old": Fail,
		"p99(old) >= 0.90 * p99(new)": Pass, "p99(old) >= 1 * p99(new)": Fail,
	} {
		require.Equal(t, want, judgeOne(t, gate, JudgeOptions{}, golden()...).Verdict, gate)
	}
	g := judgeOne(t, "p99(new) <= 1.05 * p99(old)", JudgeOptions{}, golden()...)
	require.InDelta(t, 0.0408, *g.Change, 0.00005)
	require.InDelta(t, 0.0007, g.ChangeCI[0], 0.00005)
	require.InDelta(t, 0.0825, g.ChangeCI[1], 0.00005)
	require.Equal(t, 48, *g.More)
	require.Equal(t, 5, g.N)
	require.Contains(t, *g.Reason, "48 more seeds")
	require.InEpsilon(t, 105, *g.Limit, 1e-9)
	require.Equal(t, Reference{Kind: "policy", Policy: "old"}, g.Reference)
	require.Equal(t, "ms", g.Unit)
	require.Equal(t, [2]int{1, 3}, [2]int{g.Line, g.Column})
	require.Equal(t, "p99(new) <= 1.05 * p99(old)", g.Expr)

	// The tolerance is the difference itself.
	g = judgeOne(t, "p99(new) <= 1.0408107741923882 * p99(old)", JudgeOptions{}, golden()...)
	require.Nil(t, g.More)
	require.Contains(t, *g.Reason, "more seeds will not settle it")
}

// d = 0 … .10 over six block pairs: +5.13%, CI +1.08…+9.34%.
func TestJudgeBlocks(t *testing.T) {
	t.Parallel()
	a, b := logSeeded("a", 100, 0, .02, .04, .06, .08, .10), logSeeded("b", 100, 0, 0, 0, 0, 0, 0)
	for _, c := range []*Cell{&a, &b} {
		c.Unit, c.WorkloadHash = UnitBlock, c.Policy
		for i := range c.Parts {
			pair := i
			c.Parts[i].Seed, c.Parts[i].Index, c.Parts[i].Pair = 1, i*2, &pair
		}
	}
	g := judgeOne(t, "p99(a) <= 1.10 * p99(b)", JudgeOptions{Live: true}, a, b)
	require.Equal(t, Pass, g.Verdict)
	require.InDelta(t, 0.0513, *g.Change, 0.00005)
	require.InDelta(t, 0.0108, g.ChangeCI[0], 0.00005)
	require.InDelta(t, 0.0934, g.ChangeCI[1], 0.00005)
	for i := range a.Parts { // two levels, one after the other: a drift, not noise
		a.Parts[i].P99MS = finite(100 + float64(i/3))
	}
	for i := range 6 { // twelve pairs
		pair := 6 + i
		a.Parts = append(a.Parts, Part{Seed: 1, Pair: &pair, P99MS: finite(102 + float64(i/3))})
		b.Parts = append(b.Parts, Part{Seed: 1, Pair: &pair, P99MS: finite(100)})
	}
	g = judgeOne(t, "p99(a) <= 1.10 * p99(b)", JudgeOptions{Live: true}, a, b)
	require.Equal(t, Inconclusive, g.Verdict)
	require.Contains(t, *g.Reason, "autocorrelated")
	a.Parts = a.Parts[:5]
	g = judgeOne(t, "p99(a) <= 1.10 * p99(b)", JudgeOptions{Live: true}, a, b)
	require.Equal(t, "needs at least 6 block pairs", *g.Reason)
}

func TestJudgeConstants(t *testing.T) {
	t.Parallel()
	c := seeded("a", 100, 110, 121) // CI 86.8 … 139.4
	for gate, want := range map[string]Verdict{
		"p99(a) < 140ms": Pass, "p99(a) < 86ms": Fail, "p99(a) < 120ms": Inconclusive,
		"p99(a) > 86ms": Pass, "p99(a) > 140ms": Fail, "p99(a) > 0.12s": Inconclusive,
		"p99(a)/p50(a) < 5.1": Pass, "p99(a)/p50(a) >= 5.1": Fail,
		"error_rate(a) < 1%": Pass, "error_rate(a) <= 0": Pass, "error_rate(a) < 0%": Fail, "error_rate(a) > 1%": Fail,
		"mean(a) < 1s": Pass,
	} {
		require.Equal(t, want, judgeOne(t, gate, JudgeOptions{}, c).Verdict, gate)
	}
	g := judgeOne(t, "p99(a) < 120ms", JudgeOptions{}, c)
	require.InDelta(t, 86.8, 120*(1+g.ChangeCI[0]), 0.05)
	require.InDelta(t, 139.4, 120*(1+g.ChangeCI[1]), 0.05)
	require.InDelta(t, 110, *g.Value, 1e-9)
	require.Equal(t, 120.0, *g.Limit)
	require.Positive(t, *g.More)
	require.Equal(t, "constant", g.Reference.Kind)
	require.Equal(t, "needs at least 2 seeds", *judgeOne(t, "p99(a) < 1s", JudgeOptions{}, seeded("a", 1)).Reason)
	require.Equal(t, Pass, judgeOne(t, "p99(a) < 1.1s", JudgeOptions{}, seeded("a", 1000, 1000)).Verdict)
	require.Equal(t, Fail, judgeOne(t, "p99(a) < 1s", JudgeOptions{}, seeded("a", 1000, 1000)).Verdict, "strict")
	require.Equal(t, Pass, judgeOne(t, "p99(a) <= 1s", JudgeOptions{}, seeded("a", 1000, 1000)).Verdict, "not strict")
}

// 41 of 4,000 unfinished are more than 1%: a P99 gate cannot pass; 40 are not.
func TestJudgeUnfinishedGolden(t *testing.T) {
	t.Parallel()
	for unfinished, want := range map[int64]Verdict{41: Inconclusive, 40: Pass} {
		c := seeded("a", 100, 110)
		c.Requests, c.Completed, c.Errors = 4000, 4000-unfinished, map[string]int64{"unfinished": unfinished}
		g := judgeOne(t, "p99(a) < 1h", JudgeOptions{}, c)
		require.Equal(t, want, g.Verdict)
		if want != Pass {
			require.Contains(t, *g.Reason, "unfinished: 41 of 4000")
			require.Nil(t, g.More)
		}
		require.Equal(t, Fail, judgeOne(t, "p99(a) < 1us", JudgeOptions{}, c).Verdict, "it may fail")
		require.Equal(t, Pass, judgeOne(t, "p50(a) < 1h", JudgeOptions{}, c).Verdict, "half is not missing")
	}
}

func TestJudgeHoldsBack(t *testing.T) {
	t.Parallel()
	c := seeded("a", 100, 101, 102)
	load, other := 0.8, 0.9
	for _, k := range []struct {
		reason string
		opt    JudgeOptions
	}{
		{"", JudgeOptions{}},
		{"unstable", JudgeOptions{Warnings: []Warning{{Code: "unstable", Policy: "a", Load: &load}}}},
		{"", JudgeOptions{AllowOverload: true, Warnings: []Warning{{Code: "unstable", Policy: "a", Load: &load}}}},
		{"", JudgeOptions{Warnings: []Warning{{Code: "unstable", Policy: "a", Load: &other}, {Code: "unstable", Policy: "b"}}}},
		{"", JudgeOptions{Warnings: []Warning{{Code: "short-run", Policy: "a", Metric: "p50"}, {Code: "near-critical"}}}},
		{"short-run", JudgeOptions{Warnings: []Warning{{Code: "short-run", Policy: "a", Metric: "p99"}}}},
		{"autocorrelated", JudgeOptions{Warnings: []Warning{{Code: "autocorrelated"}}}},
		{"transient", JudgeOptions{Transient: true}},
		{"policy-chance-only", JudgeOptions{PolicyChanceOnly: true}},
	} {
		g := judgeOne(t, "p99(a) < 1s", k.opt, c)
		if k.reason == "" {
			require.Equal(t, Pass, g.Verdict, "%+v", k.opt)
			continue
		}
		require.Equal(t, Inconclusive, g.Verdict, k.reason)
		require.Contains(t, *g.Reason, k.reason)
	}
	g := judgeOne(t, "p99(a) < 1s", JudgeOptions{Invalid: "rate-missed"}, c)
	require.Equal(t, Invalid, g.Verdict)
	require.Equal(t, "rate-missed", *g.Reason)
}

func TestJudgeBaseline(t *testing.T) {
	t.Parallel()
	c := golden()[0]
	g := judgeOne(t, "p99(new) within 5% of baseline", JudgeOptions{}, c)
	require.Equal(t, Inconclusive, g.Verdict)
	require.Equal(t, "no baseline yet: run with --update-baseline", *g.Reason)
	require.Equal(t, "baseline", g.Reference.Kind)

	base := golden()[1]
	base.Policy = "new"
	b := &Baseline{Path: "baselines/x.json", Cells: []Cell{base}}
	g = judgeOne(t, "p99(new) within 10% of baseline", JudgeOptions{Baseline: b}, c)
	require.Equal(t, Pass, g.Verdict)
	require.Nil(t, g.Reason)
	require.Equal(t, "baselines/x.json", g.Reference.Path)

	b.Cells[0] = logSeeded("new", 200, 0, 0, 0, 0, 0) // the new one is twice as fast
	b.Cells[0].ResultHash = "before"
	g = judgeOne(t, "p99(new) within 10% of baseline", JudgeOptions{Baseline: b}, c)
	require.Equal(t, Pass, g.Verdict)
	require.Equal(t, "improved; refresh the baseline", *g.Reason)

	b.Cells[0], b.SameCommit = c, true
	g = judgeOne(t, "p99(new) within 10% of baseline", JudgeOptions{Baseline: b}, c)
	require.Equal(t, "identical", *g.Reason)
	require.Equal(t, Interval{0, 0}, *g.ChangeCI)

	b.Cells[0].ResultHash = "else"
	_, w := Judge(place(t, "p99(new) within 10% of baseline"), []Cell{c}, JudgeOptions{Baseline: b})
	require.Equal(t, []string{"nondeterminism"}, codes(w))

	b.Cells = nil
	g = judgeOne(t, "p99(new) within 10% of baseline", JudgeOptions{Baseline: b}, c)
	require.Equal(t, "new at load 0.8 is not in the baseline", *g.Reason)
}

func TestJudgePairing(t *testing.T) {
	t.Parallel()
	a, b := logSeeded("a", 100, 0, .5, 1, 1.5), logSeeded("b", 130, 0, .5, 1, 1.5)
	require.Equal(t, Pass, judgeOne(t, "p99(a) < p99(b)", JudgeOptions{}, a, b).Verdict, "paired: always less")

	b.WorkloadHash = "else"
	g, w := Judge(place(t, "p99(a) < p99(b)"), []Cell{a, b}, JudgeOptions{})
	require.Equal(t, Inconclusive, g[0].Verdict, "unpaired: lost in the noise")
	require.Contains(t, *g[0].Reason, "unpaired")
	require.Equal(t, []string{"unpaired"}, codes(w))
	require.Positive(t, *g[0].More)

	// Digests of parts decide where both have them: a longer run pairs with its start.
	a, b = logSeeded("a", 100, 0, .5, 1), logSeeded("b", 101, 0, .5, 1, 1.5)
	a.WorkloadHash, b.WorkloadHash = "short", "long"
	for i := range b.Parts {
		b.Parts[i].WorkloadHash = string(rune('a' + i))
		if i < len(a.Parts) {
			a.Parts[i].WorkloadHash = b.Parts[i].WorkloadHash
		}
	}
	g, w = Judge(place(t, "p99(a) < p99(b)"), []Cell{a, b}, JudgeOptions{})
	require.Equal(t, Pass, g[0].Verdict)
	require.Equal(t, 3, g[0].N)
	require.Equal(t, []string{"unpaired-seeds"}, codes(w))
}

func TestJudgeZeroableMetrics(t *testing.T) {
	t.Parallel()
	with := func(policy string, rates ...float64) Cell {
		c := seeded(policy, 1, 1, 1)
		for i, r := range rates {
			c.Parts[i].P99MS, c.Parts[i].ErrorRate, c.Parts[i].GoodputRPS = nil, finite(r), finite(100*r)
		}
		c.P99MS = nil
		c.ErrorRate = finite(estimateOf(rates).mean)
		c.GoodputRPS = finite(100 * *c.ErrorRate)
		return c
	}
	zero, some, more := with("zero", 0.0, 0, 0), with("some", .10, .11, .12), with("more", .20, .21, .22)
	for gate, want := range map[string]Verdict{
		"error_rate(zero) <= error_rate(some)": Pass, "error_rate(some) <= error_rate(zero)": Fail,
		"error_rate(zero) <= 0.5 * error_rate(zero2)": Pass, "error_rate(some) <= 0.4 * error_rate(more)": Fail,
		"error_rate(some) within 50% of more": Pass, "error_rate(more) within 50% of some": Fail,
		"goodput(more) within 10% of some": Pass, "goodput(some) within 10% of more": Fail, "goodput(some) within 60% of more": Pass,
	} {
		zero2 := zero
		zero2.Policy = "zero2"
		require.Equal(t, want, judgeOne(t, gate, JudgeOptions{}, zero, zero2, some, more).Verdict, gate)
	}
	g := judgeOne(t, "error_rate(some) <= error_rate(zero)", JudgeOptions{}, zero, some)
	require.Nil(t, g.Change, "no fraction of nothing")
	g = judgeOne(t, "error_rate(more) <= error_rate(some)", JudgeOptions{}, some, more)
	require.InDelta(t, 0.1/0.11, *g.Change, 1e-9)
}

func TestJudgeCellsAndAxes(t *testing.T) {
	t.Parallel()
	var cells []Cell
	for _, load := range []float64{0.8, 0.9} {
		for _, gateways := range []any{1, 10} {
			for i, policy := range []string{"lease/maxmin", "token/maxmin", "lease/equal", "token/equal"} {
				c := logSeeded(policy, 100+10*float64(i%2), 0, .01, .02)
				c.Load, c.Axes = &load, map[string]any{"gateways": gateways}
				cells = append(cells, c)
			}
		}
	}
	out, _ := Judge(place(t, "p99(lease) < p99(token)"), cells, JudgeOptions{})
	require.Len(t, out, 8, "every cell of the label, once per share")
	for _, g := range out {
		require.Equal(t, Pass, g.Verdict)
		require.Contains(t, g.Policy, "lease/")
	}
	out, _ = Judge(place(t, "p99(maxmin) < 1s at load 90%, gateways 10"), cells, JudgeOptions{})
	require.Len(t, out, 2)
	require.Equal(t, map[string]any{"gateways": 10}, out[0].Axes)

	g := judgeOne(t, "p99(lease) < 1s at load 0.7", JudgeOptions{}, cells...)
	require.Equal(t, Inconclusive, g.Verdict)
	require.Contains(t, *g.Reason, "no finished cell")
	g = judgeOne(t, "p99(lease) < p99(gone) at load 0.8, gateways 1", JudgeOptions{}, cells[:1]...)
	require.Contains(t, *g.Reason, "gone/maxmin at load 0.8, gateways 1 is not among the finished cells")
}

func TestJudgeGroups(t *testing.T) {
	t.Parallel()
	c := seeded("a", 100, 101, 102)
	for i := range c.Parts {
		c.Parts[i].Groups = []Group{{By: "tenant", Name: "chat", Requests: 100, P99MS: finite(50), ErrorRate: finite(0)}}
	}
	c.Groups = []Group{{By: "tenant", Name: "chat", Requests: 300, P99MS: finite(50), ErrorRate: finite(0)}, {By: "tenant", Name: "other"}}
	g := judgeOne(t, "p99(a, tenant=chat) < 60ms", JudgeOptions{}, c)
	require.Equal(t, Pass, g.Verdict)
	require.Equal(t, &GroupRef{"tenant", "chat"}, g.Group)
	require.Equal(t, Pass, judgeOne(t, "p99(a, tenant=chat)/p99(a) < 0.51", JudgeOptions{}, c).Verdict)
	c.Groups[0].ErrorRate = finite(0.02)
	require.Contains(t, *judgeOne(t, "p99(a, tenant=chat) < 60ms", JudgeOptions{}, c).Reason, "survivor-bias: 6 of 300")
	require.Contains(t, *judgeOne(t, "p99(a, tenant=rare) < 60ms", JudgeOptions{}, c).Reason, "summed in `other`")
	require.Contains(t, *judgeOne(t, "p99(a, class=x) < 60ms", JudgeOptions{}, c).Reason, "no statistics of its own")
}

func TestJudgeSections(t *testing.T) {
	t.Parallel()
	a, b := seeded("a", 10, 11, 10, 9, 10, 11), seeded("b", 10, 11, 10, 9, 10, 11)
	a.Unit, b.Unit = UnitSection, UnitSection
	require.Equal(t, Pass, judgeOne(t, "p99(a) < 12ms", JudgeOptions{}, a).Verdict)
	require.Equal(t, Fail, judgeOne(t, "p99(a) < 9ms", JudgeOptions{}, a).Verdict)
	require.Nil(t, judgeOne(t, "p99(a) < 10.1ms", JudgeOptions{}, a).More)
	require.Contains(t, *judgeOne(t, "p99(a) < 12ms", JudgeOptions{Live: true}, a).Reason, "at least 10 sections")
	require.Contains(t, *judgeOne(t, "p99(a) < 2 * p99(b)", JudgeOptions{}, a, b).Reason, "one run has no pairs")
}

func TestJudgeUnknownValues(t *testing.T) {
	t.Parallel()
	c := seeded("a", 100, 101)
	c.P99MS = nil
	c.Parts[1].P99MS = nil
	require.Contains(t, *judgeOne(t, "p99(a) < 1s", JudgeOptions{}, c).Reason, "few-samples: p99 needs 3,000")
	require.Contains(t, *judgeOne(t, "goodput(a) > 1rps", JudgeOptions{}, c).Reason, "measure.slo")
	require.Contains(t, *judgeOne(t, "jain(a) > 0.9", JudgeOptions{}, c).Reason, "jain is not known")
	zero := seeded("z", 100, 101)
	zero.Parts[0].P99MS = finite(0)
	require.Contains(t, *judgeOne(t, "p99(z) < 1s", JudgeOptions{}, zero).Reason, "no logarithm")
	_, w := Judge(place(t, "p99(a) within 0.1% of baseline"), []Cell{c}, JudgeOptions{})
	require.Equal(t, []string{"tolerance-below-resolution"}, codes(w))
}

// Verdicts do not depend on the order of seeds nor on the unit of time; swapping
// sides mirrors them; a wider tolerance never turns pass into fail.
func TestJudgeProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, 12).Draw(t, "n")
		draw := rapid.Float64Range(50, 200)
		xs, ys := make([]float64, n), make([]float64, n)
		for i := range n {
			xs[i], ys[i] = draw.Draw(t, "x"), draw.Draw(t, "y")
		}
		a, b := seeded("a", xs...), seeded("b", ys...)
		gate := "p99(a) <= 1.05 * p99(b)"
		want := judgeOne(t, gate, JudgeOptions{}, a, b)

		order := rapid.Permutation(indices(n)).Draw(t, "order")
		pa, pb := a, b
		pa.Parts, pb.Parts = nil, nil
		for _, i := range order {
			pa.Parts = append(pa.Parts, a.Parts[i])
		}
		pb.Parts = slices.Clone(b.Parts)
		got := judgeOne(t, gate, JudgeOptions{}, pa, pb)
		require.Equal(t, want.Verdict, got.Verdict)
		require.InDelta(t, *want.Change, *got.Change, 1e-9)

		k := rapid.Float64Range(0.01, 100).Draw(t, "scale")
		for i := range n {
			xs[i] *= k
			ys[i] *= k
		}
		got = judgeOne(t, gate, JudgeOptions{}, seeded("a", xs...), seeded("b", ys...))
		require.InDelta(t, *want.Change, *got.Change, 1e-9)

		swapped := judgeOne(t, "p99(b) <= 1.05 * p99(a)", JudgeOptions{}, a, b)
		require.InEpsilon(t, 1, (1+*want.Change)*(1+*swapped.Change), 1e-9)

		narrow := judgeOne(t, "p99(a) within 5% of b", JudgeOptions{}, a, b).Verdict
		wide := judgeOne(t, "p99(a) within 20% of b", JudgeOptions{}, a, b).Verdict
		require.False(t, narrow == Pass && wide != Pass)
		require.False(t, wide == Fail && narrow != Fail)
	})
}

func TestCompareWords(t *testing.T) {
	t.Parallel()
	cells := golden()
	up := Compare(&cells[1], &cells[0], "p99", 0)
	require.Equal(t, Worse, up.Word)
	require.InDelta(t, 0.0408, *up.Change, 0.00005)
	require.Equal(t, 5, up.N)
	require.Equal(t, BetterBy, Compare(&cells[0], &cells[1], "p99_ms", 0).Word)
	require.Equal(t, Same, Compare(&cells[1], &cells[0], "p99", 0.99).Word)
	same := Compare(&cells[0], &cells[0], "p99", 0)
	require.Equal(t, Identical, same.Word)
	require.Equal(t, Interval{0, 0}, *same.CI)
	require.Zero(t, *same.Change)
	require.NotEmpty(t, Compare(&cells[0], &cells[1], "goodput", 0).Reason)
}

func TestCompareEffect(t *testing.T) {
	t.Parallel()
	a, b := logSeeded("a", 100, 0, .5, 1, 1.5), logSeeded("b", 110, .01, .5, 1, 1.5)
	c := Compare(&b, &a, "p99", 0)
	require.Equal(t, BetterBy, c.Word)
	require.Equal(t, 1.0, *c.Lower)
	require.Greater(t, *c.Gain, 1000.0, "common random numbers")
	b.WorkloadHash = "else"
	c = Compare(&b, &a, "p99", 0)
	require.True(t, c.Unpaired)
	require.Equal(t, Same, c.Word)
	require.Nil(t, c.Gain)
	group := []Group{{By: "tenant", Name: "x", P99MS: finite(5)}}
	for _, cell := range []*Cell{&a, &b} {
		cell.Groups = group
		for i := range cell.Parts {
			cell.Parts[i].Groups = group
		}
	}
	require.Equal(t, Same, CompareGroup(&b, &a, "p99", &GroupRef{"tenant", "x"}, 0).Word)
}

// Whatever the numbers, verdicts can be written as JSON: no NaN, no Inf, no panic.
func TestJudgeOfOddNumbers(t *testing.T) {
	t.Parallel()
	texts := []string{
		"p99(a) < 1s", "p99(a) >= 3 * p99(b)", "p99(a)/p50(a) < 2", "p99(a)/p50(a) within 5% of b", "mean(a) < 1ms", "max(a) > 1us",
		"error_rate(a) <= 0.5 * error_rate(b)", "error_rate(a) < 5%", "goodput(a) within 5% of baseline", "gpu_seconds(a) < 1h",
		"p50(a, tenant=x) < 1ms", "messages(a) <= messages(b)",
	}
	rapid.Check(t, func(t *rapid.T) {
		odd := rapid.SampledFrom([]*float64{nil, finite(0), finite(1), finite(1), finite(3), finite(1e-300), finite(1e300), finite(-1)})
		build := func(policy string) Cell {
			c := Cell{Policy: policy, Unit: rapid.SampledFrom([]string{UnitSeed, UnitSection, UnitBlock}).Draw(t, "unit"),
				P99MS: odd.Draw(t, "v"), P50MS: odd.Draw(t, "v"), MeanMS: odd.Draw(t, "v"), MaxMS: odd.Draw(t, "v"), ErrorRate: odd.Draw(t, "v"),
				GoodputRPS: odd.Draw(t, "v"), Requests: rapid.Int64Range(0, 3).Draw(t, "n"), ResultHash: rapid.SampledFrom([]string{"", "h", policy}).Draw(t, "hash"),
				WorkloadHash: rapid.SampledFrom([]string{"w", policy}).Draw(t, "work"), Groups: []Group{{By: "tenant", Name: "x", P50MS: odd.Draw(t, "v")}}}
			for i := range rapid.IntRange(0, 12).Draw(t, "parts") {
				c.Parts = append(c.Parts, Part{Seed: i, P99MS: odd.Draw(t, "v"), P50MS: odd.Draw(t, "v"), MeanMS: odd.Draw(t, "v"), MaxMS: odd.Draw(t, "v"),
					ErrorRate: odd.Draw(t, "v"), GoodputRPS: odd.Draw(t, "v"), GPUSec: odd.Draw(t, "v"), Groups: []Group{{By: "tenant", Name: "x", P50MS: odd.Draw(t, "v")}}})
			}
			return c
		}
		a, b, old := build("a"), build("b"), build("a")
		gates, warnings := Judge(place(t, texts...), []Cell{a, b}, JudgeOptions{Baseline: &Baseline{Cells: []Cell{old}, SameCommit: true}})
		require.Len(t, gates, len(texts))
		_, err := json.Marshal(Summary{Gates: gates, Warnings: warnings})
		require.NoError(t, err)
		for _, g := range gates {
			require.True(t, g.Verdict == Pass || g.Reason != nil, "%s: %s without a reason", g.Expr, g.Verdict)
			require.True(t, g.More == nil || g.Verdict == Inconclusive && *g.More > 0)
		}
		_, err = json.Marshal(Compare(&b, &a, "p99", 0))
		require.NoError(t, err)
	})
}

func TestOverallAndExitCode(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		verdicts     []Verdict
		overall      Verdict
		code, strict int
	}{
		{nil, VerdictNone, 0, 0}, {[]Verdict{Pass}, Pass, 0, 0}, {[]Verdict{Pass, Inconclusive}, Inconclusive, 0, 4},
		{[]Verdict{Inconclusive, Fail, Pass}, Fail, 1, 1}, {[]Verdict{Fail, Invalid}, Invalid, 3, 3},
	} {
		var gates []Gate
		for _, v := range c.verdicts {
			gates = append(gates, Gate{Verdict: v})
		}
		require.Equal(t, c.overall, Overall(gates))
		require.Equal(t, c.code, ExitCode(gates, false))
		require.Equal(t, c.strict, ExitCode(gates, true))
	}
}
