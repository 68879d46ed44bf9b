package workloads

import (
	"math"
	"strconv"

	"taillab/policies"
)

// MaxTenants is the largest number of tenants.
const MaxTenants = 1_000_000

// Tenants says who sends the requests: n tenants with Zipf popularity, n with
// given weights, or a list. The zero value is a single tenant.
type Tenants struct {
	N       int       `yaml:"n"`
	Zipf    float64   `yaml:"zipf"` // p_i ∝ 1/i^zipf
	Weights []float64 `yaml:"weights"`
	List    []Tenant  `yaml:"list"`
}

// Tenant is one listed tenant. It has a share, or a rate of its own: then it
// comes on top of the workload's rate.
type Tenant struct {
	Name     string  `yaml:"name"`
	Share    float64 `yaml:"share"`
	Rate     float64 `yaml:"rate"`  // per second, in place of share
	Group    string  `yaml:"group"` // quota group
	Class    string  `yaml:"class"`
	Priority *int8   `yaml:"priority"` // nil: the workload's
	Input    Dist    `yaml:"input"`    // not given: the workload's
	Output   Dist    `yaml:"output"`
}

// Check returns everything that is out of range.
func (t Tenants) Check() []policies.Problem {
	if len(t.List) > 0 {
		if t.N != 0 || t.Zipf != 0 || len(t.Weights) > 0 {
			return []policies.Problem{problem("", "tenants are given both as a list and as n: give one")}
		}
		return t.checkList()
	}
	var ps []policies.Problem
	if t.N < 0 || t.N > MaxTenants {
		ps = append(ps, problem("n", "n is %d: it must lie in 1…1,000,000", t.N))
	}
	if !(t.Zipf >= 0 && t.Zipf <= 5) {
		ps = append(ps, problem("zipf", "zipf is %v: it must lie in [0, 5]", t.Zipf))
	}
	if len(t.Weights) == 0 {
		return ps
	}
	if t.Zipf != 0 {
		ps = append(ps, problem("weights", "zipf and weights are both given: give one"))
	}
	if t.N != 0 && t.N != len(t.Weights) {
		ps = append(ps, problem("weights", "there are %d weights for n = %d tenants", len(t.Weights), t.N))
	}
	sum := 0.0
	for i, w := range t.Weights {
		if !(w >= 0) || math.IsInf(w, 0) {
			ps = append(ps, problem("weights["+strconv.Itoa(i)+"]", "weight %d is %v: it must be at least 0", i+1, w))
		}
		sum += w
	}
	if !(sum > 0) {
		ps = append(ps, problem("weights", "all weights are 0: at least one must be above 0"))
	}
	return ps
}

func (t Tenants) checkList() []policies.Problem {
	var ps []policies.Problem
	names := map[string]bool{}
	sum, shared := 0.0, 0
	for i, x := range t.List {
		at := "[" + strconv.Itoa(i) + "]"
		switch {
		case x.Name == "":
			ps = append(ps, problem(at+".name", "tenant %d has no name", i+1))
		case names[x.Name]:
			ps = append(ps, problem(at+".name", "two tenants are called %q", x.Name))
		}
		names[x.Name] = true
		ps = append(ps, under(at, x.check())...)
		if x.Rate == 0 {
			sum += x.Share
			shared++
		}
	}
	if shared > 0 && !(math.Abs(sum-1) <= 1e-9) {
		ps = append(ps, hint(problem("", "the shares sum to %v: they must sum to 1", sum), "tenants with a rate of their own take no share"))
	}
	return ps
}

func (t Tenant) check() []policies.Problem {
	var ps []policies.Problem
	if !within(t.Share, 0, 1) {
		ps = append(ps, problem("share", "the share of %q is %v: it must lie in [0, 1]", t.Name, t.Share))
	}
	if !within(t.Rate, 0, MaxRate) {
		ps = append(ps, problem("rate", "the rate of %q is %v/s: it must be above 0 and at most 1e9/s", t.Name, t.Rate))
	}
	if t.Rate > 0 && t.Share > 0 {
		ps = append(ps, problem("rate", "tenant %q has both a share and a rate: give one", t.Name))
	}
	ps = append(ps, under("input", t.Input.Check(Tokens))...)
	return append(ps, under("output", t.Output.Check(Tokens))...)
}

// count is the number of tenants.
func (t Tenants) count() int { return max(1, t.N, len(t.Weights), len(t.List)) }

// name is the name of tenant i: its own, or its number from 1.
func (t Tenants) name(i int) string {
	switch {
	case i < len(t.List):
		return t.List[i].Name
	case t.count() == 1:
		return "default"
	}
	return "t" + strconv.Itoa(i+1)
}

// weights returns relative shares; base is the workload's own rate, that the
// tenants without a rate divide.
func (t Tenants) weights(base float64) []float64 {
	n := t.count()
	switch {
	case len(t.List) > 0:
		w := make([]float64, n)
		rates := t.extraRate()
		for i, x := range t.List {
			if w[i] = x.Share; rates > 0 {
				w[i] = x.Share*base + x.Rate
			}
		}
		return w
	case len(t.Weights) > 0:
		return t.Weights
	}
	return zipf(n, t.Zipf)
}

// extraRate is the sum of the tenants' own rates per second.
func (t Tenants) extraRate() float64 {
	sum := 0.0
	for _, x := range t.List {
		sum += x.Rate
	}
	return sum
}
