package workloads

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"

	"taillab/policies"
)

// Spec is the workload of a scenario: what the keys under `workload:` decode to,
// plus `frontends:`. NewSpec holds the defaults; Check reports everything wrong.
type Spec struct {
	Arrivals Arrivals `yaml:"arrivals"` // when requests come
	Load     float64  `yaml:"load"`     // share of the fleet's capacity; 0 = not given. Package scenarios resolves it

	Input    Dist    `yaml:"input"`    // tokens; unset: the trace's column, else 1
	Output   Dist    `yaml:"output"`   // tokens; likewise
	Demand   Dist    `yaml:"demand"`   // service demand at speed 1 (ns); unset: it follows from the tokens
	Deadline Dist    `yaml:"deadline"` // since the arrival (ns); unset: none
	Pairs    string  `yaml:"pairs"`    // file or preset whose (input, output) rows are sampled together
	Copula   float64 `yaml:"copula"`   // rank correlation (Spearman) of input and output

	Tenants  Tenants      `yaml:"tenants"`
	Models   []Model      `yaml:"models"`
	Class    string       `yaml:"class"`
	Priority int8         `yaml:"priority"`
	Modulate []Modulation `yaml:"modulate"`

	Frontends Frontends `yaml:"frontends"`
}

// Model is one model of the popularity mix.
type Model struct {
	Name    string  `yaml:"name"`
	Weight  float64 `yaml:"weight"`  // relative
	Service string  `yaml:"service"` // needed where the scenario has several services and no graph
}

// NewSpec returns the defaults: Poisson arrivals, one tenant, one front end.
func NewSpec() Spec {
	return Spec{Arrivals: NewArrivals("poisson"), Frontends: NewFrontends()}
}

// Check returns everything that is out of range, with paths relative to the
// workload block; those of the front ends begin with "frontends.".
func (s Spec) Check() []policies.Problem {
	ps := under("arrivals", s.Arrivals.Check())
	ps = append(ps, s.checkSizes()...)
	ps = append(ps, under("tenants", s.Tenants.Check())...)
	ps = append(ps, checkModels(s.Models)...)
	ps = append(ps, checkModulate(s.Modulate)...)
	ps = append(ps, under("frontends", s.Frontends.Check())...)
	if s.Load < 0 || math.IsNaN(s.Load) || math.IsInf(s.Load, 0) {
		ps = append(ps, problem("load", "load is %v: it must be above 0", s.Load))
	}
	if s.Load > 0 && s.rated() {
		ps = append(ps, hint(problem("load", "load and a rate are both given"), "give one of rate or load"))
	}
	if s.Arrivals.Kind == "trace" && len(s.Modulate) > 0 {
		ps = append(ps, hint(problem("modulate", "a trace cannot be modulated"), "use trace.time_scale or trace.load_scale"))
	}
	return ps
}

// rated says whether the workload fixes its own arrival rate.
func (s Spec) rated() bool {
	return s.Arrivals.Rated() || slices.ContainsFunc(s.Tenants.List, func(t Tenant) bool { return t.Rate > 0 })
}

func (s Spec) checkSizes() []policies.Problem {
	var ps []policies.Problem
	ps = append(ps, under("input", s.Input.Check(Tokens))...)
	ps = append(ps, under("output", s.Output.Check(Tokens))...)
	ps = append(ps, under("demand", s.Demand.Check(Durations))...)
	ps = append(ps, under("deadline", s.Deadline.Check(Durations))...)
	if !(math.Abs(s.Copula) <= 0.99) {
		ps = append(ps, problem("copula", "copula is %v: it must lie in [-0.99, 0.99]", s.Copula))
	}
	if s.Copula != 0 && (s.Input.Kind == "bimodal" || s.Output.Kind == "bimodal") {
		ps = append(ps, hint(problem("copula", "copula does not work with a bimodal size"), "give the size as quantiles"))
	}
	if s.Pairs != "" {
		if s.Input.Kind != "" || s.Output.Kind != "" {
			ps = append(ps, hint(problem("pairs", "pairs stands beside input or output"), "leave input and output out: the pairs give both"))
		}
		if s.Copula != 0 {
			ps = append(ps, hint(problem("copula", "copula stands beside pairs"), "leave one out: pairs are correlated as they are"))
		}
	}
	return ps
}

func checkModels(ms []Model) []policies.Problem {
	var ps []policies.Problem
	sum := 0.0
	for i, m := range ms {
		at := "models[" + strconv.Itoa(i) + "]"
		if m.Name == "" {
			ps = append(ps, problem(at+".name", "model %d has no name", i+1))
		}
		for _, o := range ms[:i] {
			if m.Name != "" && o.Name == m.Name {
				ps = append(ps, problem(at+".name", "two models are called %q", m.Name))
				break
			}
		}
		if !(m.Weight >= 0) || math.IsInf(m.Weight, 0) {
			ps = append(ps, problem(at+".weight", "the weight of %q is %v: it must be at least 0", m.Name, m.Weight))
		} else {
			sum += m.Weight
		}
	}
	if len(ms) > 0 && len(ps) == 0 && !(sum > 0) {
		ps = append(ps, problem("models", "all weights are 0: at least one must be above 0"))
	}
	return ps
}

// Warning is something the user should know although the run goes on. Codes are
// those of the summary: infinite-variance, clamped-sizes, unsorted-trace …
type Warning struct {
	Code    string `json:"code"`
	Message string `json:"message"`
}

func warning(code, format string, args ...any) Warning {
	return Warning{Code: code, Message: fmt.Sprintf(format, args...)}
}

func problem(path, format string, args ...any) policies.Problem {
	return policies.Problem{Path: path, Msg: fmt.Sprintf(format, args...)}
}

func hint(p policies.Problem, h string) policies.Problem { p.Hint = h; return p }

// under puts the problems below a key.
func under(key string, ps []policies.Problem) []policies.Problem {
	for i := range ps {
		switch {
		case ps[i].Path == "":
			ps[i].Path = key
		case ps[i].Path[0] == '[':
			ps[i].Path = key + ps[i].Path
		default:
			ps[i].Path = key + "." + ps[i].Path
		}
	}
	return ps
}

// seconds is d as a float, for formulas.
func seconds(d time.Duration) float64 { return float64(d) / 1e9 }
