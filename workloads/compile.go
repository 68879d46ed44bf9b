package workloads

import (
	"io"
	"math"
	"slices"
	"strconv"

	"taillab/policies"
)

// Options is what Compile needs beside the Spec. The zero value works for a
// workload without files.
type Options struct {
	Services []string  // of the plan, in order; a model's service is looked up here
	Dir      string    // relative file names count from here; "" = the working directory
	Stdin    io.Reader // read for the file "-"
	SkipBad  SkipBad
	Files    *Files // caches parsed files between cells; nil = no cache
}

// Compiled is a checked workload with its files read: the schedules of all seeds
// are drawn from it. It is never changed after Compile and may be shared.
type Compiled struct {
	spec     Spec
	arrivals Arrivals  // with a preset resolved
	levels   []stretch // of a preset, repeated
	rate     float64   // own mean rate per second; 0 = the load must set it
	trace    *Trace    // prepared rows; nil for a drawn process

	tenants  []tenant
	shares   []float64
	tenantBy *alias // nil: one tenant
	modelBy  *alias
	modelSvc []uint32
	splitBy  *alias

	classes, groups, models []string

	input, output, demand, deadline sizer

	rho     float64 // of the normal pair behind input and output; 0 = independent
	pairs   *Trace  // rows sampled together
	moments Moments
	base    Moments // of a tenant without sizes of its own
	own     bool    // some tenant has sizes of its own
	warn    []Warning
}

// tenant is what a tenant's requests have in common.
type tenant struct {
	name          string
	group         uint32
	class         uint16
	priority      int8
	input, output *sizer // nil: the workload's
}

// Compile checks the workload, reads its files and prepares the draws.
func Compile(spec Spec, opt Options) (*Compiled, []policies.Problem) {
	if ps := spec.Check(); len(ps) > 0 {
		return nil, ps
	}
	c := &Compiled{spec: spec, arrivals: spec.Arrivals}
	var ps []policies.Problem
	ps = append(ps, c.compileArrivals(opt)...)
	ps = append(ps, c.compileSizes(opt)...)
	ps = append(ps, c.compileTenants(opt)...)
	ps = append(ps, c.compileModels(opt)...)
	if len(ps) > 0 {
		return nil, ps
	}
	if f := spec.Frontends; f.Split == "skewed" {
		c.splitBy = newAlias(zipf(f.Count, f.Skew))
	}
	c.computeMoments()
	c.warnSizes()
	return c, nil
}

func (c *Compiled) compileArrivals(opt Options) []policies.Problem {
	a := &c.arrivals
	if p, ok := arrivalPreset(a.Kind); ok {
		rate := a.Rate
		if rate == 0 {
			rate = p.rate
		}
		*a = p.spec.Arrivals
		a.Rate = rate
		c.rate = rate
		c.levels = p.levels()
	} else if a.Kind == "trace" {
		return c.compileTrace(opt)
	} else {
		c.rate = a.meanRate()
	}
	extra := c.spec.Tenants.extraRate()
	if extra == 0 {
		return nil
	}
	shared := slices.ContainsFunc(c.spec.Tenants.List, func(t Tenant) bool { return t.Rate == 0 && t.Share > 0 })
	if shared && c.rate == 0 {
		return []policies.Problem{hint(problem("arrivals", "some tenants have a rate, others a share of a rate that is not given"), "give the arrivals a rate, or every tenant one")}
	}
	if !shared {
		if c.rate > 0 && c.spec.Arrivals.Rate > 0 {
			return []policies.Problem{hint(problem("arrivals", "the arrivals have a rate although every tenant has one"), "leave one out")}
		}
		c.rate = 0
	}
	c.rate += extra
	return nil
}

// levels are the repeated 300 s rates of a preset, relative to their mean.
func (p Preset) levels() []stretch {
	sum := 0.0
	for _, r := range p.rates {
		sum += r
	}
	var out []stretch
	for _, r := range p.rates {
		m := r / sum * float64(len(p.rates))
		out = append(out, stretch{length: presetWindow, m0: m, m1: m})
	}
	return out
}

func (c *Compiled) compileTrace(opt Options) []policies.Problem {
	spec := c.arrivals.Trace
	if m := c.spec.Input.Min; m != nil {
		spec.MinInput = uint32(*m)
	}
	if m := c.spec.Output.Min; m != nil {
		spec.MinOutput = uint32(*m)
	}
	if c.spec.Tenants.extraRate() > 0 {
		return []policies.Problem{hint(problem("tenants", "a tenant has a rate of its own beside a trace"), "give shares: the trace says when requests come")}
	}
	t, warn, err := LoadTrace(spec, opt)
	if err != nil {
		return []policies.Problem{problem("arrivals.trace.file", "%v", err)}
	}
	c.trace, c.warn = t, append(c.warn, warn...)
	if g := t.meanGap(); g > 0 {
		c.rate = 1e9 * float64(t.Len()-1) / float64(t.Span()) * spec.TimeScale
	} else if spec.Loop.On() {
		return []policies.Problem{problem("arrivals.trace.loop", "all rows of %s have the same stamp: it cannot be gone through again", spec.File)}
	}
	return nil
}

