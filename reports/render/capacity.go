package render

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/olekukonko/tablewriter/pkg/twwidth"

	"taillab/reports"
	"taillab/reports/chart"
)

// capacityView is an answer of `capacity` as every format shows it.
type capacityView struct{ *reports.Capacity }

func (v capacityView) byLoad() bool { return v.Vary == reports.VaryLoad }

// setting prints a value of what was varied.
func (v capacityView) setting(x float64) string {
	if v.byLoad() {
		return chart.CapacityShare(x)
	}
	return chart.Count(int64(math.Round(x)))
}

// value prints the rule's metric.
func (v capacityView) value(p *float64) string {
	if p == nil {
		return chart.Missing
	}
	return quantity(*p, v.Unit)
}

// head names the columns; the first is the policy.
func (v capacityView) head() []string {
	out := []string{"policy", "capacity", chart.Percent(v.Confidence) + " CI", "safe at"}
	if v.byLoad() {
		return append(out, "requests/s", "replicas", "saved")
	}
	out[1] = v.Vary
	if v.CountsReplicas() {
		out = append(out, "saved")
	}
	return out
}

// row is one policy under these columns.
func (v capacityView) row(r reports.CapacityRow) []string {
	out := []string{v.label(r), chart.CapacityNote(r.Outcome), chart.Missing, chart.Missing}
	bound := ""
	switch {
	case r.Capacity != nil:
		out[1] = v.setting(*r.Capacity)
	case r.Outcome == reports.CapacityAlways:
		bound = "≤"
		out[1] = v.beyond() + v.setting(v.Hardest)
	}
	if r.CI != nil {
		out[2] = v.settings(r.CI[0], r.CI[1])
	}
	if r.Met != nil {
		out[3] = v.setting(r.Met.At) + " (" + v.value(r.Met.Value) + ")"
	}
	saved := chart.Missing
	if r.Saved != nil {
		saved = "worst"
		if *r.Saved != 0 {
			saved = chart.Change(-*r.Saved)
		}
	}
	if v.byLoad() {
		rate, replicas := chart.Missing, chart.Missing
		if r.RateRPS != nil {
			rate = perS(*r.RateRPS)
		}
		if r.Replicas != nil {
			replicas = bound + chart.Count(int64(*r.Replicas))
		}
		return append(out, rate, replicas, saved)
	}
	if v.CountsReplicas() {
		out = append(out, saved)
	}
	return out
}

// perS prints a rate to 3 digits: 1,950.
func perS(rate float64) string {
	if rate < 1000 {
		return chart.Digits(rate, 3)
	}
	unit := math.Pow(10, math.Floor(math.Log10(rate))-2)
	return chart.Count(int64(math.Round(math.Round(rate/unit) * unit)))
}

// beyond is the sign of a policy that meets the rule up to the end of the range.
func (v capacityView) beyond() string {
	if v.Easiest > v.Hardest {
		return "≤"
	}
	return "≥"
}

// settings prints an interval of settings.
func (v capacityView) settings(lo, hi float64) string {
	return strings.TrimSuffix(v.setting(lo), "%") + "…" + v.setting(hi)
}

func (v capacityView) label(r reports.CapacityRow) string {
	return chart.Label(reports.Cell{Policy: r.Policy, Axes: r.Axes})
}

// size says what was spent.
func (v capacityView) size() string {
	out := count(len(v.Policies), "policy", "policies")
	if v.Replicas > 0 && v.byLoad() {
		out += ", " + count(v.Replicas, "replica", "replicas")
	}
	if v.RateRPS != nil {
		out += ", " + perS(*v.RateRPS) + " requests/s"
	}
	return out + ", " + count(v.Runs, "run", "runs")
}

func (v capacityView) how() string { return fmt.Sprintf("simulated, seed %d", v.Seed) }

