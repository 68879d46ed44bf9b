package render

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"taillab/reports"
	"taillab/reports/chart"
)

// marks are the signs of the verdicts; each differs in shape, not only in colour.
var marks = map[reports.Verdict]string{
	reports.Pass: "✓", reports.Fail: "✗", reports.Inconclusive: "~", reports.Invalid: "?",
}

// mark is the sign of a verdict; an unknown one reads as not valid.
func mark(v reports.Verdict) string {
	if m, ok := marks[v]; ok {
		return m
	}
	return "?"
}

// gateName is the gate with its place where the text leaves that open: a gate is
// judged once per cell that it matches, and the name says in which.
func gateName(g reports.Gate) string {
	name, sep := g.Expr, ", "
	if !strings.Contains(g.Expr, " at ") {
		sep = " at "
	}
	if g.Load != nil && sep == " at " {
		name, sep = name+sep+"load "+float(*g.Load), ", "
	}
	for _, k := range slices.Sorted(maps.Keys(g.Axes)) {
		if !strings.Contains(g.Expr, " "+k+" ") {
			name, sep = fmt.Sprintf("%s%s%s %v", name, sep, k, g.Axes[k]), ", "
		}
	}
	if strings.Contains(g.Policy, "/") && !strings.Contains(g.Expr, g.Policy) { // one of several families' labels
		name += " of " + g.Policy
	}
	return name
}

// gateText says how a gate came out.
func gateText(g reports.Gate) string {
	text := ""
	switch {
	case g.Value == nil:
	case g.Reference.Kind == "constant" || g.Change == nil:
		text = quantity(*g.Value, g.Unit)
		if g.ChangeCI != nil && g.Limit != nil {
			// The interval is relative to the constant; in the unit of the value it reads better.
			lo, hi := *g.Limit*(1+g.ChangeCI[0]), *g.Limit*(1+g.ChangeCI[1])
			text += " (CI " + quantities(lo, hi, g.Unit) + ")"
		}
	default:
		text = changeText(g)
	}
	text = join(text, reasonText(g, text != ""))
	if text == "" {
		return "not measured"
	}
	return text
}

// reasonText is what the numbers do not show. That a failed gate's interval lies
// beyond the bound is what the numbers show; why nothing could be decided is not.
func reasonText(g reports.Gate, measured bool) string {
	reason := ""
	if g.Reason != nil && !(g.Verdict == reports.Fail && measured) {
		reason = strings.TrimPrefix(*g.Reason, "the interval holds the bound; ")
	}
	if g.Verdict == reports.Inconclusive && g.More != nil && *g.More > 0 && !strings.Contains(reason, "would settle it") {
		reason = join(reason, moreText(*g.More))
	}
	return reason
}

// changeText is for gates against a policy or a baseline.
func changeText(g reports.Gate) string {
	c := chart.Change(*g.Change)
	switch {
	case g.ChangeCI != nil && *g.ChangeCI == (reports.Interval{}):
		c = "" // the reason says identical
	case g.ChangeCI != nil:
		c += fmt.Sprintf(" (CI %s…%s)", strings.TrimSuffix(chart.Change(g.ChangeCI[0]), "%"), chart.Change(g.ChangeCI[1]))
	}
	if 1+*g.Change <= 0 {
		return quantity(*g.Value, g.Unit) + ", " + c
	}
	ref := *g.Value / (1 + *g.Change)
	name := g.Reference.Policy
	if name == "" {
		name = g.Reference.Kind
	}
	return join(fmt.Sprintf("%s against %s of %s", quantity(*g.Value, g.Unit), quantity(ref, g.Unit), name), c)
}

// forestOf collects the gates that have a change: against a policy, a baseline or a
// constant. The limit is relative to what the change is relative to.
func forestOf(s *reports.Summary) chart.ForestInput {
	in := chart.ForestInput{Origin: chart.OriginOf(s), Of: "Change against the reference of each gate, with its interval; the shaded side is allowed"}
	for _, g := range s.Gates {
		r := chart.ForestRow{Label: gateName(g), Word: string(g.Verdict), Above: strings.Contains(g.Expr, ">"), Change: chart.Value{V: g.Change}}
		if g.ChangeCI != nil {
			r.Change.CI = &[2]float64{g.ChangeCI[0], g.ChangeCI[1]}
		}
		if g.Change != nil && g.Value != nil && g.Limit != nil && *g.Value != 0 {
			limit := *g.Limit/(*g.Value/(1+*g.Change)) - 1
			r.Limit = &limit
		}
		in.Rows = append(in.Rows, r)
	}
	return in
}

func moreText(n int) string {
	if n == 1 {
		return "1 more seed would settle it"
	}
	return chart.Count(int64(n)) + " more seeds would settle it"
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + ", " + b
}

