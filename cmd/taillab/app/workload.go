package app

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"taillab/policies/chance"
	"taillab/scenarios"
	"taillab/workloads"
)

// workloadCmd is `taillab workload`.
type workloadCmd struct {
	Describe describeCmd `cmd:"" help:"Statistics of a trace file, a preset, or a scenario's workload."`
	Export   exportCmd   `cmd:"" help:"Write the requests that a run draws as a trace: JSONL, CSV or mooncake."`
}

// describeCmd is `taillab workload describe`.
type describeCmd struct {
	Spec      string        `arg:"" help:"Trace file, preset (taillab list workloads), or scenario."`
	Format    string        `enum:"text,json" default:"text" help:"${enum}." placeholder:"FMT"`
	Scenarios scenarioFlags `embed:""`
	Common    common        `embed:""`
}

func (c *describeCmd) run(s *session) int {
	if err := c.Scenarios.check(); err != nil {
		return s.fail(exitUsage, "", "%v", err)
	}
	if c.scenario() {
		return c.ofScenario(s)
	}
	if _, preset := workloads.PresetSpec(c.Spec); !preset {
		if _, err := os.Stat(c.Spec); errors.Is(err, os.ErrNotExist) {
			return s.fail(exitUsage, scenarios.Suggest(c.Spec, presetNames(), "taillab list workloads"), "there is no trace file, preset or scenario called %q", c.Spec)
		}
	}
	o := s.loadOptions(&c.Scenarios)
	d, err := workloads.Describe(c.Spec, workloads.Options{SkipBad: o.SkipBad})
	if err != nil {
		return s.fail(exitUsage, "", "%v", err)
	}
	return c.print(s, d)
}

// scenario tells whether the name is a scenario: a YAML file, stdin, or an
// embedded one that is no preset.
func (c *describeCmd) scenario() bool {
	if c.Spec == "-" || strings.HasSuffix(c.Spec, ".yaml") || strings.HasSuffix(c.Spec, ".yml") {
		return true
	}
	if _, preset := workloads.PresetSpec(c.Spec); preset {
		return false
	}
	if _, err := os.Stat(c.Spec); err == nil {
		return false
	}
	for _, i := range scenarios.Embedded() {
		if i.Name == c.Spec {
			return true
		}
	}
	return false
}

func presetNames() []string {
	var out []string
	for _, p := range workloads.Presets() {
		out = append(out, p.Name)
	}
	for _, i := range scenarios.Embedded() {
		out = append(out, i.Name)
	}
	return out
}

// ofScenario describes the schedule of the first cell's first replication.
func (c *describeCmd) ofScenario(s *session) int {
	plans, code := s.load([]string{c.Spec}, &c.Scenarios)
	if plans == nil {
		return code
	}
	p := plans[0]
	cell := p.Cells[0]
	d, err := cell.Setup.Workload.Describe(chance.RunSeed(p.BaseSeed, 0), cell.RateRPS)
	if err != nil {
		return s.fail(exitUsage, "", "%v", err)
	}
	d.Name = p.Name
	if cell.Load != nil {
		d.Name = fmt.Sprintf("%s at load %g", p.Name, *cell.Load)
	}
	return c.print(s, d)
}

func (c *describeCmd) print(s *session, d *workloads.Description) int {
	if c.Format == "json" {
		return s.json(d)
	}
	if err := d.Print(s.out); err != nil {
		return s.fail(exitBroken, "", "%v", err)
	}
	return exitOK
}