// question is what was asked.
func (v capacityView) question() string {
	if v.byLoad() {
		return "highest load with " + v.SLO
	}
	if v.Easiest > v.Hardest {
		return "fewest " + v.Vary + " with " + v.SLO
	}
	return "most " + v.Vary + " with " + v.SLO
}

// says explains the columns and the rows without a number.
func (v capacityView) says() []string {
	var out []string
	worst := ""
	for _, r := range v.Policies {
		if r.Saved != nil && *r.Saved == 0 {
			worst = v.label(r)
		}
		switch {
		case r.Outcome == reports.CapacityNever:
			out = append(out, v.label(r)+" never meets it"+v.easiest(r))
		case r.Outcome == reports.CapacityAlways:
			out = append(out, v.label(r)+" meets it up to the end of the range, "+v.setting(v.Hardest)+", in runs of this length")
		case r.Outcome == reports.CapacityOpen && r.Met != nil:
			out = append(out, v.label(r)+" meets it at "+v.setting(r.Met.At)+"; the search was interrupted")
		}
	}
	out = append(out, "safe at: measured, and the whole interval meets the rule; plan for this")
	if v.byLoad() && worst != "" && v.Replicas > 0 {
		out = append(out, "replicas: for the traffic that "+worst+" carries with "+chart.Count(int64(v.Replicas))+
			", in proportion to capacity; --over replicas=LO..HI counts them")
	}
	return out
}

// easiest says what was measured at the easiest setting.
func (v capacityView) easiest(r reports.CapacityRow) string {
	for _, p := range r.Points {
		if p.At == v.Easiest {
			if p.Value != nil {
				return ": " + v.value(p.Value) + " at " + v.setting(p.At)
			}
			if p.Reason != nil {
				return ": " + *p.Reason
			}
		}
	}
	return ""
}

// summary is a document without cells that carries the warnings and the origin, for
// what the renderers of summaries can do.
func (v capacityView) summary() *reports.Summary {
	return &reports.Summary{Scenario: v.Scenario, ScenarioHash: v.ScenarioHash, RunID: v.RunID, Host: v.Host, Seed: v.Seed, Git: v.Git,
		Machine: v.Machine, ToolVersion: v.ToolVersion, StartedAt: v.StartedAt, Complete: v.Complete, Confidence: v.Confidence,
		Warnings: v.Warnings, Verdict: reports.VerdictNone}
}

// CapacityTable writes the answer for a terminal.
func CapacityTable(w io.Writer, c *reports.Capacity, o Options) error {
	v := capacityView{c}
	t := terminal{o: o, v: newView(v.summary(), o)}
	name := t.text(c.Scenario)
	t.line(t.paint(bold, name) + "   " + t.text(v.question()))
	t.line("  " + t.text(v.size()+"   "+v.how()))
	if !c.Complete {
		t.line(t.paint(yellow, "interrupted: only what had been found is shown"))
	}
	t.line("")
	if err := t.capacity(v); err != nil {
		return err
	}
	t.line("")
	for _, s := range v.says() {
		for i, l := range wrapText(t.text(s), o.width()-2) {
			if i > 0 {
				l = "  " + l
			}
			t.line(l)
		}
	}
	t.warnings()
	t.line("")
	if o.ReportPath != "" {
		t.line("report  " + t.text(o.ReportPath))
	}
	if o.AgainCommand != "" {
		t.line("again   " + t.text(o.AgainCommand))
	}
	_, err := w.Write(t.out.Bytes())
	return err
}

// narrower is the order in which a narrow terminal loses columns, by heading.
var narrower = []string{"requests/s", "replicas", "CI"}

