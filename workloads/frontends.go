package workloads

import (
	"math"
	"math/rand/v2"

	"taillab/policies"
	"taillab/policies/chance"
)

// MaxFrontends is the largest number of front ends.
const MaxFrontends = 10_000

// Frontends says how many front ends there are and which requests each meets.
type Frontends struct {
	Count int     `yaml:"count"`
	Split string  `yaml:"split"` // uniform, sticky (by session, else tenant) or skewed
	Skew  float64 `yaml:"skew"`  // skewed: P(i) ∝ 1/(i+1)^skew
}

// NewFrontends returns the defaults: one front end.
func NewFrontends() Frontends { return Frontends{Count: 1, Split: "uniform", Skew: 1} }

// Check returns everything that is out of range.
func (f Frontends) Check() []policies.Problem {
	var ps []policies.Problem
	if f.Count < 1 || f.Count > MaxFrontends {
		ps = append(ps, problem("count", "frontends.count is %d: it must lie in 1…10,000", f.Count))
	}
	switch f.Split {
	case "uniform", "sticky", "skewed":
	default:
		ps = append(ps, hint(problem("split", "no split called %q", f.Split), "one of: uniform sticky skewed"))
	}
	if !(f.Skew >= 0 && f.Skew <= 5) {
		ps = append(ps, problem("skew", "skew is %v: it must lie in [0, 5]", f.Skew))
	}
	return ps
}

// splitter assigns requests to front ends.
type splitter struct {
	n      uint64
	sticky bool
	salt   uint64
	table  *alias // skewed
	dice   rand.PCG
}

func newSplitter(f Frontends, table *alias, runSeed uint64) splitter {
	s := splitter{n: uint64(f.Count), sticky: f.Split == "sticky", table: table, dice: chance.Stream(runSeed, "split")}
	if s.sticky {
		s.salt = s.dice.Uint64()
	}
	return s
}

// fill sets the front end of each request; a single one draws nothing.
func (s *splitter) fill(rs []Request) {
	switch {
	case s.n <= 1:
	case s.sticky:
		for i := range rs { // one draw per key, by hash: it needs no table of keys
			rs[i].FrontEnd = scale(chance.Mix(s.salt^chance.Mix(rs[i].Key)), s.n)
		}
	case s.table != nil:
		for i := range rs {
			rs[i].FrontEnd = s.table.draw(&s.dice)
		}
	default:
		for i := range rs {
			rs[i].FrontEnd = uint32(chance.Below(&s.dice, s.n))
		}
	}
}

// zipf returns the weights 1/i^s for i = 1 … n.
func zipf(n int, s float64) []float64 {
	w := make([]float64, n)
	for i := range w {
		w[i] = math.Pow(float64(i+1), -s)
	}
	return w
}
