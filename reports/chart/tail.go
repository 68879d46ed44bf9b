package chart

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
)

// Steps are the parts of a latency, in the order in which a request meets them.
var Steps = [6]string{"held", "quota", "network", "queue", "batch", "service"}

// TailInput is what Tail draws.
type TailInput struct {
	Origin
	At   string // where in the sweep, such as "85% load"
	Bars []TailBar
	// Slowest are steps of single requests; they go to the data table only.
	Slowest []SlowRequest
}

// TailBar is one policy: mean times of the steps, in milliseconds, of the requests
// at or above its P99. A nil part was not reported.
type TailBar struct {
	Label string
	Parts [6]*float64
	P99   Value
}

// SlowRequest is the slowest request of one policy.
type SlowRequest struct {
	Label     string
	LatencyMS float64
	Steps     string // such as "queue 812 ms, service 40.0 ms"
}

// total is the length of a bar.
func (t TailBar) total() float64 {
	sum := 0.0
	for _, p := range t.Parts {
		if drawable(p) {
			sum += *p
		}
	}
	return sum
}

// largest is the step with the most time; -1 if there is none.
func (t TailBar) largest() int {
	best := -1
	for i, p := range t.Parts {
		if drawable(p) && (best < 0 || *p > *t.Parts[best]) {
			best = i
		}
	}
	return best
}

// missing is true if a step was not reported.
func (t TailBar) missing() bool { return slices.Contains(t.Parts[:], nil) }

// stepFill are the fills of the steps: four colours, and two tints for the steps
// before the request leaves. Neighbours differ in hue and in lightness.
var stepFill = [6]struct {
	c       ink
	opacity float64
}{{muted, 0.75}, {line4, 1}, {line3, 1}, {line2, 1}, {line1, 0.5}, {line1, 1}}

// Tail answers "why is P99 that": one bar per policy, stacked from the steps.
func Tail(in TailInput, theme Theme) Figure {
	f := Figure{
		Kind: KindTail, ID: in.id(string(KindTail)), theme: theme, scene: &scene{},
		Title:    in.title(),
		Subtitle: "Mean latency of the requests at or above P99" + where(in.At) + ", by step; the tick is P99",
		Header:   append(append([]string{"policy"}, Steps[:]...), "sum", "P99", "slowest request"),
	}
	bars := slices.DeleteFunc(slices.Clone(in.Bars), func(t TailBar) bool { return t.total() <= 0 })
	slices.SortStableFunc(bars, func(a, b TailBar) int { return cmp.Compare(a.total(), b.total()) })
	for _, t := range bars {
		f.Labels = append(f.Labels, t.Label)
		f.Rows = append(f.Rows, in.row(t))
	}
	note := ""
	if len(bars) > maxSeries {
		note = fmt.Sprintf("the best %d of %d shown, all in the data", maxSeries, len(bars))
		bars = bars[:maxSeries]
	}
	f.Foot = in.foot(note)
	f.Alt = f.Title + ". " + f.Subtitle + ". " + in.words(bars)
	b := f.scene.heading(f.Title, f.Subtitle, f.Foot)
	if len(bars) == 0 {
		f.scene.nothing(b, "no tail to explain: the steps were not reported")
		return f
	}
	f.scene.bars(b, bars)
	return f
}

// title names the step that is the largest part most often.
func (in TailInput) title() string {
	var wins [6]int
	n := 0
	for _, t := range in.Bars {
		if k := t.largest(); k >= 0 {
			wins[k]++
			n++
		}
	}
	if n == 0 {
		return "Why is P99 that: not reported"
	}
	order := []int{0, 1, 2, 3, 4, 5}
	slices.SortStableFunc(order, func(a, b int) int { return wins[b] - wins[a] })
	first, second := order[0], order[1]
	name := capitalStep(stepWords[first])
	switch {
	case n == 1:
		return name + " is the largest part of the tail"
	case wins[first] == n:
		return name + " is the largest part of every tail"
	case wins[first]+wins[second] == n:
		return fmt.Sprintf("%s is the largest part of %s, %s of %d", name, plural(wins[first], "tail"), stepWords[second], wins[second])
	}
	return fmt.Sprintf("%s is the largest part of %d of %d tails", name, wins[first], n)
}

// stepWords say a step in a sentence.
var stepWords = [6]string{"holding", "waiting for quota", "the network", "queueing", "batching", "service"}

