package workloads

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"taillab/policies"
)

// MaxRate is the largest arrival rate per second: one request per nanosecond.
const MaxRate = 1e9

// Arrivals says when requests come: a kind with its parameters, or the name of
// an arrival preset. Fields that the kind does not use are ignored.
type Arrivals struct {
	Kind string  `yaml:"kind"` // one of ArrivalKinds, or a preset
	Rate float64 `yaml:"rate"` // per second; 0 = not given: the load sets it, or the preset has its own
	CV   float64 `yaml:"cv"`   // gamma, weibull: coefficient of variation of the gaps

	Phase      time.Duration `yaml:"phase"` // constant: delay of the first gap
	States     []State       `yaml:"states"`
	Transition [][]float64   `yaml:"transition"` // mmpp: jump probabilities; nil = uniform over the others

	OnRate  float64       `yaml:"on_rate"` // onoff: per second
	OnMean  time.Duration `yaml:"on_mean"`
	OffMean time.Duration `yaml:"off_mean"`

	Amplitude float64       `yaml:"amplitude"` // diurnal
	Period    time.Duration `yaml:"period"`
	Turn      float64       `yaml:"turn"` // diurnal: the key "phase", a share of the period

	Trace TraceSpec `yaml:"trace"`
}

// State is one state of an mmpp.
type State struct {
	Rate        float64       `yaml:"rate"` // per second; 0 is legal
	MeanSojourn time.Duration `yaml:"mean_sojourn"`
}

// NewArrivals returns the defaults of a kind.
func NewArrivals(kind string) Arrivals {
	return Arrivals{Kind: kind, CV: 1, Period: 24 * time.Hour, Trace: NewTrace()}
}

// Rated says whether the arrivals were given a rate (states of an mmpp have
// theirs), so that a load beside them would be one too many. A preset or trace
// has a rate of its own that a load may change.
func (a Arrivals) Rated() bool {
	switch a.Kind {
	case "mmpp", "onoff":
		return true
	case "trace":
		return false
	}
	return a.Rate > 0
}

// Check returns everything that is out of range. Paths begin with the kind.
func (a Arrivals) Check() []policies.Problem {
	var ps []policies.Problem
	if a.Rate < 0 || a.Rate > MaxRate || math.IsNaN(a.Rate) {
		ps = append(ps, problem("rate", "the arrival rate is %v/s: it must be above 0 and at most 1e9/s", a.Rate))
	}
	switch a.Kind {
	case "poisson":
	case "constant":
		if a.Phase < 0 {
			ps = append(ps, problem("phase", "phase is %v: it must be at least 0", a.Phase))
		}
	case "gamma", "weibull":
		ps = append(ps, a.checkCV()...)
	case "mmpp":
		ps = append(ps, a.checkStates()...)
	case "onoff":
		ps = append(ps, a.checkOnOff()...)
	case "diurnal":
		ps = append(ps, a.checkDiurnal()...)
	case "trace":
		return under("trace", a.Trace.Check())
	default:
		if _, ok := arrivalPreset(a.Kind); !ok {
			return []policies.Problem{a.unknown()}
		}
	}
	return under(a.Kind, ps)
}

// unknown lists what the kind could have been.
func (a Arrivals) unknown() policies.Problem {
	if a.Kind == "closed" || a.Kind == "clients" {
		return hint(problem("", "arrivals of kind %q are not available yet", a.Kind), "use an open process such as poisson or gamma")
	}
	var names []string
	for _, k := range ArrivalKinds() {
		names = append(names, k.Name)
	}
	for _, p := range Presets() {
		if p.Arrivals {
			names = append(names, p.Name)
		}
	}
	return hint(problem("", "no arrival process called %q", a.Kind), "one of: "+strings.Join(names, " "))
}

func (a Arrivals) checkCV() []policies.Problem {
	if !(a.CV > 0 && a.CV <= 50) {
		return []policies.Problem{problem("cv", "cv is %v: it must be above 0 and at most 50", a.CV)}
	}
	if lo := weibullCV(weibullShapeMax); a.Kind == "weibull" && a.CV < lo {
		return []policies.Problem{hint(problem("cv", "cv is %v: a Weibull law of shape 50 or less reaches no lower than %.3f", a.CV, lo), "use gamma or constant")}
	}
	return nil
}

