package reports

import (
	"errors"
	"math"
	"sort"
	"sync"

	"gonum.org/v1/gonum/stat/distuv"
)

// Bounds of the confidence level of every interval and gate.
const (
	DefaultConfidence = 0.95
	MinConfidence     = 0.80
	MaxConfidence     = 0.999
)

// estimate is a mean of independent parts with what an interval needs.
type estimate struct {
	mean float64
	s    float64 // standard deviation of one part
	n    int
}

// half returns the half-width t·s/√n at the given confidence; +Inf for n < 2.
func (e estimate) half(confidence float64) float64 {
	if e.n < 2 {
		return math.Inf(1)
	}
	return studentT(confidence, float64(e.n-1)) * e.s / math.Sqrt(float64(e.n))
}

// estimateOf takes the mean and deviation of xs.
func estimateOf(xs []float64) estimate {
	var w welford
	for _, x := range xs {
		w.add(x)
	}
	e := estimate{mean: w.mean, n: w.n}
	if e.n > 1 {
		e.s = math.Sqrt(w.m2 / float64(e.n-1))
	}
	return e
}

// welford holds the mean and the sum of squares around it, m2, of the values added
// so far. His recurrence (Welford 1962) keeps the digits that Σx² − n·x̄² loses.
type welford struct {
	n        int
	mean, m2 float64
}

func (w *welford) add(x float64) {
	w.n++
	d := x - w.mean
	w.mean += d / float64(w.n)
	w.m2 += d * (x - w.mean)
}

// studentT returns the two-sided quantile t₁₋α/₂,ν of Student's t.
func studentT(confidence, nu float64) float64 {
	key := [2]float64{confidence, nu}
	if v, ok := studentCache.Load(key); ok {
		return v.(float64)
	}
	v := distuv.StudentsT{Mu: 0, Sigma: 1, Nu: nu}.Quantile(0.5 + confidence/2)
	studentCache.Store(key, v)
	return v
}

// studentCache holds quantiles already computed: each costs a root search, and
// a summary asks for the same few thousands of times. It changes no result.
var studentCache sync.Map

// errNoLog is why a log metric has no interval.
var errNoLog = errors.New("a value of zero has no logarithm")

// logs returns ln x of every value, or an error if one is not positive.
func logs(xs []float64) ([]float64, error) {
	out := make([]float64, len(xs))
	for i, x := range xs {
		if !(x > 0) || math.IsInf(x, 0) {
			return nil, errNoLog
		}
		out[i] = math.Log(x)
	}
	return out, nil
}

// LogInterval returns the geometric mean of xs and its t interval on ln x. The
// interval is nil with fewer than 2 values, both are nil if one is not positive.
func LogInterval(xs []float64, confidence float64) (*float64, *Interval) {
	ln, err := logs(xs)
	if err != nil || len(xs) == 0 {
		return nil, nil
	}
	e := estimateOf(ln)
	mean := geometric(xs, e.mean)
	if e.n < 2 {
		return finite(mean), nil
	}
	if e.s == 0 {
		return finite(mean), interval(mean, mean)
	}
	h := e.half(confidence)
	return finite(mean), interval(min(math.Exp(e.mean-h), mean), max(math.Exp(e.mean+h), mean))
}

// geometric is exp(mean ln x), kept inside the range of xs: equal values must
// give themselves, not a value one rounding away.
func geometric(xs []float64, meanLog float64) float64 {
	lo, hi := xs[0], xs[0]
	for _, x := range xs {
		lo, hi = min(lo, x), max(hi, x)
	}
	return min(max(math.Exp(meanLog), lo), hi)
}

// SectionInterval is the sectioning interval of a single run: centre is the
// value of all data, sections those of its equal shares, and the deviation is
// taken around the centre: centre ± t_{b−1}·S/√b. Nil below 5 sections.
func SectionInterval(centre float64, sections []float64, confidence float64) *Interval {
	if len(sections) < minSections {
		return nil
	}
	h := sectionHalf(centre, sections, confidence)
	return interval(max(centre-h, min(0, centre)), centre+h)
}

const minSections = 5

// sectionHalf is t_{b−1}·S/√b with S² = Σ(q_j − q)²/(b−1).
func sectionHalf(centre float64, sections []float64, confidence float64) float64 {
	b, sum := float64(len(sections)), 0.0
	for _, q := range sections {
		sum += (q - centre) * (q - centre)
	}
	return studentT(confidence, b-1) * math.Sqrt(sum/(b-1)) / math.Sqrt(b)
}

// OrderStatistics returns the ranks l < u, 1-based, of the order statistics of n
// independent values that enclose the p-quantile with at least the given
// confidence, and their exact coverage. For medians of few, skewed values (one
// per run); never for requests, which are not independent. A side without bound
// is 0; both are 0 if n < 1.
func OrderStatistics(n int, p, confidence float64) (l, u int, coverage float64) {
	if n < 1 || !(p > 0 && p < 1) {
		return 0, 0, 0
	}
	b := distuv.Binomial{N: float64(n), P: p}
	half := (1 - confidence) / 2
	first := func(enough func(f float64) bool) int {
		return sort.Search(n, func(k int) bool { return enough(b.CDF(float64(k))) })
	}
	l = first(func(f float64) bool { return f > half })
	u = 1 + first(func(f float64) bool { return f >= 1-half })
	upper, lower := 1.0, 0.0
	if u > n {
		u = 0
	} else {
		upper = b.CDF(float64(u - 1))
	}
	if l > 0 {
		lower = b.CDF(float64(l - 1))
	}
	return l, u, upper - lower
}

// lag1 is the lag-1 autocorrelation of xs, 0 when it has none.
func lag1(xs []float64) float64 {
	e := estimateOf(xs)
	num, den := 0.0, 0.0
	for i, x := range xs {
		den += (x - e.mean) * (x - e.mean)
		if i > 0 {
			num += (x - e.mean) * (xs[i-1] - e.mean)
		}
	}
	if den == 0 {
		return 0
	}
	return num / den
}

// welch is the estimate of mean a − mean b of independent samples with the
// degrees of freedom of Welch and Satterthwaite.
func welch(a, b estimate) (diff, se, nu float64) {
	va, vb := a.s*a.s/float64(a.n), b.s*b.s/float64(b.n)
	diff, se = a.mean-b.mean, math.Sqrt(va+vb)
	nu = float64(a.n + b.n - 2)
	if d := va*va/float64(a.n-1) + vb*vb/float64(b.n-1); d > 0 {
		nu = (va + vb) * (va + vb) / d
	}
	return diff, se, nu
}

// finite returns a pointer to x, nil for NaN and ±Inf, which JSON cannot hold.
func finite(x float64) *float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return nil
	}
	return &x
}

func finitePtr(x *float64) *float64 {
	if x == nil {
		return nil
	}
	return finite(*x)
}

func interval(lo, hi float64) *Interval {
	if finite(lo) == nil || finite(hi) == nil {
		return nil
	}
	return &Interval{lo, hi}
}