// capitalStep begins a sentence with a word of ours.
func capitalStep(s string) string {
	if s == "" {
		return s
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// row is one bar in numbers.
func (in TailInput) row(t TailBar) []string {
	row := []string{t.Label}
	for _, p := range t.Parts {
		row = append(row, LatencyPtr(p))
	}
	row = append(row, t.sum(), withCI(t.P99))
	slow := Missing
	for _, s := range in.Slowest {
		if s.Label == t.Label {
			slow = Latency(s.LatencyMS) + ": " + s.Steps
		}
	}
	return append(row, slow)
}

func (in TailInput) words(bars []TailBar) string {
	out := ""
	for _, t := range bars {
		k := t.largest()
		out += fmt.Sprintf("%s: %s, of which %s %s. ", t.Label, t.sum(), Steps[k], Share(*t.Parts[k]/t.total()))
	}
	return out
}

// bars draws the bars and the key of the steps that occur.
func (s *scene) bars(b box, bars []TailBar) {
	names, most := 0.0, 0.0
	for _, t := range bars {
		names = max(names, textWidth(t.Label, labelSize, false))
		most = max(most, t.total())
		if drawable(t.P99.V) {
			most = max(most, *t.P99.V)
		}
	}
	names = min(names, 130)
	b.top = s.stepKey(b, bars)
	b.left += names + 8
	b.right -= textWidth("≥ 88.8 ms", labelSize, false) + 4
	b.bottom -= 14
	x := axis{lo: 0, hi: most * 1.02, p0: b.left, p1: b.right, unit: "ms"}
	s.drawX(b, x, ticks(linTicks(0, x.hi, 7), tickLatency), true)
	step := min(b.height()/float64(len(bars)), 34)
	for k, t := range bars {
		y := b.top + step*(float64(k)+0.5)
		h := min(step*0.36, 9)
		s.series(k, func() {
			s.write(b.left-6, y+3, fit(t.Label, labelSize, names, false), labelSize, text, 1)
			s.bar(t, x, y, h)
			end := x.at(max(t.total(), p99Or0(t)))
			if t.missing() {
				end = max(end, x.at(t.total())+hatchWidth)
			}
			s.write(end+5, y+3, t.sum(), labelSize, text, 0)
		})
	}
}

// hatchWidth is the length of the end that stands for what was not reported.
const hatchWidth = 10

// sum is the length in words; a bar with unreported steps is a lower bound.
func (t TailBar) sum() string {
	if t.missing() {
		return "≥ " + Latency(t.total())
	}
	return Latency(t.total())
}

func p99Or0(t TailBar) float64 {
	if drawable(t.P99.V) {
		return *t.P99.V
	}
	return 0
}

// bar draws one bar with its P99 tick; unreported steps show as a hatched end.
func (s *scene) bar(t TailBar, x axis, y, h float64) {
	at := 0.0
	for i, p := range t.Parts {
		if !drawable(p) {
			continue
		}
		s.rect(paper, 1, x.at(at), y-h, x.at(at+*p), y+h) // a tint must not let the grid through
		s.add(op{
			path:   []pt{{x.at(at), y - h}, {x.at(at + *p), y - h}, {x.at(at + *p), y + h}, {x.at(at), y + h}},
			closed: true, fill: stepFill[i].c, opacity: stepFill[i].opacity,
			tip: fmt.Sprintf("%s: %s %s, %s", t.Label, Steps[i], Latency(*p), Share(*p/t.total())),
		})
		at += *p
		if x.at(at) < x.p1 { // a hairline keeps neighbours apart without their colours
			s.stroke(paper, 0.7, nil, pt{x.at(at), y - h}, pt{x.at(at), y + h})
		}
	}
	if t.missing() {
		s.hatch(x.at(at), y-h, hatchWidth, 2*h)
	}
	if drawable(t.P99.V) {
		px := x.at(*t.P99.V)
		s.stroke(paper, 3, nil, pt{px, y - h - 1}, pt{px, y + h + 1})
		s.stroke(text, 1.5, nil, pt{px, y - h - 1.5}, pt{px, y + h + 1.5})
	}
}

// hatch fills a rectangle with slanted lines, clipped by hand: a clip path would
// need an id.
func (s *scene) hatch(x, y, w, h float64) {
	for d := 2.5; d < w+h; d += 3 {
		a := pt{x + min(d, w), y + max(0, d-w)}
		c := pt{x + max(0, d-h), y + min(d, h)}
		s.stroke(muted, 0.8, nil, a, c)
	}
	s.stroke(muted, 0.6, nil, pt{x, y}, pt{x + w, y}, pt{x + w, y + h}, pt{x, y + h}, pt{x, y})
}

// stepKey draws the key above the bars, wrapping, and returns where they begin.
func (s *scene) stepKey(b box, bars []TailBar) float64 {
	x, y := b.left, b.top+6
	item := func(label string, draw func(x, y float64)) {
		w := 11 + textWidth(label, tickSize, false) + 12
		if x+w > b.right+12 && x > b.left {
			x, y = b.left, y+13
		}
		draw(x, y)
		s.write(x+11, y, label, tickSize, muted, 0)
		x += w
	}
	for i, name := range Steps {
		if slices.ContainsFunc(bars, func(t TailBar) bool { return drawable(t.Parts[i]) }) {
			item(name, func(x, y float64) { s.rect(stepFill[i].c, stepFill[i].opacity, x, y-7, x+8, y+1) })
		}
	}
	if slices.ContainsFunc(bars, TailBar.missing) {
		item("not reported", func(x, y float64) { s.hatch(x, y-7, 8, 8) })
	}
	if slices.ContainsFunc(bars, func(t TailBar) bool { return drawable(t.P99.V) }) {
		item("P99", func(x, y float64) { s.stroke(text, 1.5, nil, pt{x + 4, y - 8}, pt{x + 4, y + 2}) })
	}
	return math.Round(y + 9)
}
