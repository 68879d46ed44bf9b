package theory

import "math"

// Supermarket is the shortest of d random queues among n → ∞ replicas: the share with
// at least i requests is s_i = ρ^((d^i−1)/(d−1)) (Vvedenskaya, Dobrushin, Karpelevich
// 1996; Mitzenmacher 2001). d = 1 is MM1.
func Supermarket(rho float64, d int) Law {
	if d == 1 {
		return MM1(rho)
	}
	share := append(atLeast(rho, d), 0)
	joins := make([]float64, len(share)-1) // finds k: all d choices have ≥ k, not all ≥ k+1
	for k := range joins {
		joins[k] = math.Pow(share[k], float64(d)) - math.Pow(share[k+1], float64(d))
	}
	return erlangs(joins)
}

// atLeast are the shares of replicas with at least 0, 1, … requests, all that matter.
func atLeast(rho float64, d int) []float64 {
	share := []float64{1}
	for e := 1.0; share[len(share)-1] > negligible; e = e*float64(d) + 1 {
		share = append(share, math.Pow(rho, e))
	}
	return share
}

// JIQ is join-idle-queue with reports to a random dispatcher, instant withdrawal and a
// random fallback, for n, m → ∞ with r = n/m replicas per dispatcher. A replica also
// gets the requests that found an empty idle-queue, at rate s, so R ~ Exp(1−s). It
// returns s·1/ρ too: the chance of an empty idle-queue.
//
// An idle-queue of k grows at rate rρ(1−s) and shrinks at rρ + ks: by a pick, or by
// withdrawal. s is fixed by its mean, the idle replicas r(1−ρ) per dispatcher.
func JIQ(rho, r float64) (law Law, empty float64) {
	listed := func(s float64) float64 {
		sum, mean, p := 1.0, 0.0, 1.0
		for k := 1; p > negligible*sum || k < int(r); k++ {
			p *= r * rho * (1 - s) / (r*rho + float64(k)*s)
			sum += p
			mean += float64(k) * p
		}
		return mean / sum
	}
	s := least(rho*1e-6, rho, func(s float64) bool { return listed(s) <= r*(1-rho) })
	return exponential(1 - s), s / rho
}

// Board is the shortest of d random entries of a board renewed every T, for n → ∞
// replicas (Mitzenmacher 2000, periodic update). Within a cycle a replica whose entry
// is b gets requests at rate ρ(Q_b^d − Q_{b+1}^d)/(Q_b − Q_{b+1}), Q_b the share of
// entries ≥ b; so it is an M/M/1 queue for T. The shares at the start of a cycle are
// the fixed point of one cycle.
func Board(rho float64, d int, every float64) Law {
	b := &board{rho: rho, d: d, every: every}
	start := make([]float64, 64) // begin with a board that is always fresh
	share := atLeast(rho, max(d, 2))
	for i := range len(share) - 1 {
		start[i] = share[i] - share[i+1]
	}
	start[len(share)-1] = share[len(share)-1]
	for range 100_000 {
		next := b.cycle(start, nil)
		if next[len(next)-1] > negligible { // too short: lengthen
			next = append(next, make([]float64, len(next))...)
			start = next
			continue
		}
		change := 0.0
		for i, x := range next {
			change += math.Abs(x - start[i])
		}
		start = next
		if change < max(1e-11*min(1, every), 1e-14) {
			break
		}
	}
	joins := make([]float64, len(start))
	b.cycle(start, joins)
	return erlangs(joins)
}

type board struct {
	rho       float64
	d         int
	every     float64
	now, next []float64 // of one class
}

// cycle moves the shares of replicas by length through one cycle. joins, if not nil,
// is set to the law of the length that a request of the cycle finds.
func (b *board) cycle(start, joins []float64) []float64 {
	end := make([]float64, len(start))
	if len(b.now) != len(start) {
		b.now, b.next = make([]float64, len(start)), make([]float64, len(start))
	}
	above := 0.0 // share of entries > entry
	for entry := len(start) - 1; entry >= 0; entry-- {
		here := start[entry]
		if here <= negligible*1e-3 {
			end[entry] += here
			above += here
			continue
		}
		rate := b.rho * (math.Pow(above+here, float64(b.d)) - math.Pow(above, float64(b.d))) / here
		above += here
		b.class(entry, here, rate, end, joins)
	}
	return end
}

// class adds the replicas of one entry: an M/M/1 queue with the given arrival rate,
// from its entry on, made uniform. The time that it spends at a length within the
// cycle is the sum over jumps k of P(more than k jumps in the cycle)/rate of jumps.
func (b *board) class(entry int, share, rate float64, end, joins []float64) {
	jumps := rate + 1
	now, next := b.now, b.next
	clear(now)
	now[entry] = share
	done, last := 0.0, 0
	for k, p := range poisson(jumps * b.every) {
		for ; last < k; last++ { // jumps before the first term that matters
			b.spend(now, joins, rate/jumps/(b.rho*b.every))
			jump(now, next, rate/jumps)
			now, next = next, now
		}
		for i, x := range now {
			end[i] += p * x
		}
		done += p
		b.spend(now, joins, max(0, 1-done)*rate/jumps/(b.rho*b.every))
		jump(now, next, rate/jumps)
		now, next = next, now
		last = k + 1
	}
}

// spend books arrivals that find a replica at its present length.
func (b *board) spend(now, joins []float64, weight float64) {
	for i := range joins {
		joins[i] += weight * now[i]
	}
}

// jump is one jump of M/M/1: up with chance up, else down, and at 0 not at all.
func jump(now, next []float64, up float64) {
	clear(next)
	top := len(now) - 1
	for i, x := range now {
		if x == 0 {
			continue
		}
		next[min(i+1, top)] += up * x
		next[max(i-1, 0)] += (1 - up) * x
	}
}
