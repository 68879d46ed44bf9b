package reports

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseGateNormalForm(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"p99(jiq)<600ms at load 0.85":                         "p99(jiq) < 600ms at load 0.85",
		" p99( jiq ) <= 1.10*p99(p2c) ":                       "p99(jiq) <= 1.1 * p99(p2c)",
		"p99(a) <= p99(b) * 2":                                "p99(a) <= 2 * p99(b)",
		"2 * p99(a) < p99(b)":                                 "p99(a) < 0.5 * p99(b)",
		"p99(a) * 2 < 1s":                                     "p99(a) < 0.5s",
		"p99.9(a) < 2 s":                                      "p999(a) < 2s",
		"p99_ms(a) < p99_ms(b)":                               "p99(a) < p99(b)",
		"p99_decision_ms(lease) < 5ms":                        "p99_decision(lease) < 5ms",
		"p99(jiq) within 5% of baseline":                      "p99(jiq) within 5% of baseline",
		"goodput(jiq) within 2.5 % of p2c":                    "goodput(jiq) within 2.5% of p2c",
		"p99(a)/p50(a) < 4":                                   "p99(a)/p50(a) < 4",
		"p99(a, tenant=x)/p99(a) <= 1.5":                      "p99(a, tenant=x)/p99(a) <= 1.5",
		"p99(a)/p50(a) within 10% of b":                       "p99(a)/p50(a) within 10% of b",
		"error_rate(a) < 1%":                                  "error_rate(a) < 1%",
		"error_rate(a) < 0.01":                                "error_rate(a) < 0.01",
		"throughput(a) > 500/s":                               "throughput(a) > 500rps",
		"p99(a,class = chat) < 40s at load=0.8,gateways 10":   "p99(a, class=chat) < 40s at load 0.8, gateways 10",
		"p50(a) < 250µs":                                      "p50(a) < 250us",
		"messages_probe(a) <= 2":                              "messages_probe(a) <= 2",
		"gpu_seconds(hpa) <= 0.8 * gpu_seconds(fixed)":        "gpu_seconds(hpa) <= 0.8 * gpu_seconds(fixed)",
		"gpu_seconds(hpa) < 1h":                               "gpu_seconds(hpa) < 1h",
		"p99(a) > 1e3 ms":                                     "p99(a) > 1000ms",
		"ttft_p99(jiq) <= 0.5 * ttft_p99(random) at load 0.8": "ttft_p99(jiq) <= 0.5 * ttft_p99(random) at load 0.8",
	} {
		g, errs := ParseGate(in)
		require.Empty(t, errs, in)
		require.Equal(t, want, g.String(), in)
	}
}

