package chart

import (
	"fmt"
	"math"
	"slices"
)

// ForestInput is what Forest draws: relative changes with their intervals.
type ForestInput struct {
	Origin
	Of   string // what a row compares, for the subtitle
	Rows []ForestRow
}

// ForestRow is one comparison.
type ForestRow struct {
	Label  string
	Change Value    // as a fraction: −0.1 is 10% less
	Limit  *float64 // the largest change allowed, or the smallest if Above; nil without a rule
	Above  bool
	Word   string // pass fail inconclusive, or better worse ~ identical; empty if unknown
}

// The signs of the words; each differs in shape, not only in colour.
var forestSigns = map[string]string{"pass": "✓", "fail": "✗", "inconclusive": "~", "invalid": "?", "better": "▼", "worse": "▲", "~": "~", "identical": "="}

func (r ForestRow) ink() (line, label ink) {
	switch r.Word {
	case "pass", "better":
		return line3, label3
	case "fail", "worse":
		return line2, label2
	}
	return muted, muted
}

// ratio is 1 + change where that can be drawn on a log axis.
func ratio(change float64) (float64, bool) {
	r := 1 + change
	return r, r >= 1e-4 && r <= 1e6
}

// maxForest is how many comparisons a chart draws.
const maxForest = 18

// Forest draws a row per comparison: the change with its interval on a log scale of
// ratios, where twice as much and half as much are equally far from no change, and the
// limit of the rule as a tick. The side that a rule allows is shaded.
func Forest(in ForestInput, theme Theme) Figure {
	f := Figure{
		Kind: KindForest, ID: in.id(string(KindForest)), theme: theme, scene: &scene{},
		Title:    in.title(),
		Subtitle: in.Of,
		Header:   []string{"comparison", "change", "interval", "limit", "verdict"},
	}
	for _, r := range in.Rows {
		limit := Missing
		if r.Limit != nil {
			limit = Change(*r.Limit)
		}
		f.Rows = append(f.Rows, []string{r.Label, changeText(r.Change.V), changeRange(r.Change), limit, r.Word})
	}
	rows, note := in.shown()
	f.Foot = in.foot(note)
	f.Alt = f.Title + ". " + f.Subtitle + "."
	for _, r := range rows {
		f.Alt += " " + r.Label + ": " + changeText(r.Change.V) + "."
	}
	b := f.scene.heading(f.Title, f.Subtitle, f.Foot)
	if len(rows) == 0 {
		f.Rows = nil
		f.scene.nothing(b, "nothing was compared")
		return f
	}
	f.scene.forest(b, rows)
	return f
}

func changeText(v *float64) string {
	if v == nil {
		return Missing
	}
	return Change(*v)
}

func changeRange(v Value) string {
	if !v.known() {
		return Missing
	}
	return Change(v.CI[0]) + "…" + Change(v.CI[1])
}

// drawn says whether a row has a place on the axis.
func (r ForestRow) drawn() bool {
	if r.Change.V == nil {
		return false
	}
	_, ok := ratio(*r.Change.V)
	return ok
}

// shown are the rows to draw: of many, those that matter most, in their order.
func (in ForestInput) shown() ([]ForestRow, string) {
	rows := slices.DeleteFunc(slices.Clone(in.Rows), func(r ForestRow) bool { return !r.drawn() })
	missing := len(in.Rows) - len(rows)
	if len(rows) > maxForest {
		order := make([]int, len(rows))
		for i := range order {
			order[i] = i
		}
		weight := func(i int) int {
			return slices.Index([]string{"fail", "worse", "invalid", "inconclusive", "better", "pass", "~", "identical", rows[i].Word}, rows[i].Word)
		}
		slices.SortStableFunc(order, func(a, b int) int { return weight(a) - weight(b) })
		order = order[:maxForest]
		slices.Sort(order)
		kept := make([]ForestRow, 0, maxForest)
		for _, i := range order {
			kept = append(kept, rows[i])
		}
		return kept, fmt.Sprintf("%d of %d comparisons shown, all in the data", maxForest, len(in.Rows))
	}
	if missing > 0 {
		return rows, fmt.Sprintf("%s without a number, in the data", plural(missing, "comparison"))
	}
	return rows, ""
}

// title counts the verdicts, and names the one that stands out.
func (in ForestInput) title() string {
	n := map[string]int{}
	for _, r := range in.Rows {
		n[r.Word]++
	}
	total := len(in.Rows)
	named := func(word string) string {
		for _, r := range in.Rows {
			if r.Word == word {
				return r.Label
			}
		}
		return ""
	}
	switch {
	case total == 0:
		return "Nothing was compared"
	case n["fail"] == 1:
		return named("fail") + " fails"
	case n["fail"] > 1:
		return fmt.Sprintf("%d of %s fail", n["fail"], plural(total, "gate"))
	case n["inconclusive"]+n["invalid"] > 0:
		return fmt.Sprintf("No gate fails; %d of %d cannot be decided", n["inconclusive"]+n["invalid"], total)
	case n["pass"] == 1 && total == 1:
		return named("pass") + " holds"
	case n["pass"] == total:
		return fmt.Sprintf("All %d gates hold", total)
	case n["identical"] == total:
		return "Identical in every comparison"
	case n["better"]+n["worse"] == 0:
		return "No difference that the intervals can tell"
	}
	return fmt.Sprintf("Of %s: %d better, %d worse, %d not told apart", plural(total, "comparison"), n["better"], n["worse"], total-n["better"]-n["worse"])
}

