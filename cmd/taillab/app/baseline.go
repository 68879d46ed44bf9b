package app

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"taillab/reports"
	"taillab/reports/render"
	"taillab/scenarios"
)

// checkBaseline refuses combinations of flags that would write or read the wrong
// baseline.
func (c *runCmd) checkBaseline() error {
	switch {
	case c.Force && !c.UpdateBaseline:
		return fmt.Errorf("--force overrides what --update-baseline refuses: add it, or leave --force out")
	case c.UpdateBaseline && len(c.Only) > 0:
		return fmt.Errorf("--update-baseline writes every cell: leave --only out")
	case c.Both && (c.UpdateBaseline || c.Baseline != ""):
		return fmt.Errorf("a baseline is of one host: leave --both out, or --baseline and --update-baseline")
	case c.Baseline != "" && len(c.Scenario) > 1 && !strings.Contains(c.Baseline, "{scenario}"):
		return fmt.Errorf("--baseline %s: several scenarios would share it: put {scenario} into the path", c.Baseline)
	case c.ForceVerdict && c.Live == "" && !c.Both:
		return fmt.Errorf("--force-verdict is about live measurements: a simulation is always valid")
	}
	return nil
}

// baselinePath is where the baseline of a plan stands. A live run has its own: what
// was measured and what was simulated are never held against each other.
func (j *job) baselinePath(host string) string {
	name := reports.FileSafe(j.plan.Name)
	if j.cmd.Baseline != "" {
		return strings.ReplaceAll(j.cmd.Baseline, "{scenario}", name)
	}
	if host == "live" {
		name += ".live"
	}
	return filepath.Join("baselines", name+".json")
}

// openBaselines reads the baselines that anything refers to, before anything runs.
func (j *job) openBaselines() int {
	wanted := slices.ContainsFunc(j.plan.Gates, func(g reports.PlacedGate) bool { return g.Expr.Bound.Baseline })
	if !wanted && !j.cmd.UpdateBaseline {
		if j.cmd.Baseline != "" {
			j.s.note("taillab: no gate of %s refers to a baseline; to compare all of it: taillab compare %s RUN --tolerance 5%%", j.plan.Name, quote(j.cmd.Baseline))
		}
		return exitOK
	}
	j.bases = map[string]*reports.Stored{}
	hosts := []string{j.kind()}
	if j.cmd.Both {
		hosts = append(hosts, "sim")
	}
	for _, h := range hosts {
		if code := j.openBaseline(h); code != exitOK {
			return code
		}
	}
	return exitOK
}

// openBaseline reads one. A baseline of another plan or host is refused, and the
// changed keys are named; one that is to be replaced may be of another plan.
func (j *job) openBaseline(host string) int {
	s, path := j.s, j.baselinePath(host)
	base, err := reports.ReadStored(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return exitOK // the gates say so
	case err != nil:
		return s.fail(exitUsage, "", "%v", err)
	}
	changed := base.Differs(reports.Key{ScenarioHash: j.plan.Hash, Host: host, Machine: machineOf(), Plan: scenarios.NormalJSON(j.plan)})
	switch {
	case len(changed) == 0:
		j.bases[host] = base
	case j.cmd.UpdateBaseline:
		s.note("taillab: %s is of another plan: %s", path, strings.Join(bounded(changed), "; "))
	default:
		return s.fail(exitUsage, "to accept the change: taillab run … --update-baseline", "%s is of another plan:\n       %s",
			path, strings.Join(bounded(changed), "\n       "))
	}
	return exitOK
}

// bounded keeps the first lines of a long list and counts the rest.
func bounded(lines []string) []string {
	const most = 10
	if len(lines) <= most {
		return lines
	}
	return append(slices.Clone(lines[:most]), fmt.Sprintf("… and %d more", len(lines)-most))
}

// baseline is what gates are judged against; nil if there is none of this very plan.
func (j *job) baseline() *reports.Baseline {
	base := j.bases[j.kind()]
	if base == nil || base.ScenarioHash != j.plan.Hash {
		return nil
	}
	return &reports.Baseline{Path: base.Path, Cells: base.Cells, SameCommit: reports.SameProgram(&base.Summary, j.sum)}
}

// updateBaseline writes the results as the new baseline and tells the change of every
// cell. Half a run or an invalid measurement is never written, and after a failed gate
// only by force.
func (j *job) updateBaseline() int {
	s, path := j.s, j.baselinePath(j.kind())
	switch {
	case !j.sum.Complete || j.result.Err() != nil:
		return s.fail(exitOK, "", "%s was not written: the run is not complete", path)
	case j.sum.Verdict == reports.Invalid:
		return s.fail(exitOK, "", "%s was not written: the measurement is not valid", path)
	case j.sum.Verdict == reports.Fail && !j.cmd.Force:
		return s.fail(exitOK, "to accept it all the same: --update-baseline --force", "%s was not written: a gate failed", path)
	}
	now := reports.MakeBaseline(j.sum, scenarios.NormalJSON(j.plan))
	if old, err := reports.ReadStored(path); err == nil {
		same, lines := changes(old, j.sum, j.cmd.Confidence)
		if same && j.bases[j.kind()] != nil {
			s.note("taillab: %s holds these results already", path)
			return exitOK
		}
		for _, l := range lines {
			s.note("  %s", l)
		}
	}
	if err := reports.WriteBaseline(path, now); err != nil {
		return s.fail(exitBroken, "", "%v", err)
	}
	s.note("taillab: wrote %s: %s", path, plural(len(now.Cells), "cell", "cells"))
	return exitOK
}

// changes lists what a new baseline changes, and whether all of it is what it was.
func changes(old *reports.Stored, now *reports.Summary, confidence float64) (same bool, lines []string) {
	c, err := reports.CompareRuns(old, &reports.Stored{Path: "the new one", Summary: *now}, reports.CompareOptions{Metrics: []string{"p99"}, Confidence: confidence})
	if err != nil { // nothing in common
		return false, []string{err.Error()}
	}
	same = len(c.OnlyBase)+len(c.OnlyNew) == 0
	for _, x := range c.Metrics[0].Cells {
		same = same && x.Word == reports.Identical
	}
	return same, render.ChangeLines(c)
}
