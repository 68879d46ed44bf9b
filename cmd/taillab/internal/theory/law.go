package theory

import (
	"math"
)

// Law is the stationary law of the latency R.
type Law struct {
	Mean float64
	// Tail is P(R > t), falling from 1 to 0; nil where theory gives the mean alone.
	Tail func(t float64) float64
	// Blocked is the share of the requests turned away; Mean and Tail are of the others.
	Blocked float64
}

// Quantile is the least t with P(R ≤ t) ≥ p for p in (0, 1), to 14 digits of the
// bracket; NaN without a Tail.
func (l Law) Quantile(p float64) float64 {
	if l.Tail == nil {
		return math.NaN()
	}
	enough := func(t float64) bool { return l.Tail(t) <= 1-p }
	hi := max(l.Mean, 1e-9)
	for !enough(hi) {
		hi *= 2
	}
	return least(0, hi, enough)
}

// least is the least x in (lo, hi] with ok(x), by bisection; ok is false, then true.
func least(lo, hi float64, ok func(x float64) bool) float64 {
	for range 200 {
		mid := lo + (hi-lo)/2
		if mid <= lo || mid >= hi {
			break
		}
		if ok(mid) {
			hi = mid
		} else {
			lo = mid
		}
	}
	return hi
}

// exponential is the law of an exponential stay.
func exponential(rate float64) Law {
	return Law{Mean: 1 / rate, Tail: func(t float64) float64 { return math.Exp(-rate * t) }}
}

// phases is the time until absorption of a Markov chain made uniform: jumps come at
// the given rate, and alive[k] is the chance that k jumps leave it alive. The list
// ends where that chance no longer matters. See Jensen 1953.
type phases struct {
	rate  float64
	alive []float64
}

// negligible is a probability that no comparison with a simulation can see.
const negligible = 1e-13

// tail is P(time > t) = Σ_k Poisson(k; rate·t) alive[k]: all terms are positive, so
// nothing cancels.
func (p phases) tail(t float64) float64 {
	sum := 0.0
	for k, w := range poisson(p.rate * t) {
		if k < len(p.alive) {
			sum += w * p.alive[k]
		}
	}
	return min(sum, 1)
}

// law is that of the time until absorption; its mean is the expected number of jumps
// over their rate.
func (p phases) law() Law {
	mean := 0.0
	for _, a := range p.alive {
		mean += a / p.rate
	}
	return Law{Mean: mean, Tail: p.tail}
}

// erlangs is the stay of a request that finds k others, weight[k], served one after
// another at rate 1 each, itself the last: a mixture of Erlang(k+1).
func erlangs(weight []float64) Law {
	alive := make([]float64, len(weight))
	sum := 0.0
	for k := len(weight) - 1; k >= 0; k-- {
		sum += weight[k]
		alive[k] = sum
	}
	return phases{1, alive}.law()
}

// poisson yields k and P(N = k) of a Poisson variable, for all k that matter: none is
// beyond ten standard deviations (and ten more), nor behind a chance of 1e-18.
func poisson(mean float64) func(yield func(k int, p float64) bool) {
	return func(yield func(int, float64) bool) {
		if mean <= 0 {
			yield(0, 1)
			return
		}
		far := 10*math.Sqrt(mean) + 10
		from, to := int(max(0, mean-far)), int(mean+far)
		gamma, _ := math.Lgamma(float64(from) + 1)
		p := math.Exp(float64(from)*math.Log(mean) - mean - gamma)
		for k := from; k <= to; k++ {
			if !yield(k, p) || float64(k) > mean && p < 1e-18 {
				return
			}
			p *= mean / float64(k+1)
		}
	}
}
