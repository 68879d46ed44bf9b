package verify

import (
	"fmt"
	"math"

	"taillab/policies"
	"taillab/scenarios"
)

// effort is how much is simulated per point.
type effort struct {
	requests float64 // measured per seed, at least
	seeds    int
	from     int // number of the first seed, from 0: repetitions use others
}

// Seeds of a point. Twenty make the t interval of one check hold out to the small
// p-values that a correction for a hundred of them asks for.
const seeds = 20

// maxRequests bounds the simulated requests of a point, all seeds together: an hour.
const maxRequests = 2e9

// quantile is a percentile that is compared, in per mille.
type quantile struct {
	name     string
	permille int
}

func quantiles() []quantile {
	return []quantile{{"p50", 500}, {"p90", 900}, {"p99", 990}, {"p999", 999}}
}

// size is how long each seed of a point runs, in requests.
type size struct {
	warm, measured int
	top            int // largest percentile that this carries, per mille
}

// sized follows two rules. The warm-up is ten relaxation times. A percentile p needs
// three relaxation times in the slowest 1 − p of the measured time (summed over what
// forgets independently): with less, intervals over seeds do not cover. P99 always
// gets them, P99.9 where that costs no more than the least effort or three times it.
func (m Model) sized(p Point, pred Prediction, e effort) (size, error) {
	relax, parts := m.relax(p), float64(m.independent(p))
	need := func(permille int) float64 { // requests
		return pred.Rate * 3 * relax / (parts * (1 - float64(permille)/1000))
	}
	s := size{top: 990}
	measured := max(e.requests, need(990), 20*relax*pred.Rate)
	if n := max(need(999), 50_000); n <= 3*measured {
		s.top, measured = 999, max(measured, n)
	}
	warm := 10 * relax * pred.Rate
	if pred.Tail == nil {
		s.top = 0
	}
	if p.Every > 0 { // whole cycles of the board: its age is part of the law
		cycle := pred.Rate * p.Every
		warm, measured = math.Ceil(warm/cycle)*cycle, math.Ceil(measured/cycle)*cycle
	}
	if total := (warm + measured) * float64(e.seeds); total > maxRequests {
		return s, fmt.Errorf("%s would need %.1g simulated requests (%.0g are allowed): take a smaller load or fewer replicas", p.Label(), total, maxRequests)
	}
	s.warm, s.measured = int(warm), int(measured)
	return s, nil
}

// Scenario is the point as a scenario that `taillab run` takes.
func (m Model) scenario(p Point, pred Prediction, s size) []byte {
	fleet, balance, demand := fmt.Sprintf("replicas: %d", p.replicas()), "random", ""
	if m.fleet != nil {
		fleet = m.fleet(p)
	}
	if m.balance != nil {
		balance = m.balance(p)
	}
	if pred.Demand != "" {
		demand = "demand: " + pred.Demand
	}
	return fmt.Appendf(nil, `version: 1
name: verify
allow_overload: true
workload: {%s}
frontends: {count: %d}
fleet: {%s}
policies: {balance: %s}
sweep: {load: [%.17g]}
measure: {requests: %d, warmup: %.12g%%, drain: 1000s}
`, demand, max(1, p.Dispatchers), fleet, balance, p.Rho, s.warm+s.measured, 100*float64(s.warm)/float64(s.warm+s.measured))
}

// cell loads the scenario of a point. A problem in it is a fault of this program.
func (m Model) cell(p Point, pred Prediction, s size, catalog policies.Catalog) (*scenarios.Cell, error) {
	plans, problems := scenarios.Load([]scenarios.Source{{Name: "verify", Data: m.scenario(p, pred, s)}}, scenarios.Options{Catalog: catalog})
	if len(problems) > 0 {
		return nil, fmt.Errorf("%s: the scenario made for it is wrong: %s", p.Label(), problems[0].Message)
	}
	return plans[0].Cells[0], nil
}
