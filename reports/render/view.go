package render

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"

	"taillab/reports"
	"taillab/reports/chart"
)

// view is the part of a summary that fits one table: the cells at one load.
type view struct {
	s      *reports.Summary
	byRate bool
	at     float64        // the load (or rate) shown
	rows   []reports.Cell // at that load, best P99 first
	base   string         // policy that changes are relative to; empty if there is none
}

// newView chooses the load: the one asked for, else the highest with a gate, else
// the highest at which no policy is unstable, else the lowest.
func newView(s *reports.Summary, o Options) view {
	v := view{s: s, byRate: chart.ByRate(s.Cells)}
	if len(s.Cells) == 0 {
		return v
	}
	places := v.places()
	v.at = v.choose(places, o.AtLoad)
	for _, c := range s.Cells {
		if same(chart.PlaceOf(c, v.byRate), v.at) {
			v.rows = append(v.rows, c)
		}
	}
	slices.SortStableFunc(v.rows, func(a, b reports.Cell) int {
		return cmp.Or(cmp.Compare(orInf(a.P99MS), orInf(b.P99MS)), cmp.Compare(orInf(a.P50MS), orInf(b.P50MS)), cmp.Compare(chart.Label(a), chart.Label(b)))
	})
	v.base = v.chooseBase()
	return v
}

// same tells loads apart that differ by more than rounding in text.
func same(a, b float64) bool { return math.Abs(a-b) <= 1e-9*min(math.Abs(a), math.Abs(b)) }

func orInf(v *float64) float64 {
	if v == nil || math.IsNaN(*v) {
		return math.Inf(1)
	}
	return *v
}

// places are the loads of the summary, ascending.
func (v view) places() []float64 {
	var out []float64
	for _, c := range v.s.Cells {
		out = append(out, chart.PlaceOf(c, v.byRate))
	}
	slices.Sort(out)
	return slices.CompactFunc(out, same)
}

func (v view) choose(places []float64, asked *float64) float64 {
	if asked != nil { // the nearest there is; the caller has refused loads not in the sweep
		return slices.MinFunc(places, func(a, b float64) int {
			return cmp.Compare(math.Abs(a-*asked), math.Abs(b-*asked))
		})
	}
	if !v.byRate {
		gated := -1.0 // loads are never negative
		for _, g := range v.s.Gates {
			// A gate without `at` covers every load and says nothing about which to show.
			if g.Load != nil && strings.Contains(g.Expr, " at ") {
				gated = max(gated, *g.Load)
			}
		}
		if slices.ContainsFunc(places, func(p float64) bool { return same(p, gated) }) {
			return gated
		}
	}
	for i := len(places) - 1; i > 0; i-- {
		if !v.unstable(places[i]) {
			return places[i]
		}
	}
	return places[0]
}

// unstable is true if some policy has the warning of that name at this place.
func (v view) unstable(at float64) bool {
	return slices.ContainsFunc(v.s.Warnings, func(w reports.Warning) bool {
		return w.Code == "unstable" && (w.Load == nil || !v.byRate && same(*w.Load, at))
	})
}

// chooseBase is the label that gates compare with most often (the first of them
// among equals), else the best.
func (v view) chooseBase() string {
	if len(v.rows) < 2 {
		return ""
	}
	best, most := "", 0
	count := map[string]int{}
	for _, g := range v.s.Gates {
		p := g.Reference.Policy
		if g.Reference.Kind != "policy" || !slices.ContainsFunc(v.rows, func(c reports.Cell) bool { return c.Policy == p }) {
			continue
		}
		count[p]++
		if count[p] > most {
			best, most = p, count[p]
		}
	}
	if best == "" {
		return v.rows[0].Policy
	}
	return best
}

// against is P99 relative to that of the base, at the same place of every other
// axis. Percentiles of cells are geometric means over parts, so this ratio is the
// one that gates test.
func (v view) against(c reports.Cell) string {
	if c.Policy == v.base {
		return "base"
	}
	i := slices.IndexFunc(v.rows, func(b reports.Cell) bool { return b.Policy == v.base && pairs(b.Axes) == pairs(c.Axes) })
	if i < 0 {
		return chart.Missing
	}
	base := v.rows[i]
	switch {
	case c.P99MS == nil || base.P99MS == nil || *base.P99MS <= 0:
		return chart.Missing
	case c.ResultHash != "" && c.ResultHash == base.ResultHash:
		return "identical"
	}
	return chart.Change(*c.P99MS / *base.P99MS - 1)
}

