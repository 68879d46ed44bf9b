package theory

import "math"

// MM1 is one queue with exponential service: R ~ Exp(1−ρ).
func MM1(rho float64) Law { return exponential(1 - rho) }

// ErlangB is the share of requests lost by c slots without a queue, offered a = cρ.
// The recursion in c is Jagerman 1974's; it has no large terms.
func ErlangB(c int, a float64) float64 {
	b := 1.0
	for k := 1; k <= c; k++ {
		b = a * b / (float64(k) + a*b)
	}
	return b
}

// ErlangC is the share of requests that wait for one of c slots, a = cρ < c.
func ErlangC(c int, a float64) float64 {
	b := ErlangB(c, a)
	return b / (1 - a/float64(c)*(1-b))
}

// MMC is one queue before c replicas: W > t with probability C·e^(−θt), θ = c(1−ρ)
// (Erlang 1917), and R = W + S.
func MMC(rho float64, c int) Law {
	wait, theta := ErlangC(c, rho*float64(c)), float64(c)*(1-rho)
	return Law{Mean: 1 + wait/theta, Tail: func(t float64) float64 {
		if math.Abs(theta-1) < 1e-7 { // the limit θ → 1; the quotient loses its digits before
			return (1 + wait*t) * math.Exp(-t)
		}
		return (1-wait)*math.Exp(-t) + wait*(theta*math.Exp(-t)-math.Exp(-theta*t))/(theta-1)
	}}
}

// MMCK is MMC with room for k requests, waiting and running, k ≥ c; any load ρ > 0.
// Who comes when it is full is turned away. A request that finds j ≥ c others waits
// for j−c+1 ends, which come at rate c.
func MMCK(rho float64, c, k int) Law {
	found := occupancy(rho, c, k)
	law := Law{Blocked: found[k]}
	stages := make([]float64, k-c+1) // stages[i]: must first see i ends
	for j := range k {
		stages[max(0, j-c+1)] += found[j] / (1 - found[k])
	}
	// Jumps at rate c: each ends one request ahead, then the own service with chance 1/c.
	p := phases{rate: float64(c)}
	stay := 1 - 1/float64(c)
	ahead, serving := 1-stages[0], stages[0]
	for i := 1; ahead+serving > negligible; i++ {
		p.alive = append(p.alive, ahead+serving)
		serving *= stay
		if i < len(stages) {
			ahead -= stages[i]
			serving += stages[i]
		} else {
			ahead = 0
		}
	}
	out := p.law()
	law.Mean, law.Tail = out.Mean, out.Tail
	return law
}

// occupancy is the stationary number of requests in M/M/c/K, 0…k.
func occupancy(rho float64, c, k int) []float64 {
	pi, log, most := make([]float64, k+1), 0.0, 0.0
	for j := range pi { // logarithms: a^c/c! leaves the range of floats
		if j > 0 {
			log += math.Log(rho*float64(c)) - math.Log(float64(min(j, c)))
		}
		pi[j] = log
		most = max(most, log)
	}
	sum := 0.0
	for j := range pi {
		pi[j] = math.Exp(pi[j] - most)
		sum += pi[j]
	}
	for j := range pi {
		pi[j] /= sum
	}
	return pi
}

// RoundRobin is each of n replicas behind one dispatcher that takes them in turn: a
// GI/M/1 queue with Erlang(n) gaps, R ~ Exp(1−σ), σ the root below 1 of
// σ = (nρ/(nρ+1−σ))^n (Kendall 1953).
func RoundRobin(rho float64, n int) Law {
	a := rho * float64(n)
	below := func(s float64) bool { // on the right of the root the curve lies below s
		return float64(n)*math.Log1p((s-1)/(a+1-s)) < math.Log(s)
	}
	return exponential(1 - least(0, 1-1e-9*(1-rho), below))
}

// PSExp is one processor-sharing replica with exponential service: a tagged request
// among j others ends at rate 1/(j+1), the others at j/(j+1) together, and more come
// at rate ρ. It finds j others with probability (1−ρ)ρ^j (Coffman, Muntz, Trotter 1970).
func PSExp(rho float64) Law {
	rate := 1 + rho
	top := int(math.Log(negligible)/math.Log(rho)) + 2
	now, next := make([]float64, top+1), make([]float64, top+1)
	for j := range now {
		now[j] = (1 - rho) * math.Pow(rho, float64(j))
	}
	p := phases{rate: rate}
	for {
		sum := 0.0
		for _, x := range now {
			sum += x
		}
		if sum < 1e-10 { // beyond the quantiles that are asked for; the chain dies slowly
			break
		}
		p.alive = append(p.alive, sum)
		clear(next)
		for j, x := range now {
			next[min(j+1, top)] += x * rho / rate
			if j > 0 {
				next[j-1] += x * float64(j) / float64(j+1) / rate
			}
		}
		now, next = next, now
	}
	law := p.law()
	law.Mean = PSMean(rho)
	return law
}

// PSMean is the mean stay under processor sharing, for any law of service of mean 1:
// 1/(1−ρ) (Sakata, Noguchi, Oizumi 1971).
func PSMean(rho float64) float64 { return 1 / (1 - rho) }