// forest draws the rows.
func (s *scene) forest(b box, rows []ForestRow) {
	lo, hi := 1.0, 1.0
	widen := func(change float64) {
		if r, ok := ratio(change); ok {
			lo, hi = min(lo, r), max(hi, r)
		}
	}
	names, values := 0.0, 0.0
	for _, r := range rows {
		widen(*r.Change.V)
		if r.Change.known() {
			widen(r.Change.CI[0])
			widen(r.Change.CI[1])
		}
		if r.Limit != nil {
			widen(*r.Limit)
		}
		names = max(names, textWidth(r.Label, labelSize, false))
		values = max(values, textWidth(Change(*r.Change.V), labelSize, false))
	}
	names = min(names, 205)
	lo, hi = logRange(lo, hi)
	b.left += names + 24
	b.right -= values + 8
	b.bottom -= 24
	b.top += 4
	x := axis{log: true, lo: lo, hi: hi, p0: b.left + 4, p1: b.right - 4}
	s.drawX(b, x, x.changes(), true)
	s.write((b.left+b.right)/2, b.bottom+23, "change, log scale", tickSize, muted, 0.5)
	s.stroke(text, 0.9, nil, pt{x.at(1), b.top}, pt{x.at(1), b.bottom})
	step := min(b.height()/float64(len(rows)), 36)
	for i, r := range rows {
		s.series(i, func() { s.comparison(b, x, r, b.top+step*(float64(i)+0.5), step, names) })
	}
}

// changes are round ticks of a change: no more than fit.
func (a axis) changes() []tick {
	label := func(v float64) string {
		if math.Abs(v-1) < 1e-12 {
			return "0%"
		}
		return signed(v)
	}
	for _, set := range [][]float64{
		{0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 1, 1.05, 1.1, 1.2, 1.3, 1.5, 1.75, 2},
		{0.1, 0.2, 0.3, 0.5, 0.7, 0.85, 1, 1.2, 1.5, 2, 3, 5, 10},
		{0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30, 100},
		{1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1e3, 1e4, 1e5, 1e6},
	} {
		inside := slices.DeleteFunc(slices.Clone(set), func(v float64) bool { return v < a.lo || v > a.hi })
		ts := ticks(inside, label)
		covers := inside != nil && set[0] <= a.lo*1.5 && set[len(set)-1] >= a.hi/1.5
		if covers && len(ts) > 1 && len(ts) <= 9 && !slices.Contains(uncrowded(a, ts), false) {
			return ts
		}
	}
	return ticks([]float64{1}, label)
}

// signed prints a ratio as a change: +100%, −30%, +900%.
func signed(ratio float64) string {
	p := round((ratio-1)*100, 4)
	if p > 0 {
		return "+" + tickNumber(p) + "%"
	}
	return short(p) + "%"
}

func (s *scene) comparison(b box, x axis, r ForestRow, y, step, names float64) {
	line, label := r.ink()
	at := func(change float64) float64 {
		v, _ := ratio(change)
		return x.at(x.clamp(v))
	}
	if sign := forestSigns[r.Word]; sign != "" {
		s.write(b.left-names-14, y+3, sign, labelSize, label, 0.5)
	}
	s.write(b.left-6, y+3, fit(r.Label, labelSize, names, false), labelSize, text, 1)
	if r.Limit != nil {
		if v, ok := ratio(*r.Limit); ok {
			px, half := x.at(v), min(step*0.38, 11)
			end := x.p0
			if r.Above {
				end = x.p1
			}
			s.rect(line3, 0.1, min(px, end), y-half, max(px, end), y+half)
			s.stroke(text, 1, []float64{2, 1.5}, pt{px, y - half}, pt{px, y + half})
		}
	}
	if r.Change.known() {
		s.stroke(line, 1.6, nil, pt{at(r.Change.CI[0]), y}, pt{at(r.Change.CI[1]), y})
	}
	tip := r.Label + ": " + Change(*r.Change.V) + " (CI " + changeRange(r.Change) + ")"
	s.marker(look{line: line, marker: map[bool]int{true: 1, false: 0}[r.Word == "fail" || r.Word == "worse"]}, pt{at(*r.Change.V), y}, 2.8, tip)
	s.write(b.right+6, y+3, Change(*r.Change.V), labelSize, text, 0)
}
