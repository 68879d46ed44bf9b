package verify

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"taillab/cmd/taillab/internal/theory"
)

// Model is one case: a closed form and the scenario that should meet it.
type Model struct {
	Name, About, Source string
	Takes               []string // parameters beside rho
	quick, full         []Point  // the grid; the first of quick holds the defaults
	// limit is not 0 if the law is that of infinitely many replicas: n of them differ by
	// limit/(n(1−ρ)) at most, as a share. It covers the largest differences seen at n = 100.
	limit float64
	// law is what theory says, in mean service times or in milliseconds.
	law func(p Point) (Prediction, error)
	// fleet and balance are the keys of the scenario.
	fleet, balance func(p Point) string
	// relax is the time within which the system forgets, and independent is how many
	// parts of it do so apart from each other.
	relax       func(p Point) float64
	independent func(p Point) int
}

// Prediction is what theory says of a point.
type Prediction struct {
	theory.Law
	Busy   float64 // busy share of the replicas
	Unit   string
	Rate   float64 // arrivals per unit of time, all replicas together
	Demand string  // of the scenario; empty: the model of the fleet has one
	Counts []count // what else a summary holds
}

// count is a number per request.
type count struct {
	name   string
	metric string // in a summary's metrics
	value  float64
	slack  float64 // as a share, beside what all have
}

// The units of a prediction.
const (
	unitService = "service"
	unitMS      = "ms"
	unitRatio   = "ratio"
)

// find finds a case by name; underscores may be dashes.
func find(name string) Model {
	name = strings.ReplaceAll(name, "-", "_")
	for _, m := range Models() {
		if m.Name == name {
			return m
		}
	}
	return Model{}
}

// Names lists the cases.
func Names() []string {
	var out []string
	for _, m := range Models() {
		out = append(out, m.Name)
	}
	return out
}

// points is the grid of the case.
func (m Model) points(quick bool) []Point {
	list := m.full
	if quick {
		list = m.quick
	}
	out := slices.Clone(list)
	for i := range out {
		out[i].Case = m.Name
		if out[i].N == 0 && slices.Contains(m.Takes, ParamN) {
			out[i].N = 1
		}
	}
	return out
}

// Bounds of parameters: beyond them a simulation takes too long to say anything.
const (
	maxRho      = 0.99
	maxOverload = 5
	minLimitN   = 100
	maxN        = 20_000
	minFront    = 10
	maxChoices  = 10
	maxWaiting  = 1000
	maxBatch    = 256
	minEvery    = 0.01
	maxEvery    = 100
)

// check says what is wrong with the parameters of a point.
func (m Model) check(p Point) error {
	top := float64(maxRho)
	if m.Name == "mmck" {
		top = maxOverload
	}
	if !(p.Rho > 0 && p.Rho <= top) {
		return fmt.Errorf("--rho is %g: it must lie in (0, %g]", p.Rho, top)
	}
	for _, name := range m.Takes {
		if err := m.checkParam(p, name); err != nil {
			return err
		}
	}
	return nil
}

func (m Model) checkParam(p Point, name string) error {
	within := func(v, lo, hi int, why string) error {
		if v < lo || v > hi {
			return fmt.Errorf("--%s is %d: it must lie in [%d, %d]%s", name, v, lo, hi, why)
		}
		return nil
	}
	switch name {
	case ParamN:
		if m.limit > 0 {
			return within(p.N, minLimitN, maxN, ": the law is the limit of many replicas")
		}
		return within(p.N, 1, maxN, "")
	case ParamDispatchers:
		return within(p.Dispatchers, minFront, p.N, ": the law is the limit of many dispatchers, each with one replica or more")
	case ParamChoices:
		return within(p.Choices, 1, maxChoices, "")
	case ParamRoom:
		if m.Name == "mmck" {
			return within(p.Room, p.N, p.N+maxWaiting, ": waiting and running requests")
		}
		return within(p.Room, 1, maxBatch, ": the largest batch")
	case ParamEvery:
		if !(p.Every >= minEvery && p.Every <= maxEvery) {
			return fmt.Errorf("--every is %g: it must lie in [%g, %d] mean service times", p.Every, minEvery, maxEvery)
		}
	}
	return nil
}

// separate is the relaxation time of an M/M/1 queue in mean service times,
// 1/(1−√ρ)² (Morse 1955).
func separate(rho float64) float64 {
	gap := 1 - math.Sqrt(rho)
	return 1 / (gap * gap)
}

// slack is what a simulation of n replicas may be off by, as a share of a time: 0.2%
// for bins and warm-up, and in a limit of many replicas what n of them differ by.
func (m Model) slack(p Point) float64 {
	if m.limit == 0 {
		return baseSlack
	}
	return baseSlack + m.limit/(float64(p.N)*(1-p.Rho))
}

const (
	baseSlack  = 0.002
	shareSlack = 2e-4 // of a share, at least
)
