package scenarios

import (
	"io"
	"regexp"
	"slices"
	"strings"

	"taillab/policies"
	"taillab/reports"
	"taillab/sim/gpu"
	"taillab/workloads"
)

// Options is what Load needs beside the files.
type Options struct {
	Set     []string         // PATH=VALUE, laid over every file in order
	Catalog policies.Catalog // balancers and other policies, those out of tree among them
	Seed    uint64           // base seed
	Seeds   int              // replications; 0 = the scenario's

	Dir     string    // trace files and profiles with relative names are looked for here; "" = the current working directory
	Stdin   io.Reader // read for the trace file "-"
	SkipBad workloads.SkipBad
	Files   *workloads.Files     // caches parsed trace files between scenarios; nil = one cache per Load
	Metrics []reports.MetricInfo // what gates may name beside the built-in metrics
}

// Load checks scenarios and expands them to plans. It returns the plan of every
// file without a problem, and all problems of all files, in file order.
func Load(sources []Source, opt Options) ([]*Plan, []Problem) {
	if opt.Files == nil {
		opt.Files = &workloads.Files{}
	}
	var plans []*Plan
	var problems []Problem
	for _, s := range sources {
		l := loader{opt: opt, src: newText(s), data: s.Data}
		l.decoder = decoder{ps: &l.list, dir: opt.Dir}
		if plan := l.load(); plan != nil && len(l.list.list) == 0 {
			plans = append(plans, plan)
		}
		problems = append(problems, l.list.sorted()...)
	}
	return plans, problems
}

// loader loads one file.
type loader struct {
	decoder
	list problemList
	opt  Options
	src  *text
	data []byte

	plan  Plan
	sweep sweep
	gates []*node
}

var nameForm = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

func (l *loader) load() *Plan {
	root := parse(l.src, l.data, &l.list)
	if root == nil {
		return nil
	}
	if root = l.flags(root, l.opt.Set); root.kind != mapNode {
		l.wrongKind(root, "", "a map of keys", "a scenario begins with version: 1")
		return nil
	}
	top := l.block(root, "", "")
	l.head(top)
	l.sweep = l.decoder.sweep(top, l.plan.AllowOverload)
	if l.opt.Seeds > 0 {
		l.sweep.seeds = l.opt.Seeds
	}
	l.plan.Seeds = l.sweep.seeds
	l.gates = l.decoder.list(top.get("gates"), "gates", "gates")
	runs := l.sweep.seeds * max(len(l.sweep.loads), 1)
	for _, a := range l.sweep.axes {
		if runs *= len(a.values); runs > maxRuns {
			l.tooMany(top, runs)
			return nil
		}
	}
	l.expand(root, top, runs)
	return &l.plan
}

// head decodes what stands outside of all blocks.
func (l *loader) head(top block) {
	p := &l.plan
	p.File, p.Source, p.BaseSeed = l.src.name, l.data, l.opt.Seed
	if n := top.get("version"); n == nil {
		l.ps.at(top.n, "version", "begin the file with version: 1", "version is missing")
	} else {
		version := 1
		if top.integer("version", &version, -unbounded, unbounded); version != 1 {
			l.ps.at(n, "version", "write version: 1", "version is %d: this program reads version 1", version)
		}
	}
	if n := top.text("name", &p.Name); n == nil {
		l.ps.at(top.n, "name", "such as name: first-look", "name is missing")
	} else if n.kind == scalarNode && !nameForm.MatchString(p.Name) {
		l.ps.at(n, "name", "use a-z, 0-9 and -, at most 64", "name is %q: it must match [a-z0-9-]{1,64}", p.Name)
	}
	top.text("about", &p.About)
	top.boolean("allow_overload", &p.AllowOverload)
	closed := false
	top.boolean("allow_closed", &closed)
}

func (l *loader) tooMany(top block, runs int) {
	at := top.get("sweep")
	if at == nil {
		at = top.n
	}
	l.ps.at(at, "sweep", "sweep fewer values or seeds", "the scenario expands to %s runs: at most 1,000,000", thousands(int64(runs)))
}

