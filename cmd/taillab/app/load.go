package app

import (
	"fmt"
	"strings"

	"taillab/scenarios"
	"taillab/workloads"
)

// read fetches scenarios by path, embedded name, or - for stdin.
func (s *session) read(names []string) ([]scenarios.Source, error) {
	var out []scenarios.Source
	stdin := false
	for _, n := range names {
		if n == "-" {
			if stdin {
				return nil, fmt.Errorf("stdin (-) can be read once only")
			}
			stdin = true
		}
		src, note, err := scenarios.Read(n, s.Stdin)
		if err != nil {
			return nil, err
		}
		if note != "" {
			s.note("taillab: %s", note)
		}
		out = append(out, src)
	}
	return out, nil
}

// load reads and checks scenarios. Problems are printed; then plans is nil.
func (s *session) load(names []string, f *scenarioFlags) (plans []*scenarios.Plan, code int) {
	if err := f.check(); err != nil {
		return nil, s.fail(exitUsage, "", "%v", err)
	}
	sources, err := s.read(names)
	if err != nil {
		return nil, s.fail(exitUsage, "", "%v", err)
	}
	plans, problems := scenarios.Load(sources, s.loadOptions(f))
	if len(problems) > 0 {
		scenarios.Print(s.err, problems, sources, s.width(s.Stderr), s.stderrColor())
		return nil, exitUsage
	}
	return plans, exitOK
}

func (s *session) loadOptions(f *scenarioFlags) scenarios.Options {
	o := scenarios.Options{Set: f.Set, Catalog: s.catalog, Seed: f.Seed, Seeds: f.Seeds, Stdin: s.Stdin}
	switch f.SkipBad {
	case "some":
		o.SkipBad = workloads.SkipSome
	case "all":
		o.SkipBad = workloads.SkipAll
	}
	return o
}

// shape says how large a plan is: "6 policies × 5 loads × 5 seeds = 150 runs".
func shape(p *scenarios.Plan) string {
	labels, loads := map[string]bool{}, map[float64]bool{}
	for _, c := range p.Cells {
		labels[c.Policy] = true
		if c.Load != nil {
			loads[*c.Load] = true
		}
	}
	parts := []string{plural(len(labels), "policy", "policies")}
	if len(loads) > 0 {
		parts = append(parts, plural(len(loads), "load", "loads"))
	}
	if points := len(p.Cells) / max(1, len(labels)*max(1, len(loads))); points > 1 {
		parts = append(parts, plural(points, "point", "points"))
	}
	parts = append(parts, plural(p.Seeds, "seed", "seeds"))
	return strings.Join(parts, " × ") + " = " + plural(len(p.Cells)*p.Seeds, "run", "runs")
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}
