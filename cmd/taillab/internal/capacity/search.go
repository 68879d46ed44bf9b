// Package capacity looks for the hardest setting of a system that still meets a
// bound, when every measurement is noisy: the highest load, the fewest replicas.
//
// Settings are numbered from 0, the easiest, to n−1, the hardest. A measurement
// with some seeds answers twice: whether its estimate meets the bound, and whether
// its confidence interval lies wholly on one side. The search bisects the estimate
// with few seeds, then finds with many, near the place so found, the last setting
// whose interval meets the bound and the first whose interval misses it. Between
// the two the measurement cannot tell, so they are the ends of a confidence interval
// of the threshold (a test inverted: Casella and Berger 2002, section 9.2.1). It
// assumes that harder is never better, and says where the data contradict that.
//
// The package measures nothing and knows no statistics: Search says what to measure
// next, and is told. It is no solver for smooth functions: a step on the grid is the
// resolution asked for.
package capacity

import "slices"

// Side is where the interval of a measurement lies.
type Side int8

// The sides of the bound.
const (
	Unsure Side = iota // the interval holds the bound
	Met                // wholly on the good side
	Missed             // wholly on the bad side, or not measurable for good
)

// Answer is what one measurement says.
type Answer struct {
	Side  Side
	Below bool // the estimate itself meets the bound
}

// Search is one search. Its questions depend on the answers alone, so searches can
// be carried out side by side and in any order.
type Search struct {
	n         int
	few, many int
	seen      map[ask]Answer
}

// ask is one question: a setting, measured with so many seeds.
type ask struct{ point, seeds int }

// New searches n settings, looking with few seeds and deciding with many.
func New(n, few, many int) *Search {
	return &Search{n: n, few: min(few, many), many: many, seen: map[ask]Answer{}}
}

// Add tells the answer for a setting measured with so many seeds.
func (s *Search) Add(point, seeds int, a Answer) { s.seen[ask{point, seeds}] = a }

// Next is what to measure next; ok is false when nothing is left to ask.
func (s *Search) Next() (point, seeds int, ok bool) {
	_, open := s.solve()
	if open == nil {
		return 0, 0, false
	}
	return open.point, open.seeds, true
}

// Result is what is known. Settings are −1 for none among them, and n for none that
// misses.
type Result struct {
	Passes int // the hardest setting found whose interval meets the bound
	Fails  int // the easiest beyond it whose interval misses it
	Cross  int // the hardest whose estimate meets it
	Done   bool
	// Tangled is set when an easier setting misses the bound and a harder one meets it:
	// harder is then not always worse, and there may be several thresholds.
	Tangled bool
}

// Result is what is known so far: while Done is false, settings that nothing is
// known of are −1 and n.
func (s *Search) Result() Result {
	r, open := s.solve()
	r.Done = open == nil
	r.Tangled = s.tangled()
	return r
}

// solve goes the whole way with the answers there are, up to the first question
// that is open.
func (s *Search) solve() (Result, *ask) {
	below := func(a Answer) bool { return a.Below }
	r := Result{Passes: -1, Fails: s.n, Cross: -1}
	from, _, open := s.edge(-1, s.n, s.few, below)
	if open != nil {
		r.Cross = from
		return r, open
	}
	if r.Passes, _, open = s.near(from, func(a Answer) bool { return a.Side == Met }); open != nil {
		r.Cross = max(from, r.Passes)
		return r, open
	}
	if _, r.Fails, open = s.near(max(from, r.Passes), func(a Answer) bool { return a.Side != Missed }); open != nil {
		r.Cross = max(from, r.Passes)
		return r, open
	}
	r.Cross, _, open = s.edge(r.Passes, max(r.Fails, r.Passes+1), s.many, below)
	return r, open
}

// edge bisects between lo, which is good or −1, and hi, which is not or n.
func (s *Search) edge(lo, hi, seeds int, good func(Answer) bool) (last, first int, open *ask) {
	for hi-lo > 1 {
		mid := lo + (hi-lo)/2
		a, known := s.seen[ask{mid, seeds}]
		switch {
		case !known:
			return lo, hi, &ask{mid, seeds}
		case good(a):
			lo = mid
		default:
			hi = mid
		}
	}
	return lo, hi, nil
}

// near finds the edge with many seeds when it is expected at from: steps that
// double bracket it, then it is bisected.
func (s *Search) near(from int, good func(Answer) bool) (last, first int, open *ask) {
	lo, hi := -1, s.n
	for p, step := min(max(from, 0), s.n-1), 1; p >= 0 && p < s.n; step *= 2 {
		a, known := s.seen[ask{p, s.many}]
		if !known {
			return lo, hi, &ask{p, s.many}
		}
		if good(a) {
			lo = p
			if hi < s.n {
				break
			}
			p = s.within(p, step, s.n-1)
		} else {
			hi = p
			if lo >= 0 {
				break
			}
			p = s.within(p, -step, 0)
		}
	}
	return s.edge(lo, hi, s.many, good)
}

// within steps from p, at most to the end, which it leaves when it stands on it.
func (s *Search) within(p, step, end int) int {
	if p == end {
		return p + step
	}
	if step < 0 {
		return max(p+step, end)
	}
	return min(p+step, end)
}

// tangled compares all answers with the same number of seeds.
func (s *Search) tangled() bool {
	for _, seeds := range slices.Compact([]int{s.few, s.many}) {
		missed, met := s.n, -1
		for k, a := range s.seen { // the lowest and the highest: order does not matter
			if k.seeds == seeds && a.Side == Missed {
				missed = min(missed, k.point)
			}
			if k.seeds == seeds && a.Side == Met {
				met = max(met, k.point)
			}
		}
		if missed < met {
			return true
		}
	}
	return false
}