// place says which load is shown.
func (v view) place() string {
	if len(v.rows) == 0 {
		return ""
	}
	return chart.PlaceName(v.at, v.byRate)
}

// size describes the runs: "5 policies × 6 loads × 10 seeds = 300 runs".
func (v view) size() string {
	if len(v.s.Cells) == 0 {
		return "no runs"
	}
	series := map[string]bool{}
	seeds, runs, even := v.s.Cells[0].Seeds, 0, true
	for _, c := range v.s.Cells {
		series[chart.Label(c)] = true
		runs += c.Seeds
		even = even && c.Seeds == seeds
	}
	places := v.places()
	noun := "load"
	if v.byRate {
		noun = "rate"
	}
	parts := []string{count(len(series), "policy", "policies"), count(len(places), noun, noun+"s")}
	if !even || len(series)*len(places) != len(v.s.Cells) {
		return strings.Join(parts, " × ") + ", " + count(runs, "run", "runs")
	}
	parts = append(parts, count(seeds, "seed", "seeds"))
	return strings.Join(parts, " × ") + " = " + count(runs, "run", "runs")
}

// how says where the numbers come from: "simulated, seed 42".
func (v view) how() string {
	word := map[string]string{"sim": "simulated", "live": "measured live", "both": "simulated and measured live"}[v.s.Host]
	if word == "" {
		word = v.s.Host
	}
	if word != "" {
		word += ", "
	}
	return fmt.Sprintf("%sseed %d", word, v.s.Seed)
}

func count(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return chart.Count(int64(n)) + " " + many
}

// column is one column of the table of results.
type column struct {
	name string
	cell func(reports.Cell) string
	drop int  // narrow terminals lose the columns with the highest number first; 0 stays
	best bool // the lowest value is marked
	val  func(reports.Cell) *float64
}

// columns are those that have something to say.
func (v view) columns() []column {
	latency := func(name string, drop int, get func(reports.Cell) *float64) column {
		return column{name, func(c reports.Cell) string { return chart.LatencyPtr(get(c)) }, drop, true, get}
	}
	cols := []column{
		{name: "policy", cell: chart.Label},
		latency("P50", 1, func(c reports.Cell) *float64 { return c.P50MS }),
		latency("P99", 0, func(c reports.Cell) *float64 { return c.P99MS }),
	}
	if v.any(func(c reports.Cell) bool { return c.P99CI != nil }) {
		cols = append(cols, column{name: v.confidence() + " CI", cell: ciText, drop: 2})
	}
	if v.base != "" {
		cols = append(cols, column{name: "vs " + v.base, cell: v.against})
	}
	if v.any(func(c reports.Cell) bool { return c.TTFTP99MS != nil }) {
		cols = append(cols, latency("TTFT P99", 0, func(c reports.Cell) *float64 { return c.TTFTP99MS }))
	}
	if v.any(func(c reports.Cell) bool { return c.TPOTP99MS != nil }) {
		cols = append(cols, latency("TPOT P99", 0, func(c reports.Cell) *float64 { return c.TPOTP99MS }))
	}
	if v.any(func(c reports.Cell) bool { return c.ErrorRate != nil && *c.ErrorRate > 0 }) {
		cols = append(cols, column{name: "errors", cell: func(c reports.Cell) string {
			if c.ErrorRate == nil {
				return chart.Missing
			}
			return chart.Share(*c.ErrorRate)
		}})
	}
	return cols
}

func (v view) any(f func(reports.Cell) bool) bool { return slices.ContainsFunc(v.rows, f) }

// confidence is the level of the intervals: "95%".
func (v view) confidence() string {
	if v.s.Confidence <= 0 || v.s.Confidence >= 1 {
		return "95%"
	}
	return chart.Percent(v.s.Confidence)
}

func ciText(c reports.Cell) string {
	if c.P99CI == nil || c.P99MS == nil {
		return chart.Missing
	}
	return chart.PlusMinus(*c.P99MS, c.P99CI[0], c.P99CI[1])
}

// bestRow is the row with the lowest value of a column; -1 if none stands out.
func (v view) bestRow(c column) int {
	best := -1
	if !c.best || len(v.rows) < 2 {
		return best
	}
	for i, r := range v.rows {
		if x := c.val(r); x != nil && !math.IsNaN(*x) && (best < 0 || *x < *c.val(v.rows[best])) {
			best = i
		}
	}
	return best
}