// Every case names the text that must be underlined.
func TestParseGateErrors(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ in, at, msg string }{
		{"p98(jiq) < 1s", "p98", `unknown metric "p98"`},
		{"thruput(jiq) < 1rps", "thruput", `unknown metric "thruput"`},
		{"p99(jiq) < 600", "600", "unit of the bound of p99 is missing"},
		{"p99(jiq) < 600rps", "600rps", "p99 is a time, the bound is a rate"},
		{"p99(jiq) < 600%", "600%", "a percentage"},
		{"throughput(a) > 5s", "5s", "throughput is a rate, the bound is a time"},
		{"error_rate(a) < 5ms", "5ms", "plain number or a percentage"},
		{"p99(a)/p50(b) < 4", "p50(b)", "one policy"},
		{"p99(a)/goodput(a) < 4", "goodput(a)", "one unit"},
		{"p99(a)/p50(a) < 4ms", "4ms", "a ratio has no unit"},
		{"p99(a)/p50(a) < p99(b)", "p99(b)", "a ratio is compared with a number"},
		{"p99(a) within 5%", "5%", "`of` is missing"},
		{"p99(a) within 5% of p99(x)", "p99(x)", "name the policy only"},
		{"p99(a) within 5 of b", "of", "expected `%`"},
		{"p99(a) within 0% of b", "0% of b", "above 0%"},
		{"p99(a) within 1001% of b", "1001% of b", "at most 1000%"},
		{"p99(a) within 5% of a", "a", "compared with itself"},
		{"2 * p99(a) within 5% of b", "2 * p99(a)", "takes no factor"},
		{"p99(a) < goodput(b)", "goodput(b)", "different kinds"},
		{"p99(a) <= 1.5 * p99(a)", "1.5 * p99(a)", "compared with itself"},
		{"utilization(a) within 5% of b", "utilization(a)", "no better side"},
		{"goodput(a) within 100% of b", "100% of b", "at most 100%"},
		{"p90(a, tenant=x) < 1s", "p90(a, tenant=x)", "not known per tenant"},
		{"p99(a, zone=x) < 1s", "zone", "is not a group"},
		{"p99(a, tenant=) < 1s", ")", "name of the tenant is missing"},
		{"p99(baseline) < 1s", "baseline", "not a policy"},
		{"p99() < 1s", ")", "label is missing"},
		{"p99 < 1s", "p99", "has no policy"},
		{"p99(a) < 5parsecs", "parsecs", "unknown unit"},
		{"p99(a) < -5ms", "-5", "negative"},
		{"p99(a) <= 0 * p99(b)", "0 ", "factor of 0"},
		{"p99(a) < 0ms", "0ms", "cannot be met"},
		{"p99(a) = 5ms", "=", "expected <, <="},
		{"p99(a) < 5ms at load", "", "value of axis"},
		{"p99(a) < 5ms at load 1, load 2", "load 2", "given twice"},
		{"p99(a) < 5ms whatever", "whatever", "unexpected"},
		{"600ms > p99(a)", "600", "starts with a metric"},
		{"", "", "expected a metric"},
		{"p99(a) <", "", "expected a metric"},
	} {
		_, errs := ParseGate(c.in)
		require.NotEmpty(t, errs, c.in)
		require.Contains(t, errs[0].Error(), c.msg, c.in)
		e := errs[0]
		require.True(t, e.Offset >= 0 && e.Len >= 0 && e.Offset+e.Len <= len(c.in), "%q: %+v", c.in, e)
		require.True(t, strings.HasPrefix(c.in[e.Offset:], c.at), "%q: points at %q, not %q", c.in, c.in[e.Offset:], c.at)
	}
	_, errs := ParseGate("p98(a)/p97(b) < 4")
	require.Len(t, errs, 2, "both unknown metrics at once")
	require.Contains(t, errs[0].Hint, "did you mean")
	_, errs = ParseGate("p99(a) within 5% of p99(x)")
	require.Equal(t, "within 5% of x", errs[0].Hint)
	_, errs = ParseGate("p99(jiq) < 600")
	require.Equal(t, "add a unit, such as 600ms", errs[0].Hint)
}

func TestParseGateExtraMetrics(t *testing.T) {
	t.Parallel()
	_, errs := ParseGate("stalled(a) < 5s")
	require.NotEmpty(t, errs)
	extra := FamilyMetric("quota", "stalled_s", LowerBetter, "time a shard stalled")
	g, errs := ParseGate("stalled_s(a) < 5s", extra)
	require.Empty(t, errs)
	require.Equal(t, "stalled(a) < 5s", g.String())
}

func TestGateLabelsSayWhere(t *testing.T) {
	t.Parallel()
	text := "p99(jiq)/p50(jiq) within 5% of p2c at load 0.8"
	g, errs := ParseGate(text)
	require.Empty(t, errs)
	var got []string
	for _, l := range g.Labels() {
		require.Equal(t, l.Label, text[l.At.Offset:l.At.Offset+l.At.Len])
		got = append(got, l.Label)
	}
	require.Equal(t, []string{"jiq", "jiq", "p2c"}, got)
	require.Equal(t, "load 0.8", text[g.Axes[0].At.Offset:g.Axes[0].At.Offset+g.Axes[0].At.Len])
	require.True(t, g.Latency())
}

