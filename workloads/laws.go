package workloads

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"sort"

	"taillab/policies/chance"
)

// law is a distribution before rounding and clamping. Partial integrals up to x
// give every moment that the offered load needs, clamps included.
type law interface {
	draw(p *rand.PCG) float64
	// upTo returns P(X ≤ x), E[X; X ≤ x] and E[X²; X ≤ x].
	upTo(x float64) (p, m1, m2 float64)
	// at is the inverse of P(X ≤ x) for u in (0, 1).
	at(u float64) float64
}

// point is the law of a constant.
type point float64

func (c point) draw(*rand.PCG) float64 { return float64(c) }
func (c point) at(float64) float64     { return float64(c) }
func (c point) upTo(x float64) (p, m1, m2 float64) {
	if x < float64(c) {
		return 0, 0, 0
	}
	return 1, float64(c), float64(c * c)
}

// exponential has the given mean.
type exponential float64

func (e exponential) draw(p *rand.PCG) float64 { return chance.Exp(p) * float64(e) }
func (e exponential) at(u float64) float64     { return -math.Log1p(-u) * float64(e) }
func (e exponential) upTo(x float64) (p, m1, m2 float64) {
	m := float64(e)
	if x <= 0 {
		return 0, 0, 0
	}
	z := x / m
	if math.IsInf(z, 1) || z > 700 {
		return 1, m, 2 * m * m
	}
	q := math.Exp(-z)
	return -math.Expm1(-z), m * (1 - q*(1+z)), m * m * (2 - q*(2+2*z+z*z))
}

// logNormal is exp(mu + sigma·Z).
type logNormal struct{ mu, sigma float64 }

func lognormalOf(mean, cv float64) logNormal {
	s2 := math.Log1p(cv * cv)
	return logNormal{mu: math.Log(mean) - s2/2, sigma: math.Sqrt(s2)}
}

func (l logNormal) draw(p *rand.PCG) float64 { return chance.Lognormal(p, l.mu, l.sigma) }
func (l logNormal) at(u float64) float64     { return math.Exp(l.mu + l.sigma*normalAt(u)) }
func (l logNormal) upTo(x float64) (p, m1, m2 float64) {
	if x <= 0 {
		return 0, 0, 0
	}
	z, s := (math.Log(x)-l.mu)/l.sigma, l.sigma
	return phi(z), math.Exp(l.mu+s*s/2) * phi(z-s), math.Exp(2*l.mu+2*s*s) * phi(z-2*s)
}

// phi is the standard normal distribution function; normalAt inverts it.
func phi(z float64) float64      { return math.Erfc(-z/math.Sqrt2) / 2 }
func normalAt(u float64) float64 { return -math.Sqrt2 * math.Erfcinv(2*u) }

// paretoLaw has P(X > x) = (xm/x)^alpha, values above cap set to cap.
type paretoLaw struct{ xm, alpha, cap float64 }

func (l paretoLaw) draw(p *rand.PCG) float64 {
	return min(l.xm*math.Exp(chance.Exp(p)/l.alpha), l.cap)
}
func (l paretoLaw) at(u float64) float64 { return min(l.xm*math.Pow(1-u, -1/l.alpha), l.cap) }
func (l paretoLaw) upTo(x float64) (p, m1, m2 float64) {
	if x < l.xm {
		return 0, 0, 0
	}
	a, y := l.alpha, min(x, l.cap)
	tail := math.Pow(l.xm/y, a)
	p = 1 - tail
	m1 = a / (a - 1) * (l.xm - y*tail)
	switch {
	case math.IsInf(y, 1):
		m1 = a / (a - 1) * l.xm
		if m2 = math.Inf(1); a > 2 {
			m2 = a / (a - 2) * l.xm * l.xm
		}
	case a == 2:
		m2 = 2 * l.xm * l.xm * math.Log(y/l.xm)
	default:
		m2 = a / (a - 2) * (l.xm*l.xm - y*y*tail)
	}
	if x >= l.cap && !math.IsInf(l.cap, 1) { // the tail sits on the cap
		return 1, m1 + l.cap*tail, m2 + l.cap*l.cap*tail
	}
	return p, m1, m2
}

// table is an inverse distribution function, linear between points and constant
// below the first; the share above the last point takes its value.
type table struct{ u, v []float64 }