// quantity prints a measured value in its unit: ms, rps, s or ratio.
func quantity(v float64, unit string) string {
	switch unit {
	case "ms":
		return chart.Latency(v)
	case "s":
		return chart.Latency(v * 1e3)
	case "rps":
		return chart.Digits(v, 3) + "/s"
	}
	return chart.Digits(v, 3)
}

func quantities(lo, hi float64, unit string) string {
	switch unit {
	case "ms":
		return chart.Range(lo, hi)
	case "s":
		return chart.Range(lo*1e3, hi*1e3)
	}
	return quantity(lo, unit) + "…" + quantity(hi, unit)
}

// tallyGates is the sentence below the gates: "1 of 3 gates failed, 1 inconclusive."
// Verdicts that were forced out of an invalid measurement are told for what they are.
func tallyGates(s *reports.Summary) string {
	text := tally(s)
	forced := !slices.ContainsFunc(s.Gates, func(g reports.Gate) bool { return g.Verdict == reports.Invalid })
	if s.Verdict == reports.Invalid && len(s.Gates) > 0 && forced {
		text = "not valid, and by force: " + text
	}
	return text
}

func tally(s *reports.Summary) string {
	n := map[reports.Verdict]int{}
	for _, g := range s.Gates {
		n[g.Verdict]++
	}
	total := len(s.Gates)
	switch {
	case total == 0:
		return "no gates."
	case n[reports.Invalid] == total:
		return "the measurement is not valid: no gate was judged."
	case n[reports.Pass] == total && total == 1:
		return "the gate passed."
	case n[reports.Pass] == total:
		return fmt.Sprintf("all %d gates passed.", total)
	}
	var parts []string
	for _, w := range []struct {
		v    reports.Verdict
		word string
	}{{reports.Fail, "failed"}, {reports.Inconclusive, "inconclusive"}, {reports.Invalid, "not valid"}} {
		if k := n[w.v]; k > 0 {
			head := fmt.Sprint(k)
			if len(parts) == 0 {
				head = fmt.Sprintf("%d of %s", k, count(total, "gate", "gates"))
			}
			parts = append(parts, head+" "+w.word)
		}
	}
	return strings.Join(parts, ", ") + "."
}

// caveat says how many gates would fail by chance, as nothing corrects for their
// number; empty where that is nothing to speak of.
func caveat(s *reports.Summary) string {
	failed := slices.ContainsFunc(s.Gates, func(g reports.Gate) bool { return g.Verdict == reports.Fail })
	if len(s.Gates) < 5 || !failed || s.Confidence <= 0 || s.Confidence >= 1 {
		return ""
	}
	return fmt.Sprintf("nothing corrects for the number of gates: if every difference lay on its bound, %s of %d would fail by chance",
		chart.Digits(float64(len(s.Gates))*(1-s.Confidence)/2, 2), len(s.Gates))
}

// note is one distinct warning with how often it came.
type note struct {
	code, text string
	times      int
	of         []reports.Warning
}

// notes joins equal warnings: those of one code and message, wherever they came
// from. The places of the first few are kept in the text.
func notes(s *reports.Summary) []note {
	index := map[string]int{}
	places := map[string][]string{}
	var out []note
	for _, w := range s.Warnings {
		if unasked(s, w) {
			continue
		}
		key := w.Code + "\x00" + w.Message
		i, ok := index[key]
		if !ok {
			i = len(out)
			index[key] = i
			out = append(out, note{code: w.Code, text: w.Message})
		}
		out[i].times++
		out[i].of = append(out[i].of, w)
		if p := placeOfWarning(w); p != "" {
			places[key] = append(places[key], p)
		}
	}
	for key, i := range index { // the order of out is fixed; each entry is written once
		out[i].text += placesText(places[key], out[i].times)
	}
	return out
}

// unasked is a warning about a P99.9 that no gate asks for and nothing here shows:
// runs long enough for it are rarely made. The JSON keeps it.
func unasked(s *reports.Summary, w reports.Warning) bool {
	return w.Code == "few-samples" && strings.HasPrefix(w.Message, "p999 ") &&
		!slices.ContainsFunc(s.Gates, func(g reports.Gate) bool {
			return strings.Contains(g.Expr, "p99.9") || strings.Contains(g.Expr, "p999")
		})
}

func placeOfWarning(w reports.Warning) string {
	var parts []string
	if w.Policy != "" {
		parts = append(parts, w.Policy)
	}
	if w.Load != nil {
		parts = append(parts, "at "+chart.Percent(*w.Load)+" load")
	}
	if w.Seed != nil {
		parts = append(parts, fmt.Sprintf("seed %d", *w.Seed))
	}
	return strings.Join(parts, " ")
}

func placesText(places []string, times int) string {
	const most = 3
	if len(places) == 0 {
		if times > 1 {
			return fmt.Sprintf(" (%d times)", times)
		}
		return ""
	}
	text := strings.Join(places[:min(len(places), most)], ", ")
	if n := len(places) - most; n > 0 {
		text += fmt.Sprintf(" and %d more", n)
	}
	return " (" + text + ")"
}