// draft is the scenario at one point of the axes.
type draft struct {
	root     block
	setup    *Setup
	services []serviceDraft
	spec     workloads.Spec
	measure  measureDraft
	capacity float64 // requests per second at load 1; 0 when unknown
}

// expand decodes every point of the axes and makes the cells.
func (l *loader) expand(root *node, top block, runs int) {
	points := l.sweep.points()
	drafts := make([]draft, 0, len(points))
	for i, p := range points {
		tree := l.lay(root, l.sweep.axes, p)
		d := l.point(block{d: &l.decoder, n: tree, odd: top.odd})
		if i == 0 {
			if runs *= len(combinations(placesOf(d.services))); runs > maxRuns {
				l.tooMany(top, runs)
				return
			}
		} else if !slices.Equal(labelsOf(d.services), labelsOf(drafts[0].services)) {
			l.ps.at(p.values[len(p.values)-1], "sweep", "list the policies instead", "the sweep changes which policies there are")
			return
		}
		drafts = append(drafts, d)
	}
	l.checkGates(drafts)
	if len(l.list.list) > 0 {
		return
	}
	for _, combo := range combinations(placesOf(drafts[0].services)) {
		for i, p := range points {
			l.cells(&drafts[i], p, combo)
		}
	}
	l.plan.seal()
}

// point decodes the scenario at one point of the axes.
func (l *loader) point(top block) draft {
	d := draft{root: top}
	before := l.list.broken()
	d.spec = l.workload(top)
	sound := l.list.broken() == before
	demand := top.get("workload").get("demand")
	brings := demand != nil || exists(top.n, "workload.arrivals.trace.file") // compile looks into the file
	d.services = l.services(top, brings, catalog{l.opt.Catalog})
	for i := range d.services {
		l.checkDemand(demand, d.services[i].Groups)
		l.checkTables(&d.services[i])
		l.checkElastic(&d.services[i])
	}
	q := l.quotaBlock(top, l.limiters(top, d.services))
	if q != nil {
		before := l.list.broken()
		l.quotaGroups(q, &d.spec)
		sound = sound && l.list.broken() == before
	}
	l.labelsOnce(d.services)
	faults := l.faults(top.get("faults"), hittable{d.services, d.spec.Frontends.Count, q.shards()})
	d.measure = l.measure(top.get("measure"))
	d.setup = &Setup{FrontEnds: d.spec.Frontends, Faults: faults, spec: d.spec}
	for i, s := range d.services {
		d.setup.warnings = append(d.setup.warnings, advise(&d.services[i])...)
		d.setup.Services = append(d.setup.Services, s.Service)
	}
	if len(d.services) > 1 {
		l.modelServices(top, d.spec)
	}
	if sound {
		l.compile(&d)
	}
	if q != nil && d.setup.Workload != nil {
		l.fit(q, &d)
	}
	d.setup.Measure = d.measure.Measure
	if d.measure.warmup != nil {
		d.setup.warmupAt = d.measure.warmup.place()
		d.setup.warmupAt.Path = "measure.warmup"
	}
	d.setup.Live = l.live(top)
	if len(d.services) > 0 {
		l.checkArms(top.n, d.setup.Live.Arms, d.services)
	}
	return d
}

// checkDemand refuses a demand beside a model that makes its own.
func (l *loader) checkDemand(demand *node, groups []Group) {
	for _, g := range groups {
		if demand != nil && g.Model != nil && g.Model.Kind() != "service" {
			l.ps.at(demand, "workload.demand", "leave one out", "workload.demand stands beside fleet.gpu, which says how long a request takes")
			return
		}
	}
}

