package app

import (
	"bytes"
	"fmt"
	"strings"

	"taillab/policies"
	"taillab/reports"
	"taillab/scenarios"
	"taillab/sim/gpu"
)

// explainCmd is `taillab explain`.
type explainCmd struct {
	Name   string `arg:"" help:"Policy, scenario, key of scenarios, metric, GPU preset, workload, outcome, warning or exit code; policy/NAME picks one kind."`
	Common common `embed:""`
}

// topic is one kind of names that can be explained.
type topic struct {
	kind    string
	names   func(s *session) []string
	explain func(s *session, b *bytes.Buffer, name string)
}

func topics() []topic {
	return []topic{
		{"policy", func(s *session) []string { return namesOf(s.policyRows()) }, (*session).explainPolicy},
		{"scenario", func(s *session) []string { return namesOf(s.scenarioRows()) }, (*session).explainScenario},
		{"metric", metricNames, (*session).explainMetric},
		{"gpu", func(*session) []string { return scenarios.PresetNames() }, (*session).explainGPU},
		{"outcome", outcomeNames, (*session).explainOutcome},
		{"warning", warningNames, (*session).explainWarning},
		{"exit", exitNames, (*session).explainExit},
		{"key", keyNames, (*session).explainKey},
		{"workload", workloadNames, (*session).explainWorkload},
	}
}

func namesOf(rows []row) []string {
	var out []string
	for _, r := range rows {
		out = append(out, r.name)
	}
	return out
}

func (c *explainCmd) run(s *session) int {
	kind, name, picked := strings.Cut(c.Name, "/")
	if !picked {
		kind, name = "", c.Name
	}
	var kinds, all []string
	found := false
	for _, t := range topics() {
		kinds = append(kinds, t.kind)
		if picked && t.kind != kind {
			continue
		}
		names := t.names(s)
		all = append(all, names...)
		if !contains(names, name) {
			continue
		}
		if found {
			fmt.Fprintln(s.out)
		}
		var b bytes.Buffer
		found = true
		t.explain(s, &b, name)
		_, _ = s.out.Write(b.Bytes()) // a pipe does not fail
	}
	switch {
	case found:
		return exitOK
	case picked && !contains(kinds, kind):
		return s.fail(exitUsage, scenarios.Suggest(kind, kinds, ""), "there is nothing of the kind %q to explain", kind)
	}
	return s.fail(exitUsage, scenarios.Suggest(name, all, "taillab list"), "nothing here is called %q", name)
}

func (s *session) explainPolicy(b *bytes.Buffer, name string) {
	for _, e := range s.catalog {
		if e.Name != name {
			continue
		}
		if b.Len() > 0 { // of another family
			b.WriteString("\n")
		}
		d := scenarios.Describe(e)
		fmt.Fprintf(b, "policy %s  (%s)\n  %s\n", d.Name, d.Family, d.About)
		if d.Source != "" {
			fmt.Fprintf(b, "  source: %s\n", d.Source)
		}
		for _, f := range d.Flags {
			switch f {
			case "oracle":
				fmt.Fprintln(b, "  reads the true state of the replicas: in the simulator only")
			case "shared":
				fmt.Fprintln(b, "  one instance serves all front ends")
			case "reporter":
				fmt.Fprintln(b, "  has a half that runs in the replicas")
			}
		}
		if len(d.Parameters) > 0 {
			fmt.Fprintln(b, "\nparameters")
			parameters(b, d.Parameters)
		}
		fmt.Fprintf(b, "\nexample\n  %s\n", strings.ReplaceAll(strings.TrimRight(d.Example, "\n"), "\n", "\n  "))
	}
}

// parameters prints a table: name, type, default, range, meaning.
func parameters(b *bytes.Buffer, list []scenarios.Parameter) {
	rows := [][]string{{"name", "type", "default", "range", ""}}
	for _, p := range list {
		def := scenarios.FlowText(p.Default)
		switch {
		case p.Required:
			def = "required"
		case p.Default == nil || def == "" || def == "{}" || def == "[]":
			def = "–"
		}
		rows = append(rows, []string{p.Name, p.Type, def, p.Range, p.About})
	}
	aligned(b, rows)
}

// aligned prints rows in columns; the first row names them.
func aligned(b *bytes.Buffer, rows [][]string) {
	wide := make([]int, len(rows[0]))
	for _, r := range rows {
		for i, c := range r {
			wide[i] = max(wide[i], len([]rune(c)))
		}
	}
	for _, r := range rows {
		line := " "
		for i, c := range r {
			line += " " + c + strings.Repeat(" ", wide[i]-len([]rune(c))+1)
		}
		fmt.Fprintln(b, strings.TrimRight(line, " "))
	}
}