func (t *terminal) capacity(v capacityView) error {
	head := v.head()
	var rows [][]string
	for _, r := range v.Policies {
		rows = append(rows, v.row(r))
	}
	width := func(i int) int {
		w := twwidth.Width(t.text(head[i]))
		for _, r := range rows {
			w = max(w, twwidth.Width(t.text(r[i])))
		}
		return w
	}
	total := -2
	for i := range head {
		total += width(i) + padding
	}
	for _, name := range narrower {
		for i := 1; i < len(head) && total > t.o.width(); i++ {
			if strings.HasSuffix(head[i], name) {
				total -= width(i) + padding
				head = append(head[:i:i], head[i+1:]...)
				for k, r := range rows {
					rows[k] = append(r[:i:i], r[i+1:]...)
				}
			}
		}
	}
	label := max(minLabelWidth, width(0)-max(0, total-t.o.width()))
	var b bytes.Buffer
	table := newTable(&b, len(head), t.o.ASCII)
	for i := range head {
		head[i] = t.text(head[i])
	}
	table.Header(head)
	for k, r := range rows {
		for i := range r {
			r[i] = t.text(r[i])
		}
		r[0] = t.shorten(r[0], label)
		if k == 0 && len(rows) > 1 {
			r[1] = t.paint(bold, r[1])
		}
		if err := table.Append(r); err != nil {
			return fmt.Errorf("table of capacities: %w", err)
		}
	}
	if err := table.Render(); err != nil {
		return fmt.Errorf("table of capacities: %w", err)
	}
	t.ruled(b.String())
	return nil
}

// CapacityMarkdown writes the answer for a pull request, within the bounds of
// Markdown.
func CapacityMarkdown(w io.Writer, c *reports.Capacity, o Options) error {
	v := capacityView{c}
	var s strings.Builder
	fmt.Fprintf(&s, "## %s: %s\n\n%s, seed %d.\n", md(c.Scenario), md(v.question()), md(v.size()), c.Seed)
	if !c.Complete {
		s.WriteString("\n**Interrupted**: only what had been found is shown.\n")
	}
	head := v.head()
	for i := range head {
		head[i] = md(head[i])
	}
	var rows, says, notesMD []string
	for _, r := range v.Policies {
		cells := v.row(r)
		for i := range cells {
			cells[i] = md(cells[i])
		}
		rows = append(rows, "| "+strings.Join(cells, " | ")+" |\n")
	}
	end := mdEnd(o)
	top := "\n| " + strings.Join(head, " | ") + " |\n|---|" + strings.Repeat("---:|", len(head)-1) + "\n"
	mdRows(&s, top, rows, "row", maxMarkdown*2/3, o.MaxRows)
	for _, x := range v.says() {
		says = append(says, "- "+md(x)+"\n")
	}
	mdRows(&s, "\n", says, "line", maxMarkdown*5/6, o.MaxRows)
	for i, n := range notes(v.summary()) {
		notesMD = append(notesMD, fmt.Sprintf("%d. **%s**: %s\n", i+1, md(n.code), md(n.text)))
	}
	mdRows(&s, "\n### Warnings\n\n", notesMD, "warning", maxMarkdown-len(end)-100, o.MaxRows)
	s.WriteString(end)
	_, err := io.WriteString(w, s.String())
	return err
}

// CapacityCSV writes one row per policy in full precision.
func CapacityCSV(w io.Writer, c *reports.Capacity) error {
	rows := [][]string{{"policy", "axes", "slo", "vary", "outcome", "capacity", "capacity_ci_lo", "capacity_ci_hi", "rate_rps", "met_at", "met_value", "missed_at", "replicas", "saved", "runs"}}
	for _, r := range c.Policies {
		row := []string{r.Policy, pairs(r.Axes), c.SLO, c.Vary, r.Outcome, opt(r.Capacity), "", "", opt(r.RateRPS), "", "", "", opt(r.Replicas), opt(r.Saved), strconv.Itoa(r.Runs)}
		if r.CI != nil {
			row[6], row[7] = float(r.CI[0]), float(r.CI[1])
		}
		if r.Met != nil {
			row[9], row[10] = float(r.Met.At), opt(r.Met.Value)
		}
		if r.Missed != nil {
			row[11] = float(r.Missed.At)
		}
		rows = append(rows, row)
	}
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("writing the capacities as CSV: %w", err)
	}
	return nil
}
