package theory

import "math"

// MD1 is one queue with constant service 1. The law of the wait is Franx 2001's sum
// for M/D/c, c = 1: P(W ≤ t) = Σ_{j<k} Q_{k−1−j} Poisson(j; ρ(k−t)), k−1 ≤ t < k,
// Q_i the chance of at most i waiting. Unlike Crommelin's series it has no
// alternating terms.
func MD1(rho float64) Law {
	q := waitingMD1(rho)
	at := func(i int) float64 {
		if i < len(q) {
			return q[i]
		}
		return 1
	}
	return Law{Mean: 1 + rho/(2*(1-rho)), Tail: func(t float64) float64 {
		if t < 1 {
			return 1
		}
		k := int(math.Floor(t)) // of the wait t−1
		sum := 0.0
		for j, p := range poisson(rho * (float64(k) - (t - 1))) {
			if j < k {
				sum += p * at(k-1-j)
			}
		}
		return max(0, 1-sum)
	}}
}

// waitingMD1 is the chance that at most i requests wait, for all i that matter. The
// number in system p_i follows from the crossings of each level, up and down, whose
// terms are all positive: p_{i+1}·a_0 = p_0·A_{i+1} + Σ_{k=1…i} p_k·A_{i+2−k} with
// a_0 = e^(−ρ) and A_m the chance of at least m arrivals during a service.
func waitingMD1(rho float64) []float64 {
	var atLeast []float64 // summed from the far end: 1 − a sum keeps the error of its rounding
	for _, a := range poisson(rho) {
		atLeast = append(atLeast, a)
	}
	for m := len(atLeast) - 2; m >= 0; m-- {
		atLeast[m] += atLeast[m+1]
	}
	p := []float64{1 - rho}
	total := 1 - rho
	var waiting []float64
	for i := 0; p[i] > negligible*1e-3; i++ {
		up := 0.0
		if i+1 < len(atLeast) {
			up = p[0] * atLeast[i+1]
		}
		for k := max(1, i+3-len(atLeast)); k <= i; k++ {
			up += p[k] * atLeast[i+2-k]
		}
		p = append(p, up*math.Exp(rho))
		total += p[i+1]
		waiting = append(waiting, total)
	}
	return waiting
}
