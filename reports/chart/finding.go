package chart

import (
	"fmt"
	"slices"
	"strings"
)

// The sentence above a chart follows from the data by rule. A policy is called
// best at a load only if its interval lies wholly below those of all others there;
// intervals that touch mean "no clear winner".

// lead is the outcome at one load: the index of the best series, and whether its
// interval stands apart. best is -1 where nothing was measured.
type lead struct {
	best  int
	clear bool
}

// leadAt compares all series at load k.
func (in P99Input) leadAt(k int) lead {
	l := lead{best: -1}
	for i, s := range in.Series {
		v := s.value(k)
		if v.V != nil && (l.best < 0 || *v.V < *in.Series[l.best].value(k).V) {
			l.best = i
		}
	}
	if l.best < 0 {
		return l
	}
	a := in.Series[l.best].value(k)
	l.clear = true
	for i, s := range in.Series {
		b := s.value(k)
		if i != l.best && b.V != nil {
			l.clear = l.clear && a.known() && b.known() && a.CI[1] < b.CI[0]
		}
	}
	return l
}

// intervals is true if any value has one.
func (in P99Input) intervals() bool {
	return slices.ContainsFunc(in.Series, func(s P99Series) bool {
		return slices.ContainsFunc(s.Values, Value.known)
	})
}

// leadersTitle says who is best where.
func leadersTitle(in P99Input) string {
	measured := 0
	for _, s := range in.Series {
		if slices.ContainsFunc(s.Values, func(v Value) bool { return drawable(v.V) }) {
			measured++
		}
	}
	switch {
	case measured == 0:
		return "No P99 was measured"
	case measured == 1:
		return onlyTitle(in)
	case !in.intervals():
		return "Lowest P99: " + phrase(in, in.stretches(false)) + " (no intervals)"
	}
	st := in.stretches(true)
	if len(st) == 1 && st[0].who < 0 {
		if len(in.X) == 1 {
			return "No clear winner at " + in.xLabel(in.X[0])
		}
		return "No clear winner at any " + in.axisWord()
	}
	return capital(phrase(in, st))
}

// onlyTitle is for a single policy: how P99 grows.
func onlyTitle(in P99Input) string {
	for _, s := range in.Series {
		first, last := -1, -1
		for k := range in.X {
			if s.value(k).V != nil {
				if first < 0 {
					first = k
				}
				last = k
			}
		}
		if first < 0 {
			continue
		}
		a, b := *s.value(first).V, *s.value(last).V
		if first == last {
			return fmt.Sprintf("%s: P99 is %s at %s", s.Label, Latency(a), in.xLabel(in.X[first]))
		}
		return fmt.Sprintf("%s: P99 goes from %s at %s to %s at %s",
			s.Label, Latency(a), in.xLabel(in.X[first]), Latency(b), in.xLabel(in.X[last]))
	}
	return "No P99 was measured"
}

// stretch is a run of neighbouring loads with the same outcome; who is -1 for no
// clear winner.
type stretch struct{ who, from, to int }

// stretches joins loads. Loads without any value belong to no stretch.
func (in P99Input) stretches(needClear bool) []stretch {
	var out []stretch
	for k := range in.X {
		l := in.leadAt(k)
		if l.best < 0 {
			continue
		}
		if needClear && !l.clear {
			l.best = -1
		}
		if n := len(out); n > 0 && out[n-1].who == l.best {
			out[n-1].to = k
			continue
		}
		out = append(out, stretch{l.best, k, k})
	}
	return out
}

// phrase puts stretches into words: "jiq is best up to 85% load, p2c from 90%".
func phrase(in P99Input, st []stretch) string {
	if len(st) == 1 {
		if len(in.X) == 1 {
			return in.who(st[0].who) + " is best at " + in.xLabel(in.X[0])
		}
		return in.who(st[0].who) + " is best at every " + in.axisWord()
	}
	if len(st) > 3 {
		return tally(in, st)
	}
	var parts []string
	verb := false
	for i, s := range st {
		p := in.who(s.who)
		if s.who >= 0 && !verb {
			p += " is best"
			verb = true
		}
		switch {
		case i == 0:
			p += " up to " + in.xLabel(in.X[s.to])
		case i == len(st)-1:
			p += " from " + in.xTick(in.X[s.from])
		case s.from == s.to:
			p += " at " + in.xTick(in.X[s.from])
		default:
			p += " at " + in.xTick(in.X[s.from]) + "–" + in.xTick(in.X[s.to])
		}
		parts = append(parts, p)
	}
	return strings.Join(parts, ", ")
}

// tally is for outcomes that go back and forth: how often each one leads.
func tally(in P99Input, st []stretch) string {
	wins := make([]int, len(in.Series)+1) // the last one counts loads without a clear winner
	total := 0
	for _, s := range st {
		who := s.who
		if who < 0 {
			who = len(in.Series)
		}
		wins[who] += s.to - s.from + 1
		total += s.to - s.from + 1
	}
	order := make([]int, 0, len(wins))
	for i, n := range wins[:len(in.Series)] {
		if n > 0 {
			order = append(order, i)
		}
	}
	slices.SortStableFunc(order, func(a, b int) int { return wins[b] - wins[a] })
	var parts []string
	for n, i := range order {
		switch {
		case n == 0:
			parts = append(parts, fmt.Sprintf("%s is best at %d of %s", in.Series[i].Label, wins[i], plural(total, in.axisWord())))
		case n < 3:
			parts = append(parts, fmt.Sprintf("%s at %d", in.Series[i].Label, wins[i]))
		case n == 3:
			parts = append(parts, fmt.Sprintf("%d more lead elsewhere", len(order)-3))
		}
	}
	if n := wins[len(in.Series)]; n > 0 {
		parts = append(parts, fmt.Sprintf("no clear winner at %d", n))
	}
	return strings.Join(parts, ", ")
}

func (in P99Input) who(i int) string {
	if i < 0 {
		return "no clear winner"
	}
	return in.Series[i].Label
}

func (in P99Input) axisWord() string {
	if in.Rate {
		return "rate"
	}
	return "load"
}

// capital raises the first letter of the words that are ours; a policy label
// stays as its owner wrote it.
func capital(s string) string {
	if strings.HasPrefix(s, "no clear") {
		return "N" + s[1:]
	}
	return s
}