func newTable(points []Point) table {
	t := table{u: []float64{0}, v: []float64{points[0].Value}}
	for _, p := range points {
		t.u = append(t.u, p.Percent/100)
		t.v = append(t.v, p.Value)
	}
	if last := len(t.u) - 1; t.u[last] < 1 {
		t.u, t.v = append(t.u, 1), append(t.v, t.v[last])
	}
	return t
}

func (t table) draw(p *rand.PCG) float64 { return t.at(chance.Float(p)) }
func (t table) at(u float64) float64 {
	i := sort.SearchFloat64s(t.u, u)
	if i == 0 {
		return t.v[0]
	}
	if i == len(t.u) {
		return t.v[i-1]
	}
	w := (u - t.u[i-1]) / (t.u[i] - t.u[i-1])
	return t.v[i-1] + float64(w*(t.v[i]-t.v[i-1]))
}

func (t table) upTo(x float64) (p, m1, m2 float64) {
	for i := 1; i < len(t.u); i++ {
		a, b, w := t.v[i-1], t.v[i], t.u[i]-t.u[i-1]
		if a > x || w == 0 {
			continue
		}
		if b > x { // only the lower part of the piece
			w *= (x - a) / (b - a)
			b = x
		}
		p += w
		m1 += w * (a + b) / 2
		m2 += w * (a*a + a*b + b*b) / 3
	}
	return p, m1, m2
}

// sample is a weighted set of values, drawn with replacement.
type sample struct {
	values     []float64 // rising
	p, m1, m2  []float64 // running sums
	pickWeight *alias    // nil: equal weights
}

func newSample(bars []Bar) sample {
	bars = slices.Clone(bars)
	slices.SortStableFunc(bars, func(a, b Bar) int { return cmp.Compare(a.Value, b.Value) })
	var s sample
	var w []float64
	sum, equal := 0.0, true
	for _, b := range bars {
		s.values, w = append(s.values, b.Value), append(w, b.Weight)
		sum += b.Weight
		equal = equal && b.Weight == bars[0].Weight
	}
	if !equal {
		s.pickWeight = newAlias(w)
	}
	var p, m1, m2 float64
	for i, v := range s.values {
		p, m1, m2 = p+w[i]/sum, m1+w[i]/sum*v, m2+w[i]/sum*v*v
		s.p, s.m1, s.m2 = append(s.p, p), append(s.m1, m1), append(s.m2, m2)
	}
	return s
}

func (s sample) draw(p *rand.PCG) float64 {
	if s.pickWeight == nil {
		return s.values[chance.Below(p, uint64(len(s.values)))]
	}
	return s.values[s.pickWeight.draw(p)]
}

func (s sample) at(u float64) float64 {
	return s.values[min(sort.SearchFloat64s(s.p, u), len(s.values)-1)]
}

func (s sample) upTo(x float64) (p, m1, m2 float64) {
	i := sort.Search(len(s.values), func(i int) bool { return s.values[i] > x })
	if i == 0 {
		return 0, 0, 0
	}
	return s.p[i-1], s.m1[i-1], s.m2[i-1]
}

// mixture draws one of several sizers: a part is rounded and clamped on its own.
type mixture struct {
	pick  *alias
	share []float64
	parts []sizer
}

func (m mixture) draw(p *rand.PCG) float64 { return m.parts[m.pick.draw(p)].value(p) }
func (m mixture) upTo(x float64) (p, m1, m2 float64) {
	for i, s := range m.parts {
		a, b, c := s.upTo(x)
		p, m1, m2 = p+m.share[i]*a, m1+m.share[i]*b, m2+m.share[i]*c
	}
	return p, m1, m2
}

// at inverts by bisection; only the statistics of a mixture ask for it.
func (m mixture) at(u float64) float64 {
	lo, hi := math.Inf(1), 0.0
	for _, s := range m.parts {
		lo, hi = min(lo, s.law.at(1e-9), s.law.at(u)), max(hi, s.law.at(1-1e-9), s.law.at(u))
	}
	for range 80 {
		mid := (lo + hi) / 2
		if p, _, _ := m.upTo(mid); p < u {
			lo = mid
		} else {
			hi = mid
		}
	}
	return hi
}