// modelServices wants every model to name its service where there are several.
func (l *loader) modelServices(top block, spec workloads.Spec) {
	const hint = "such as models: [{name: a, service: NAME}, …]"
	if len(spec.Models) == 0 {
		l.ps.at(find(top.n, "workload"), "workload.models", hint, "workload.models is missing: there are several services")
	}
	for i, m := range spec.Models {
		if at := find(top.n, index("workload.models", i)); m.Service == "" {
			l.ps.at(at, index("workload.models", i)+".service", hint, "the model %q names no service: there are several", m.Name)
		}
	}
}

// compile lets workloads check the rest and resolves what the load means.
func (l *loader) compile(d *draft) {
	opt := workloads.Options{Services: serviceNames(d.services), Dir: l.opt.Dir, Stdin: l.opt.Stdin, SkipBad: l.opt.SkipBad, Files: l.opt.Files}
	c, ps := workloads.Compile(d.spec, opt)
	for _, p := range ps {
		path := join("workload", p.Path)
		if strings.HasPrefix(p.Path, "frontends") {
			path = p.Path
		}
		at := find(d.root.n, path)
		if at == d.root.n && at.kind == mapNode && d.root.get("workload") != nil {
			at = d.root.get("workload")
		}
		l.ps.at(at, path, p.Hint, "%s", said(path, p.Msg))
	}
	if c == nil {
		return
	}
	d.setup.Workload = c
	l.checkTrace(d, c)
	l.checkRate(d, c)
	if len(d.services) == 0 {
		return
	}
	for _, s := range d.services {
		for _, g := range s.Groups {
			if g.Model == nil {
				return
			}
		}
	}
	d.capacity = Capacity(d.setup)
	rate := c.Rate()
	if len(l.sweep.loads) > 0 {
		rate = l.sweep.loads[0].v * d.capacity
	}
	standard, most := c.Requests(rate)
	d.measure.settle(&l.decoder, standard, most)
}

// checkTrace wants a latency model where the trace does not say how long a request takes.
func (l *loader) checkTrace(d *draft, c *workloads.Compiled) {
	if c.Trace() == nil || c.HasDemand() {
		return
	}
	for _, s := range d.services {
		for _, g := range s.Groups {
			if g.Model != nil && g.Model.Kind() == gpu.Service {
				l.ps.at(s.fleetAt.n, s.fleetAt.at("gpu"), "give "+s.fleetAt.at("gpu")+" a preset (taillab list gpus), or the trace a column of durations",
					"nothing says how long a request takes: there is neither %s nor a time in the trace", s.fleetAt.at("gpu"))
				return
			}
		}
	}
}

// said puts the whole path into a message that names its last key only, or in
// front of one that names none.
func said(path, msg string) string {
	last := path[strings.LastIndexByte(path, '.')+1:]
	if rest, ok := strings.CutPrefix(msg, last+" "); ok {
		return path + " " + rest
	}
	return path + ": " + msg
}

// checkRate wants exactly one of a rate and a load.
func (l *loader) checkRate(d *draft, c *workloads.Compiled) {
	loads := len(l.sweep.loads) > 0 || exists(d.root.n, "sweep.load") || exists(d.root.n, "workload.load")
	switch {
	case loads && slices.ContainsFunc(d.services, func(s serviceDraft) bool { return s.Elastic != nil }):
		l.ps.at(find(d.root.n, l.sweep.loadPath), l.sweep.loadPath, "such as arrivals: {poisson: {rate: 40/s}}",
			"%s stands beside a fleet whose size changes: load needs a fixed capacity; give a rate", l.sweep.loadPath)
	case loads && c.Rated():
		l.ps.at(find(d.root.n, l.sweep.loadPath), l.sweep.loadPath, "leave one of them out", "%s stands beside a rate", l.sweep.loadPath)
	case !loads && c.Rate() == 0:
		at := find(d.root.n, "workload.arrivals")
		l.ps.at(at, "workload.arrivals", "such as sweep: {load: [0.6, 0.8]}, or arrivals: {poisson: {rate: 40/s}}", "neither a load nor a rate is given: nothing says how many requests come")
	}
}
