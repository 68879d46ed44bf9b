package app

import (
	"cmp"
	"fmt"

	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/realrun/emulator"
	"taillab/scenarios"
	"taillab/sim/gpu"
)

// emulateCmd is `taillab emulate`.
type emulateCmd struct {
	Scenario  string        `arg:"" optional:"" help:"Path, embedded name, or -: the fleet of its first service. Default: exponential demands of 5 ms on average, one at a time."`
	Replicas  int           `help:"Number of replicas; default: the scenario's, else 8." placeholder:"N"`
	Listen    string        `default:"127.0.0.1:0" help:"Address of the first replica, the others at the ports after it; port 0: any." placeholder:"ADDR"`
	Policy    string        `help:"Policy whose replica half runs beside the replicas; PUT /taillab/run may name another. Default: the scenario's first that has one." placeholder:"NAME"`
	FrontEnds []string      `name:"frontend" sep:"none" help:"Base URL of front end 0, then 1, …: where the replica half tells; repeatable." placeholder:"URL"`
	ORCA      string        `name:"orca" enum:",text,json" default:"" help:"Tell the load in header endpoint-load-metrics of every reply: text or json." placeholder:"FORMAT"`
	Forward   []string      `sep:"none" help:"Be agents in place of backends: pass requests on to URL and run the replica half beside it; repeatable, one agent each. Targets name the agents' addresses." placeholder:"URL"`
	Slots     int           `default:"1" help:"With --forward: requests that a backend serves at a time." placeholder:"N"`
	Metrics   string        `help:"With --forward: path of the backends' metrics, such as /metrics of vLLM; what they tell of their load beats the agent's counts." placeholder:"PATH"`
	Scenarios scenarioFlags `embed:""`
	Common    common        `embed:""`
}

// defaultReplicas is the size of a fleet that nothing describes.
const defaultReplicas = 8

// run serves until it is interrupted. The only lines on stdout are the URLs.
func (c *emulateCmd) run(s *session) int {
	if c.Replicas < 0 || c.Replicas > 10_000 {
		return s.fail(exitUsage, "", "--replicas is %d: it must lie in [1, 10,000]", c.Replicas)
	}
	if problem := c.forwardProblem(); problem != "" {
		return s.fail(exitUsage, "", "%s", problem)
	}
	cfg, code := c.config(s)
	if code != exitOK {
		return code
	}
	defer c.forward(s, &cfg).Stop()
	f, err := emulator.Start(s.ctx, cfg)
	if err != nil {
		return s.fail(exitUsage, "choose another address with --listen", "%v", err)
	}
	for _, u := range f.URLs() {
		fmt.Fprintln(s.out, u)
	}
	s.note("taillab: %s serve until interrupted", plural(len(cfg.Replicas), "replica", "replicas"))
	<-s.ctx.Done()
	if err := f.Close(); err != nil {
		return s.fail(exitBroken, "", "%v", err)
	}
	return cmp.Or(s.stopped.get(), exitOK)
}

// config describes the fleet; a code other than exitOK says that the user was told why not.
func (c *emulateCmd) config(s *session) (emulator.Config, int) {
	cfg := emulator.Config{Listen: c.Listen, FrontEnds: c.FrontEnds, Seed: chance.RunSeed(c.Scenarios.Seed, 0)}
	switch c.ORCA {
	case "text":
		cfg.ORCA = emulator.ORCAText
	case "json":
		cfg.ORCA = emulator.ORCAJSON
	}
	var plan *scenarios.Plan
	if c.Scenario == "" {
		if err := c.Scenarios.check(); err != nil {
			return cfg, s.fail(exitUsage, "", "%v", err)
		}
		m, problems := gpu.New(gpu.Defaults(gpu.Service))
		if len(problems) > 0 {
			return cfg, s.fail(exitBroken, "this is a bug of the program", "%v", problems[0])
		}
		cfg.Replicas = []emulator.Replica{{Model: m}}
		c.Replicas = cmp.Or(c.Replicas, defaultReplicas)
	} else { // with --forward: for the labels of its policies
		plans, code := s.load([]string{c.Scenario}, &c.Scenarios)
		if plans == nil {
			return cfg, code
		}
		plan = plans[0]
		c.fleet(&cfg, plan)
	}
	if n := c.Replicas; n > 0 { // groups repeat until there are enough
		given := cfg.Replicas
		cfg.Replicas = make([]emulator.Replica, n)
		for i := range cfg.Replicas {
			cfg.Replicas[i] = given[i%len(given)]
		}
	}
	return cfg, c.half(s, &cfg, plan)
}

// fleet takes the first service of a scenario. What requests bring is up to them.
func (c *emulateCmd) fleet(cfg *emulator.Config, plan *scenarios.Plan) {
	setup := plan.Cells[0].Setup
	svc := &setup.Services[0]
	cfg.Service, cfg.Count = svc.Name, setup.FrontEnds.Count
	for i := range svc.Groups {
		g := &svc.Groups[i]
		for range g.Replicas {
			cfg.Replicas = append(cfg.Replicas, emulator.Replica{Model: g.Model, Speed: g.Speed})
		}
	}
}

// half finds the policy whose replica half runs, and how later runs find theirs:
// by a label of the scenario, else by a name of the catalogue with its defaults.
func (c *emulateCmd) half(s *session, cfg *emulator.Config, plan *scenarios.Plan) int {
	labels := map[string]func() balance.Balancer{}
	var names []string
	if plan != nil {
		for _, cell := range plan.Cells {
			if labels[cell.Policy] == nil {
				names = append(names, cell.Policy)
				labels[cell.Policy] = cell.Balancers[0].Make
			}
		}
	}
	cfg.Policy = func(name string) func() balance.Balancer {
		if mk := labels[name]; mk != nil {
			return mk
		}
		e, ok := s.catalog.Find("balance", name)
		if !ok {
			return nil
		}
		return func() balance.Balancer { b, _ := e.New().(balance.Balancer); return b }
	}
	if c.Policy != "" {
		if cfg.Half = cfg.Policy(c.Policy); cfg.Half == nil {
			known := append(names, s.catalog.Names("balance")...)
			return s.fail(exitUsage, scenarios.Suggest(c.Policy, known, ""), "--policy: there is no balancer called %q", c.Policy)
		}
		return exitOK
	}
	for _, n := range names {
		if _, ok := labels[n]().(balance.Halved); ok {
			cfg.Half = labels[n]
			return exitOK
		}
	}
	return exitOK
}