func (a Arrivals) checkStates() []policies.Problem {
	var ps []policies.Problem
	if len(a.States) < 2 {
		ps = append(ps, problem("states", "an mmpp has %d states: it needs at least 2", len(a.States)))
	}
	top := 0.0
	for i, s := range a.States {
		at := "states[" + strconv.Itoa(i) + "]"
		if !(s.Rate >= 0 && s.Rate <= MaxRate) {
			ps = append(ps, problem(at+".rate", "the rate of state %d is %v/s: it must lie in [0, 1e9]/s", i+1, s.Rate))
		}
		if s.MeanSojourn <= 0 {
			ps = append(ps, problem(at+".mean_sojourn", "the mean sojourn of state %d is %v: it must be above 0", i+1, s.MeanSojourn))
		}
		top = max(top, s.Rate)
	}
	if len(a.States) >= 2 && top == 0 {
		ps = append(ps, problem("states", "the rate is 0 in every state: no request would ever come"))
	}
	if a.Transition != nil {
		ps = append(ps, a.checkTransition()...)
	}
	return ps
}

func (a Arrivals) checkTransition() []policies.Problem {
	var ps []policies.Problem
	n := len(a.States)
	if len(a.Transition) != n {
		return append(ps, problem("transition", "the matrix has %d rows for %d states", len(a.Transition), n))
	}
	for i, row := range a.Transition {
		at := "transition[" + strconv.Itoa(i) + "]"
		if len(row) != n {
			ps = append(ps, problem(at, "row %d has %d entries for %d states", i+1, len(row), n))
			continue
		}
		sum := 0.0
		for _, p := range row {
			if !(p >= 0 && p <= 1) {
				ps = append(ps, problem(at, "row %d holds %v: a probability lies in [0, 1]", i+1, p))
			}
			sum += p
		}
		if !(math.Abs(sum-1) <= 1e-9) {
			ps = append(ps, problem(at, "row %d sums to %v: it must sum to 1", i+1, sum))
		}
	}
	if len(ps) == 0 && !connected(a.Transition) {
		ps = append(ps, problem("transition", "some state can never be reached from some other"))
	}
	return ps
}

// connected says whether every state can be reached from every other.
func connected(p [][]float64) bool {
	reach := func(forward bool) bool {
		seen, todo := make([]bool, len(p)), []int{0}
		seen[0] = true
		for len(todo) > 0 {
			i := todo[len(todo)-1]
			todo = todo[:len(todo)-1]
			for j := range p {
				w := p[i][j]
				if !forward {
					w = p[j][i]
				}
				if w > 0 && !seen[j] {
					seen[j] = true
					todo = append(todo, j)
				}
			}
		}
		return !slices.Contains(seen, false)
	}
	return len(p) > 0 && reach(true) && reach(false)
}

func (a Arrivals) checkOnOff() []policies.Problem {
	var ps []policies.Problem
	if !(a.OnRate > 0 && a.OnRate <= MaxRate) {
		ps = append(ps, problem("on_rate", "on_rate is %v/s: it must be above 0 and at most 1e9/s", a.OnRate))
	}
	if a.OnMean <= 0 {
		ps = append(ps, problem("on_mean", "on_mean is %v: it must be above 0", a.OnMean))
	}
	if a.OffMean <= 0 {
		ps = append(ps, problem("off_mean", "off_mean is %v: it must be above 0", a.OffMean))
	}
	return ps
}

func (a Arrivals) checkDiurnal() []policies.Problem {
	var ps []policies.Problem
	if !(a.Amplitude >= 0 && a.Amplitude < 1) {
		ps = append(ps, problem("amplitude", "amplitude is %v: it must lie in [0, 1)", a.Amplitude))
	}
	if a.Period <= 0 {
		ps = append(ps, problem("period", "period is %v: it must be above 0", a.Period))
	}
	if math.IsNaN(a.Turn) || math.IsInf(a.Turn, 0) {
		ps = append(ps, problem("phase", "phase is %v: it must be a number", a.Turn))
	}
	return ps
}
