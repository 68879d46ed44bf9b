package app

import (
	"math"

	"taillab/policies/chance"
	"taillab/scenarios"
	"taillab/workloads"
)

// exportCmd is `taillab workload export`: the schedule that a run draws, as a trace
// that this and other programs read.
type exportCmd struct {
	Spec        string        `arg:"" help:"Scenario, or preset (taillab list workloads)."`
	Format      string        `enum:"jsonl,csv,mooncake" default:"jsonl" help:"${enum}; mooncake has whole milliseconds and no times of service." placeholder:"FMT"`
	Requests    int           `help:"How many; default: as many as a run of the scenario has, of a preset 30,000." placeholder:"N"`
	Replication int           `default:"1" help:"Which replication's, 1…10,000." placeholder:"I"`
	Only        []string      `sep:"none" help:"Which cell's, e.g. load=0.8; default: the first." placeholder:"KEY=VALUE,…"`
	Scenarios   scenarioFlags `embed:""`
	Common      common        `embed:""`
}

// presetRequests is how many requests of a preset are written.
const presetRequests = 30_000

func (c *exportCmd) run(s *session) int {
	selections, err := parseOnly(c.Only)
	switch {
	case err != nil:
		return s.fail(exitUsage, "", "%v", err)
	case c.Requests < 0 || c.Requests > 1e9:
		return s.fail(exitUsage, "", "--requests is %d: it must lie in 1…1,000,000,000", c.Requests)
	case c.Replication < 1 || c.Replication > 10_000:
		return s.fail(exitUsage, "", "--replication is %d: it must lie in 1…10,000", c.Replication)
	}
	if spec, ok := workloads.PresetSpec(c.Spec); ok {
		if err := c.Scenarios.check(); err != nil {
			return s.fail(exitUsage, "", "%v", err)
		}
		w, problems := workloads.Compile(spec, workloads.Options{})
		if len(problems) > 0 {
			return s.fail(exitUsage, "", "%s: %v", c.Spec, problems[0])
		}
		return c.write(s, w, 0, presetRequests)
	}
	plans, code := s.load([]string{c.Spec}, &c.Scenarios)
	if plans == nil {
		return code
	}
	if err := only(plans[0], selections); err != nil {
		return s.fail(exitUsage, "", "%v", err)
	}
	cell := plans[0].Cells[0]
	return c.write(s, cell.Setup.Workload, cell.RateRPS, arrivalsOf(cell))
}

// arrivalsOf is how many requests a run of the cell has; with a horizon about as many.
func arrivalsOf(cell *scenarios.Cell) int {
	m := &cell.Setup.Measure
	if m.Horizon > 0 {
		return int(math.Ceil(m.Horizon.Seconds() * cell.RateRPS))
	}
	return m.Requests
}

func (c *exportCmd) write(s *session, w *workloads.Compiled, rate float64, n int) int {
	if c.Requests > 0 {
		n = c.Requests
	}
	if err := w.Export(s.out, c.Format, chance.RunSeed(c.Scenarios.Seed, c.Replication-1), rate, n); err != nil {
		return s.fail(exitUsage, "", "%v", err)
	}
	columns := ""
	if c.Format == "csv" {
		columns = ", columns: {time: at_ns, unit: ns, input: input, output: output, duration: demand_ns, tenant: tenant, model: model}"
	}
	s.note("read it back with arrivals: {trace: {file: FILE, rotate: false, keep_offset: true, jitter: none%s}}", columns)
	return exitOK
}
