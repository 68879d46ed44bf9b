package reports

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestParseSLO(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"p99() < 600ms":            "p99 < 600ms",
		" p99<0.6s ":               "p99 < 0.6s",
		"p99.9 <= 2s":              "p999 <= 2s",
		"ttft_p99 ( ) < 2s":        "ttft_p99 < 2s",
		"p99(tenant=chat) < 600ms": "p99(tenant=chat) < 600ms",
		"p99()/p50() < 8":          "p99/p50 < 8",
		"p99/p50 < 8":              "p99/p50 < 8",
		"error_rate < 0.1%":        "error_rate < 0.1%",
		"goodput() > 700rps":       "goodput > 700rps",
	} {
		g, err := ParseSLO(text)
		require.NoError(t, err, text)
		require.Equal(t, want, g.Rule(), text)
		require.NotContains(t, g.Of("jiq").String(), sloLabel, text)
		_, errs := ParseGate(g.Of("jiq").String())
		require.Empty(t, errs, text)
	}
	limits := map[string]float64{"p99() < 0.6s": 600, "slo_miss() < 2m": 120, "p99()/p50() < 8": 8, "error_rate() < 5%": 0.05, "goodput() > 7/s": 7}
	for text, want := range limits {
		g, err := ParseSLO(text)
		require.NoError(t, err, text)
		require.InEpsilon(t, want, g.Limit(), 1e-12, text)
	}
	for text, want := range map[string]string{
		"":                          "write a bound",
		"p99()":                     "write a bound",
		"p99(jiq) < 600ms":          "leave it out: p99() < 600ms",
		"p99(jiq, tenant=a) < 1s":   "leave it out",
		"p98() < 600ms":             "unknown metric",
		"p99() < 600":               "600ms",
		"p99() < 600ms at load 0.8": "leave out `at`",
		"p99() < 2 * p99(jiq)":      "must be a number",
		"p99() < ":                  "p99() < ",
	} {
		_, err := ParseSLO(text)
		require.ErrorContains(t, err, want, text)
	}
}