// bare drops the places, which differ between a text and its normal form.
func bare(g GateExpr) GateExpr {
	strip := func(m *GateMetric) { m.At, m.Where = GateSpan{}, GateSpan{} }
	strip(&g.Left)
	if g.Den != nil {
		den := *g.Den
		strip(&den)
		g.Den = &den
	}
	strip(&g.Bound.Metric)
	g.Bound.At, g.Bound.Where = GateSpan{}, GateSpan{}
	axes := []GateAxis{}
	for _, a := range g.Axes {
		axes = append(axes, GateAxis{Axis: a.Axis, Value: a.Value})
	}
	g.Axes = axes
	return g
}

// parse(print(gate)) = gate, for gates drawn from the grammar.
func TestParsePrintProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		label := rapid.StringMatching(`[a-z0-9~é.:-]{1,8}`).Filter(func(s string) bool { return s != "baseline" })
		name := rapid.SampledFrom([]string{"p50", "p99", "p999", "mean", "max", "ttft_p99"})
		blank := rapid.SampledFrom([]string{"", " ", "  ", "\t"})
		num := rapid.Float64Range(0.001, 1e9)
		var b strings.Builder
		w := func(parts ...string) {
			for _, p := range parts {
				b.WriteString(p + blank.Draw(t, "blank"))
			}
		}
		a := label.Draw(t, "label")
		w("", name.Draw(t, "metric"), "(", a, ")")
		ratio := rapid.Bool().Draw(t, "ratio")
		if ratio {
			w("/", name.Draw(t, "den"), "(", a, ")")
		}
		op := rapid.SampledFrom([]string{"<", "<=", ">", ">="}).Draw(t, "op")
		other := label.Filter(func(s string) bool { return s != a }).Draw(t, "other")
		switch {
		case rapid.Bool().Draw(t, "within"):
			b.WriteString(" within ")
			w(number(rapid.Float64Range(0.1, 1000).Draw(t, "x")), "%")
			b.WriteString(" of " + rapid.SampledFrom([]string{"baseline", other}).Draw(t, "of"))
		case ratio:
			w(op, number(num.Draw(t, "bound")))
		case rapid.Bool().Draw(t, "constant"):
			w(op, number(num.Draw(t, "bound")), rapid.SampledFrom([]string{"us", "ms", "s", "m", "h"}).Draw(t, "unit"))
		default:
			w(op, number(num.Draw(t, "factor")), "*", name.Draw(t, "right"), "(", other, ")")
		}
		if rapid.Bool().Draw(t, "at") {
			b.WriteString(" at load " + number(num.Draw(t, "load")) + ", gateways 10")
		}
		g, errs := ParseGate(b.String())
		require.Empty(t, errs, b.String())
		again, errs := ParseGate(g.String())
		require.Empty(t, errs, g.String())
		require.Equal(t, bare(g), bare(again), g.String())
		require.Equal(t, g.String(), again.String())
	})
}

func FuzzParseGate(f *testing.F) {
	for _, s := range []string{
		"p99(jiq) < 600ms at load 0.85", "p99(new) <= 1.10 * p99(old)", "p99(a)/p50(a) within 5% of baseline",
		"p99(a, tenant=x) * 2 >= 3 * p99(b, class=y) at load 1e-3, x y", "p99(\xff) < 1µs", "p99(a) < 1e999s", "1e-400*p99(a)<1s",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		g, errs := ParseGate(s)
		for _, e := range errs {
			require.True(t, e.Offset >= 0 && e.Len >= 0 && e.Offset+e.Len <= len(s), "%+v in %q", e, s)
			require.NotEmpty(t, e.Msg)
		}
		if len(errs) > 0 {
			return
		}
		again, errs := ParseGate(g.String())
		require.Empty(t, errs, "%q from %q", g.String(), s)
		require.Equal(t, g.String(), again.String())
		require.Equal(t, bare(g), bare(again))
	})
}
