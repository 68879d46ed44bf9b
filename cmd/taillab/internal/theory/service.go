package theory

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"gonum.org/v1/gonum/stat/distuv"
)

// Service is a law of service times with mean 1.
type Service struct {
	Name string
	// Demand is the same law as a scenario's `demand`, one unit lasting 10 ms.
	Demand string
	M2, M3 float64 // E[S²], E[S³]
	// CDF is P(S ≤ x); Short is E[min(S, x)], which is the CDF of the residual of a
	// service under way. x ≥ 0.
	CDF, Short func(x float64) float64
}

// Services lists the laws that ParseService reads.
func Services() []string { return []string{"exp", "det", "lognCV", "bimodal", "hyperCV"} }

// Bounds of the cv of a law: beyond them a simulation of feasible length has no mean.
const (
	minCV = 0.05
	maxCV = 4
)

// ParseService reads a law of service: exp, det, logn2 (lognormal with cv 2), bimodal
// (0.5 with chance 0.9, else 5.5), hyper2 (two exponentials with balanced means, cv 2).
func ParseService(text string) (Service, error) {
	switch text {
	case "exp":
		return expService(), nil
	case "det":
		return discrete("det", "10ms", []float64{1}, []float64{1}), nil
	case "bimodal":
		return discrete("bimodal", "{bimodal: [{p: 0.9, value: 5ms}, {p: 0.1, value: 55ms}]}", []float64{0.9, 0.1}, []float64{0.5, 5.5}), nil
	}
	for name, f := range map[string]struct {
		make  func(text string, cv float64) Service
		above float64
	}{"logn": {lognService, minCV}, "hyper": {hyperService, 1}} {
		tail, ok := strings.CutPrefix(text, name)
		if !ok {
			continue
		}
		cv, err := strconv.ParseFloat(tail, 64)
		if err != nil {
			return Service{}, fmt.Errorf("service %s: write %s and its cv, e.g. %s2", text, name, name)
		}
		if !(cv > f.above && cv <= maxCV) {
			return Service{}, fmt.Errorf("service %s: the cv is %g: it must lie in (%g, %d]", text, cv, f.above, maxCV)
		}
		return f.make(text, cv), nil
	}
	return Service{}, fmt.Errorf("no service law called %q: one of %s, e.g. logn2", text, strings.Join(Services(), " "))
}

func expService() Service {
	return Service{Name: "exp", Demand: "{exponential: {mean: 10ms}}", M2: 2, M3: 6,
		CDF: func(x float64) float64 { return -math.Expm1(-x) }, Short: func(x float64) float64 { return -math.Expm1(-x) }}
}

// discrete takes value v[i] with chance p[i].
func discrete(name, demand string, p, v []float64) Service {
	s := Service{Name: name, Demand: demand}
	for i, q := range p {
		s.M2 += q * v[i] * v[i]
		s.M3 += q * v[i] * v[i] * v[i]
	}
	s.CDF = func(x float64) (sum float64) {
		for i, q := range p {
			if v[i] <= x {
				sum += q
			}
		}
		return sum
	}
	s.Short = func(x float64) (sum float64) {
		for i, q := range p {
			sum += q * min(v[i], x)
		}
		return sum
	}
	return s
}

// lognService: σ² = ln(1+cv²), μ = −σ²/2; moments exp(kμ + k²σ²/2).
func lognService(name string, cv float64) Service {
	s2 := math.Log1p(cv * cv)
	d := distuv.LogNormal{Mu: -s2 / 2, Sigma: math.Sqrt(s2)}
	sized := distuv.LogNormal{Mu: s2 / 2, Sigma: math.Sqrt(s2)} // by work: E[S; S ≤ x] is its CDF
	return Service{Name: name, Demand: fmt.Sprintf("{lognormal: {mean: 10ms, cv: %g}}", cv),
		M2: math.Exp(s2), M3: math.Exp(3 * s2), CDF: d.CDF,
		Short: func(x float64) float64 {
			if x <= 0 {
				return 0
			}
			return sized.CDF(x) + x*d.Survival(x)
		}}
}

// hyperService mixes two exponentials that bring half of the work each.
func hyperService(name string, cv float64) Service {
	p := (1 + math.Sqrt((cv*cv-1)/(cv*cv+1))) / 2
	q := 1 - p
	a, b := 1/(2*p), 1/(2*q) // their means
	mix := func(f func(mean float64) float64) float64 { return p*f(a) + q*f(b) }
	return Service{Name: name,
		Demand: fmt.Sprintf("{bimodal: [{p: %.17g, exponential: {mean: %.9fms}}, {p: %.17g, exponential: {mean: %.9fms}}]}", p, 10*a, q, 10*b),
		M2:     mix(func(m float64) float64 { return 2 * m * m }), M3: mix(func(m float64) float64 { return 6 * m * m * m }),
		CDF:   func(x float64) float64 { return mix(func(m float64) float64 { return -math.Expm1(-x / m) }) },
		Short: func(x float64) float64 { return mix(func(m float64) float64 { return -m * math.Expm1(-x/m) }) }}
}
