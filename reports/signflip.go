package reports

import (
	"math"
	"math/bits"
)

// maxFlips is the most pairs whose 2ⁿ patterns of signs are all counted.
const maxFlips = 20

// SignFlip is the exact two-sided p-value of paired differences under the hypothesis
// that each could as well have had the other sign (Fisher 1935; Pitman 1937): the
// share of the 2ⁿ patterns of signs whose sum is at least as far from 0. It assumes
// no shape of the differences, as the t interval does. Nil for no pair or more than 20.
func SignFlip(d []float64) *float64 {
	if len(d) == 0 || len(d) > maxFlips {
		return nil
	}
	sum, size := 0.0, 0.0
	for _, x := range d {
		sum += x
		size += math.Abs(x)
	}
	reach := math.Abs(sum) - 1e-9*size // sums in another order may differ in their last digits
	extreme, n := 0, uint64(1)<<len(d)
	sign := make([]float64, len(d))
	for i := range sign {
		sign[i] = 1
	}
	for k := range n { // in the order of the Gray code: one sign changes at a time
		if math.Abs(sum) >= reach {
			extreme++
		}
		if k+1 < n {
			i := bits.TrailingZeros64(k + 1)
			sum -= 2 * sign[i] * d[i]
			sign[i] = -sign[i]
		}
	}
	return finite(float64(extreme) / float64(n))
}

// flipCheck is the sign-flip test beside a t interval of the same differences. It is
// run only where it could reject at all: 2/2ⁿ must lie below 1 − confidence. Doubt
// says that the two disagree about whether there is a difference; empty otherwise.
func flipCheck(d []float64, ci *Interval, confidence float64) (p *float64, doubt string) {
	alpha := 1 - confidence
	if ci == nil || math.Ldexp(2, -len(d)) >= alpha {
		return nil, ""
	}
	if p = SignFlip(d); p == nil {
		return nil, ""
	}
	switch apart := ci[0] > 0 || ci[1] < 0; {
	case apart && *p >= alpha:
		doubt = "the interval excludes no change, the sign-flip test does not: take more seeds before you decide"
	case !apart && *p < alpha:
		doubt = "the interval holds no change, the sign-flip test excludes it: a few seeds differ far more than the others"
	}
	return p, doubt
}