func (s *session) explainScenario(b *bytes.Buffer, name string) {
	src, _, err := scenarios.Read(name, nil)
	if err != nil {
		fmt.Fprintf(b, "scenario %s: %v\n", name, err)
		return
	}
	fmt.Fprintf(b, "scenario %s\n  taillab run %s\n\n%s", name, name, src.Data)
}

func metricNames(*session) []string {
	var out []string
	for _, m := range reports.Metrics() {
		out = append(out, m.Name)
		if m.JSON != m.Name {
			out = append(out, m.JSON)
		}
	}
	return out
}

func (s *session) explainMetric(b *bytes.Buffer, name string) {
	for _, m := range reports.Metrics() {
		if m.Name != name && m.JSON != name {
			continue
		}
		fmt.Fprintf(b, "metric %s\n  %s\n  JSON field %s, unit %s, better: %s\n", m.Name, m.About, m.JSON, m.Unit, m.Better)
		if m.Family != "" {
			fmt.Fprintf(b, "  reported by scenarios with a policy of the family %s\n", m.Family)
		}
		if m.Group {
			fmt.Fprintf(b, "  exists per tenant, class and service: %s(LABEL, tenant=NAME)\n", m.Name)
		}
		how := "differences"
		if m.Log {
			how = "ratios"
		}
		fmt.Fprintf(b, "  compared by %s, paired by seed\n\nexample\n  gates: [%s(jiq) %s %s(random)]\n", how, m.Name, sign(m.Better), m.Name)
	}
}

func sign(better string) string {
	if better == reports.HigherBetter {
		return ">"
	}
	return "<"
}

func (s *session) explainGPU(b *bytes.Buffer, name string) {
	p, err := scenarios.Preset(name)
	if err != nil {
		fmt.Fprintf(b, "GPU preset %s: %v\n", name, err)
		return
	}
	fmt.Fprintf(b, "GPU preset %s\n  %s, latency model %s\n  source: %s\n", p.Name, presetLine(p.Model, p.GPU), p.Kind, p.Source)
	if p.Derived {
		fmt.Fprintln(b, "  derived from other parameters, not measured")
	}
	if p.FittedFrom != "" {
		fmt.Fprintf(b, "  fitted from %s", p.FittedFrom)
		if p.N > 0 {
			fmt.Fprintf(b, ", %d rows", p.N)
		}
		if p.LOOMAPE != nil {
			fmt.Fprintf(b, ", mean error %.3g%% with each point left out once", *p.LOOMAPE)
		}
		fmt.Fprintln(b)
	}
	if p.About != "" {
		fmt.Fprintf(b, "  %s\n", p.About)
	}
	if m, problems := gpu.New(p.Spec); len(problems) == 0 {
		fmt.Fprintf(b, "  %s\n", m.Formula())
	}
	fmt.Fprintf(b, "  slots %d, max_batch %d\n\nexample\n  fleet: {replicas: 8, gpu: %s}\n", p.Slots, p.MaxBatch, p.Name)
}

func outcomeNames(*session) []string {
	n := policies.OutcomeNames()
	return n[:]
}

func (s *session) explainOutcome(b *bytes.Buffer, name string) {
	about := policies.OutcomeAbout()
	for i, n := range policies.OutcomeNames() {
		if n == name {
			fmt.Fprintf(b, "outcome %s\n  %s\n", n, about[i])
		}
	}
}

func warningNames(*session) []string {
	var out []string
	for _, w := range reports.WarningCodes() {
		out = append(out, w.Code)
	}
	return out
}

func (s *session) explainWarning(b *bytes.Buffer, name string) {
	for _, w := range reports.WarningCodes() {
		if w.Code == name {
			fmt.Fprintf(b, "warning %s\n  %s\n", w.Code, w.About)
		}
	}
}

// exitAbout says what the exit codes mean, in the order of their numbers.
func exitAbout() [][2]string {
	return [][2]string{
		{"0", "done; every gate passed, or there is none, or it is inconclusive without --strict"},
		{"1", "at least one gate failed, replay or verify found a difference, or capacity met nothing"},
		{"2", "scenario, flags or input file are wrong; nothing was run"},
		{"3", "could not finish: a run broke, a file could not be written, or a saved run or tape is damaged"},
		{"4", "--strict is set and at least one gate is inconclusive, none failed"},
		{"130", "interrupted; finished runs are kept, and the last line says where"},
		{"143", "terminated; as 130"},
	}
}

func exitNames(*session) []string {
	var out []string
	for _, e := range exitAbout() {
		out = append(out, e[0])
	}
	return out
}

func (s *session) explainExit(b *bytes.Buffer, name string) {
	for _, e := range exitAbout() {
		if e[0] == name {
			fmt.Fprintf(b, "exit code %s\n  %s\n  several apply: the first of 130, 2, 3, 1, 4\n", e[0], e[1])
		}
	}
}
