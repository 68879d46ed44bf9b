package app

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"taillab/reports"
	"taillab/scenarios"
	"taillab/workloads"
)

// listCmd is `taillab list`.
type listCmd struct {
	Kind   string `arg:"" optional:"" help:"policies, scenarios, gpus, workloads, metrics or formats; all if left out."`
	Format string `enum:"text,json" default:"text" help:"${enum}." placeholder:"FMT"`
	Common common `embed:""`
}

// row is one line of a list; kind tells rows of a list apart where there are several,
// more holds further fields of the JSON form.
type row struct {
	name, kind, about string
	more              map[string]any
}

// listing is one kind of things that can be listed.
type listing struct {
	kind string
	rows func(s *session) []row
}

func listings() []listing {
	return []listing{
		{"policies", (*session).policyRows}, {"scenarios", (*session).scenarioRows}, {"gpus", (*session).gpuRows},
		{"workloads", (*session).workloadRows}, {"metrics", (*session).metricRows}, {"formats", (*session).formatRows},
	}
}

func (c *listCmd) run(s *session) int {
	var kinds []string
	for _, l := range listings() {
		kinds = append(kinds, l.kind)
	}
	if c.Kind != "" && !slices.Contains(kinds, c.Kind) {
		hint := scenarios.Suggest(c.Kind, kinds, "")
		if !strings.HasPrefix(hint, "one of") {
			hint += " one of: " + strings.Join(kinds, " ")
		}
		return s.fail(exitUsage, hint, "there is no list of %q", c.Kind)
	}
	if c.Format == "json" {
		return c.json(s)
	}
	first := true
	for _, l := range listings() {
		if c.Kind != "" && c.Kind != l.kind {
			continue
		}
		indent := ""
		if c.Kind == "" {
			if !first {
				fmt.Fprintln(s.out)
			}
			fmt.Fprintln(s.out, l.kind)
			indent = "  "
		}
		first = false
		s.columns(indent, l.rows(s))
	}
	return exitOK
}

func (c *listCmd) json(s *session) int {
	all := map[string]any{}
	for _, l := range listings() {
		list := []map[string]any{}
		for _, r := range l.rows(s) {
			m := map[string]any{"name": r.name, "about": r.about}
			for k, v := range r.more { //nolint: into a map
				m[k] = v
			}
			list = append(list, m)
		}
		if c.Kind == l.kind {
			return s.json(list)
		}
		all[l.kind] = list
	}
	return s.json(all)
}

// json prints one JSON document.
func (s *session) json(v any) int {
	e := json.NewEncoder(s.out)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		return s.fail(exitBroken, "", "writing JSON: %v", err)
	}
	return exitOK
}

// columns prints names and sentences, cut to the terminal when there is one.
func (s *session) columns(indent string, rows []row) {
	wide, kinds := 0, 0
	for _, r := range rows {
		wide, kinds = max(wide, utf8.RuneCountInString(r.name)), max(kinds, utf8.RuneCountInString(r.kind))
	}
	limit := 0
	if isTTY(s.Stdout) {
		limit = s.width(s.Stdout)
	}
	for _, r := range rows {
		line := indent + r.name + strings.Repeat(" ", wide-utf8.RuneCountInString(r.name)+2)
		if kinds > 0 {
			line += r.kind + strings.Repeat(" ", kinds-utf8.RuneCountInString(r.kind)+2)
		}
		line += r.about
		if limit > 0 && utf8.RuneCountInString(line) > limit {
			line = string([]rune(line)[:limit-1]) + "…"
		}
		fmt.Fprintln(s.out, strings.TrimRight(line, " "))
	}
}

func (s *session) policyRows() []row {
	var out []row
	for _, e := range s.catalog {
		out = append(out, row{e.Name, e.Family, e.About, map[string]any{"family": e.Family, "source": e.Source}})
	}
	return out
}

func (s *session) scenarioRows() []row {
	var out []row
	for _, i := range scenarios.Embedded() {
		out = append(out, row{i.Name, "", i.About, nil})
	}
	return out
}

func (s *session) gpuRows() []row {
	var out []row
	for _, n := range scenarios.PresetNames() {
		p, err := scenarios.Preset(n)
		if err != nil { // a broken preset is listed with what is wrong with it
			out = append(out, row{n, "", err.Error(), nil})
			continue
		}
		out = append(out, row{n, "", fmt.Sprintf("%-13s  LOO %-5s  %s [%s]", p.Kind, looText(p.LOOMAPE), presetLine(p.Model, p.GPU), p.Source), map[string]any{
			"model": p.Model, "gpu": p.GPU, "kind": p.Kind, "source": p.Source, "derived": p.Derived, "loo_mape": p.LOOMAPE}})
	}
	return out
}

// looText is the error of a fitted preset with each point left out once; most were
// published without the rows that it needs.
func looText(mape *float64) string {
	if mape == nil {
		return "–"
	}
	return fmt.Sprintf("%.1f%%", *mape)
}

func presetLine(model, gpu string) string {
	switch {
	case model == "":
		return gpu
	case gpu == "":
		return model
	}
	return model + " on " + gpu
}

func (s *session) workloadRows() []row {
	var out []row
	for _, p := range workloads.Presets() {
		out = append(out, row{p.Name, "preset", p.About, map[string]any{"kind": "preset"}})
	}
	for _, k := range workloads.ArrivalKinds() {
		out = append(out, row{k.Name, "arrivals", k.About, map[string]any{"kind": "arrivals"}})
	}
	for _, k := range workloads.DistKinds() {
		out = append(out, row{k.Name, "distribution", k.About, map[string]any{"kind": "distribution"}})
	}
	for _, f := range workloads.Formats() {
		out = append(out, row{f, "trace format", "a format of trace files", map[string]any{"kind": "trace format"}})
	}
	return out
}

func (s *session) metricRows() []row {
	var out []row
	for _, m := range reports.Metrics() {
		about := m.About
		if m.Family != "" {
			about = m.Family + ": " + about
		}
		if m.Unit != "ratio" {
			about += " [" + m.Unit + "]"
		}
		out = append(out, row{m.Name, "", about, map[string]any{"json": m.JSON, "unit": m.Unit, "better": m.Better, "groups": m.Group, "family": m.Family}})
	}
	return out
}

func (s *session) formatRows() []row {
	var out []row
	for _, f := range formats() {
		out = append(out, row{f.Name, "", f.About, nil})
	}
	return out
}
