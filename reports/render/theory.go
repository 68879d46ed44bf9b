package render

import (
	"encoding/csv"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"taillab/reports"
	"taillab/reports/chart"
)

// theoryColumns are the headings of a comparison with theory.
func theoryColumns(t *reports.Theory) []string {
	return []string{"case", "metric", "theory", "simulated", chart.Percent(t.Confidence) + " CI", "off", "t", "p", ""}
}

// theoryRow is one check in text, but for the case and the verdict.
func theoryRow(c *reports.TheoryCheck) []string {
	unit, digits := "", 4
	if c.Unit == "ms" {
		unit = " ms"
	}
	ci, off := chart.Missing, chart.Missing
	if c.CI != nil && c.Simulated != 0 {
		ci = chart.PlusMinus(c.Simulated, c.CI[0], c.CI[1])
	}
	if c.Theory != 0 {
		off = chart.Change(c.Simulated/c.Theory - 1)
	}
	return []string{c.Metric, chart.Digits(c.Theory, digits) + unit, chart.Digits(c.Simulated, digits) + unit, ci, off, excess(c.T), probability(c.Adjusted)}
}

// excess prints how many standard errors a difference exceeds the slack by.
func excess(t float64) string {
	if t > 100 {
		return ">100"
	}
	return strconv.FormatFloat(t, 'f', 1, 64)
}

// probability prints a p-value: 1, 0.034, below 0.0001.
func probability(p float64) string {
	switch {
	case p >= 0.9995:
		return "1"
	case p < 1e-4:
		return "<0.0001"
	}
	return strconv.FormatFloat(p, 'g', 2, 64)
}

// theorySays are the sentences below the comparison.
func theorySays(t *reports.Theory) []string {
	failed, repeated := 0, 0
	for i := range t.Checks {
		if t.Checks[i].Verdict == reports.Fail {
			failed++
		}
		if t.Checks[i].Repeated {
			repeated++
		}
	}
	checks := count(len(t.Checks), "check", "checks")
	out := []string{checks + ": all agree with theory"}
	if failed > 0 {
		out[0] = fmt.Sprintf("%s: %d disagree with theory", checks, failed)
	}
	chance := chart.Percent(math.Round((1-t.Confidence)*1e6) / 1e6)
	if t.Correction == reports.CorrectionHolm {
		out = append(out, fmt.Sprintf("false alarms: were all of theory true, a check would fail by chance in at most %s of such commands (Holm over all checks), and what fails counts only if it fails again with other seeds and four times the requests", chance))
	} else {
		out = append(out, fmt.Sprintf("false alarms: each check fails by chance in %s of such commands (no correction), and what fails counts only if it fails again with other seeds and four times the requests", chance))
	}
	if repeated > 0 {
		out = append(out, fmt.Sprintf("simulated again: %s, marked *", count(repeated, "check", "checks")))
	}
	return append(out, "times are in mean service times unless a unit stands with them; busy and blocked are shares, reports and withdrawals per request", "t: standard errors by which the difference exceeds the slack of the case; p: chance of such a t or a larger one, adjusted")
}

func repeatMark(c *reports.TheoryCheck) string {
	if c.Repeated {
		return "*"
	}
	return ""
}

// TheoryTable writes a comparison with theory for a terminal. Where it is too wide, t,
// p and the interval are left out and the cases shortened.
func TheoryTable(w io.Writer, th *reports.Theory, o Options) error {
	t := terminal{o: o}
	head := theoryColumns(th)
	var rows [][]string
	before := ""
	for i := range th.Checks {
		c := &th.Checks[i]
		label := ""
		if c.Label != before {
			label, before = c.Label, c.Label
		}
		row := append([]string{label}, theoryRow(c)...)
		row[1] += repeatMark(c)
		row = append(row, strings.TrimSpace(t.mark(c.Verdict)))
		for k := range row {
			row[k] = t.text(row[k])
		}
		rows = append(rows, row)
	}
	for k := range head {
		head[k] = t.text(head[k])
	}
	head = t.fit(head, rows, 6, 6, 4)
	for i := range rows {
		end := len(head) - 1
		rows[i][end] = t.paint(verdictColour[th.Checks[i].Verdict], rows[i][end])
	}
	if err := t.grid(head, rows); err != nil {
		return err
	}
	t.line("")
	for i, s := range theorySays(th) {
		for k, l := range wrapText(t.text(s), o.width()-2) {
			switch {
			case k > 0:
				l = "  " + l
			case i == 0:
				l = t.paint(verdictColour[th.Verdict], l)
			}
			t.line(l)
		}
	}
	_, err := w.Write(t.out.Bytes())
	return err
}

// fit deletes the columns drops, one after another, until a table is as narrow as the
// terminal, then shortens the first one. It returns the head and changes the rows.
func (t *terminal) fit(head []string, rows [][]string, drops ...int) []string {
	over := func() int { return gridWidth(head, rows) - t.o.width() }
	for _, d := range drops {
		if over() <= 0 {
			return head
		}
		head = slices.Delete(head, d, d+1)
		for i := range rows {
			rows[i] = slices.Delete(rows[i], d, d+1)
		}
	}
	if much := over(); much > 0 {
		room := max(minLabelWidth, columnWidth(head, rows, 0)-much)
		for _, r := range rows {
			r[0] = t.shorten(r[0], room)
		}
	}
	return head
}

// TheoryMarkdown writes a comparison with theory as one table.
func TheoryMarkdown(w io.Writer, th *reports.Theory, o Options) error {
	var b strings.Builder
	head := theoryColumns(th)
	b.WriteString("| " + strings.Join(head, " | ") + "|\n|---|---|" + strings.Repeat("---:|", len(head)-3) + "---|\n")
	before := ""
	for i := range th.Checks {
		c := &th.Checks[i]
		label := ""
		if c.Label != before {
			label, before = md(c.Label), c.Label
		}
		row := theoryRow(c)
		for k := range row {
			row[k] = md(row[k])
		}
		row[0] += md(repeatMark(c))
		fmt.Fprintf(&b, "| %s | %s | %s |\n", label, strings.Join(row, " | "), mark(c.Verdict))
	}
	b.WriteString("\n")
	for _, s := range theorySays(th) {
		b.WriteString("- " + md(s) + "\n")
	}
	b.WriteString(mdEnd(o))
	_, err := io.WriteString(w, b.String())
	return err
}

// TheoryCSV writes one row per check, numbers in full precision.
func TheoryCSV(w io.Writer, th *reports.Theory) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	rows := [][]string{{"case", "params", "metric", "unit", "theory", "simulated", "ci_lo", "ci_hi", "slack", "t", "p", "p_adjusted", "verdict", "repeated", "seeds", "requests"}}
	for _, c := range th.Checks {
		row := []string{c.Case, pairs(c.Params), c.Metric, c.Unit, float(c.Theory), float(c.Simulated), "", "", float(c.Slack), float(c.T), float(c.P), float(c.Adjusted),
			string(c.Verdict), strconv.FormatBool(c.Repeated), strconv.Itoa(c.Seeds), strconv.FormatInt(c.Requests, 10)}
		if c.CI != nil {
			row[6], row[7] = float(c.CI[0]), float(c.CI[1])
		}
		rows = append(rows, row)
	}
	if err := out.WriteAll(rows); err != nil {
		return fmt.Errorf("writing the comparison with theory as CSV: %w", err)
	}
	return nil
}