func (c *Compiled) compileSizes(opt Options) []policies.Problem {
	var ps []policies.Problem
	read := func(file, column string) ([]float64, error) { return readColumn(file, column, opt) }
	build := func(key string, d Dist, q Quantity) sizer {
		if d.Kind == "" && q == Tokens { // not given: 1 token
			d.Kind, d.Value = "constant", 1
		}
		s, err := newSizer(d, sizing{quantity: q, role: key, read: read})
		if err != nil {
			ps = append(ps, problem(key, "%v", err))
		}
		return s
	}
	s := c.spec
	c.input, c.output = build("input", s.Input, Tokens), build("output", s.Output, Tokens)
	c.demand, c.deadline = build("demand", s.Demand, Durations), build("deadline", s.Deadline, Durations)
	rank := s.Copula
	if s.Pairs != "" {
		if p, ok := preset(s.Pairs); ok && p.Sizes {
			rank = p.pairs
			c.input = build("input", Dist{Kind: "quantiles", Preset: s.Pairs}, Tokens)
			c.output = build("output", Dist{Kind: "quantiles", Preset: s.Pairs}, Tokens)
		} else if t, warn, err := loadPairs(s.Pairs, opt); err != nil {
			ps = append(ps, problem("pairs", "%v", err))
		} else {
			c.pairs, c.warn = t, append(c.warn, warn...)
		}
	}
	c.rho = 2 * math.Sin(math.Pi*rank/6) // Pearson of normals with this Spearman
	return ps
}

func (c *Compiled) compileTenants(opt Options) []policies.Problem {
	var ps []policies.Problem
	t := c.spec.Tenants
	c.classes, c.groups = []string{c.spec.Class}, []string{"default"}
	n := t.count()
	c.shares = normalise(t.weights(c.rate - t.extraRate()))
	names := make([]string, n)
	for i := range names {
		names[i] = t.name(i)
	}
	if c.trace != nil && c.trace.Tenant != nil {
		names, c.shares = c.trace.Tenants, c.trace.tenantShares()
	}
	listed := map[string]int{}
	for k, l := range t.List {
		listed[l.Name] = k
	}
	c.tenants = make([]tenant, len(names))
	for i, name := range names {
		x := tenant{name: name, priority: c.spec.Priority}
		if k, ok := listed[name]; ok {
			ps = append(ps, c.compileTenant(&x, t.List[k], "tenants["+strconv.Itoa(k)+"]", opt)...)
		}
		c.tenants[i] = x
	}
	if len(names) > 1 {
		c.tenantBy = newAlias(c.shares)
	}
	return ps
}

func (c *Compiled) compileTenant(x *tenant, l Tenant, at string, opt Options) []policies.Problem {
	var ps []policies.Problem
	if l.Group != "" {
		x.group = intern(&c.groups, l.Group)
	}
	if l.Class != "" {
		x.class = uint16(intern(&c.classes, l.Class))
	}
	if l.Priority != nil {
		x.priority = *l.Priority
	}
	read := func(file, column string) ([]float64, error) { return readColumn(file, column, opt) }
	own := func(key string, d Dist) *sizer {
		if d.Kind == "" {
			return nil
		}
		s, err := newSizer(d, sizing{quantity: Tokens, role: key, read: read})
		if err != nil {
			ps = append(ps, problem(at+"."+key, "%v", err))
		}
		return &s
	}
	x.input, x.output = own("input", l.Input), own("output", l.Output)
	return ps
}

func (c *Compiled) compileModels(opt Options) []policies.Problem {
	if c.trace != nil && c.trace.Model != nil && len(c.spec.Models) == 0 {
		c.models = c.trace.Models
		return nil
	}
	var ps []policies.Problem
	var weights []float64
	for i, m := range c.spec.Models {
		svc := 0
		if m.Service != "" {
			if svc = slices.Index(opt.Services, m.Service); svc < 0 {
				ps = append(ps, problem("models["+strconv.Itoa(i)+"].service", "no service called %q", m.Service))
			}
		}
		c.models = append(c.models, m.Name)
		c.modelSvc = append(c.modelSvc, uint32(max(svc, 0)))
		weights = append(weights, m.Weight)
	}
	if len(weights) > 0 {
		c.modelBy = newAlias(weights)
	} else {
		c.models = []string{"default"}
	}
	return ps
}

func (c *Compiled) warnSizes() {
	sizes := []struct {
		key string
		d   Dist
		s   sizer
	}{{"input", c.spec.Input, c.input}, {"output", c.spec.Output, c.output}, {"demand", c.spec.Demand, c.demand}, {"deadline", c.spec.Deadline, c.deadline}}
	for _, x := range sizes {
		if x.d.Kind == "pareto" && x.d.Alpha <= 2 && x.d.Cap == 0 && x.d.Max == nil {
			c.warn = append(c.warn, warning("infinite-variance", "%s: a pareto of alpha %v has infinite variance: set cap", x.key, x.d.Alpha))
		}
		if share := x.s.clamped(); x.d.Kind != "" && share > 0.01 {
			c.warn = append(c.warn, warning("clamped-sizes", "%s: %.1f %% of the draws are set to min or max", x.key, share*100))
		}
	}
}

// intern returns the number of a name, adding it if new.
func intern(list *[]string, name string) uint32 {
	if i := slices.Index(*list, name); i >= 0 {
		return uint32(i)
	}
	*list = append(*list, name)
	return uint32(len(*list) - 1)
}

func normalise(w []float64) []float64 {
	sum := 0.0
	for _, x := range w {
		sum += x
	}
	out := make([]float64, len(w))
	for i, x := range w {
		out[i] = x / sum
	}
	return out
}
