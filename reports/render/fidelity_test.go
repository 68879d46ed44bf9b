package render

import (
	"bytes"
	"encoding/csv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"taillab/reports"
	"taillab/reports/chart"
)

// sampleBoth is a comparison in which the simulator is a little too fast.
func sampleBoth(n int, overhead string, at ...float64) Both {
	live, sim, better := withGates(sample(n, at...)), sample(n, at...), sample(n, at...)
	live.Host = "live"
	for i := range live.Cells {
		for k, c := range []*reports.Cell{&sim.Cells[i], &better.Cells[i]} {
			off := []float64{0.9, 0.99}[k] - 0.02*float64(i%3)
			for _, v := range []**float64{&c.P50MS, &c.P90MS, &c.P95MS, &c.P99MS} {
				*v = ptr(**v * off)
			}
		}
	}
	if overhead == "" {
		better.Cells = nil
	}
	return Both{Fidelity: reports.NewFidelity(live.Cells, sim.Cells, better.Cells, 0.95), Live: live, Sim: sim, Overhead: overhead}
}

// sampleBothOfOne keeps the first policy.
func sampleBothOfOne(b Both) Both {
	f := *b.Fidelity
	f.Cells = f.Cells[:len(reports.FidelityMetrics())]
	b.Fidelity = &f
	return b
}

func fidelityTable(t *testing.T, b Both, o Options) []byte {
	t.Helper()
	var out bytes.Buffer
	require.NoError(t, FidelityTable(&out, b, o))
	return out.Bytes()
}

func TestFidelityTableGolden(t *testing.T) {
	t.Parallel()
	golden(t, "fidelity", fidelityTable(t, sampleBoth(3, "", 0.7, 0.85), options()))
	b := sampleBoth(2, "1.2ms idle overhead added to every answer", 0.85)
	b.Invalid = "the measurement is not valid: P99 of the lateness of sends is 4ms"
	golden(t, "fidelity-calibrated-ascii", fidelityTable(t, b, Options{ASCII: true, Width: 80}))
	require.Contains(t, string(fidelityTable(t, Both{Fidelity: &reports.Fidelity{}, Live: &reports.Summary{}, Sim: &reports.Summary{}}, Options{})), "no results")
}

func TestFidelityMarkdown(t *testing.T) {
	t.Parallel()
	b := sampleBoth(2, "1.2ms", 0.85)
	withNasty(b.Live)
	for i := range b.Fidelity.Cells {
		if b.Fidelity.Cells[i].Policy == "random" {
			b.Fidelity.Cells[i].Policy = nasty
		}
	}
	var out bytes.Buffer
	require.NoError(t, FidelityMarkdown(&out, b, options()))
	golden(t, "fidelity-md", out.Bytes())
	require.NotContains(t, out.String(), "<script>")
	out.Reset()
	require.NoError(t, FidelityMarkdown(&out, sampleBoth(11, "x", loads...), Options{MaxRows: 3}))
	require.Contains(t, out.String(), "more rows")
	require.LessOrEqual(t, utf8.RuneCountInString(out.String()), maxMarkdown)
}

func TestFidelityCSV(t *testing.T) {
	t.Parallel()
	b := sampleBoth(2, "1ms", 0.7, 0.85)
	b.Fidelity.Cells[0].Policy = nasty
	b.Fidelity.Cells[0].Sim, b.Fidelity.Cells[0].Error = nil, nil
	var out bytes.Buffer
	require.NoError(t, FidelityCSV(&out, b.Fidelity))
	rows, err := csv.NewReader(&out).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 1+len(b.Fidelity.Cells))
	require.Equal(t, "policy load axes metric sim live live_ci_lo live_ci_hi error calibrated", strings.Join(rows[0], " "))
	require.Equal(t, []string{nasty, "0.7", "", "p50", ""}, rows[1][:5])
	require.Equal(t, []string{"", "false"}, rows[1][8:])
	for i, c := range b.Fidelity.Cells[1:] {
		require.Equal(t, []string{c.Policy, float(*c.Load), "", c.Metric, float(*c.Sim), float(*c.Live)}, rows[i+2][:6])
		require.Equal(t, float(*c.Error), rows[i+2][8])
	}
}

func TestFidelityPage(t *testing.T) {
	t.Parallel()
	b := sampleBoth(3, "1.2ms", 0.7, 0.85)
	b.Fidelity.Cells[0].Policy = "elsewhere"
	withNasty(b.Live)
	o := withCharts(3)
	s := chart.QQSeries{Label: nasty, P: []float64{0.5, 0.9}, Live: []float64{1, 2}, Sim: []float64{1, 2.1}, N: 1000}
	o.Charts = append(o.Charts, chart.QQ(chart.QQInput{Series: []chart.QQSeries{s}}, chart.Light()))
	var out bytes.Buffer
	require.NoError(t, FidelityHTML(&out, b, o))
	checkPage(t, out.Bytes())
	page := out.String()
	at := -1
	for _, mark := range []string{`id="gates"`, `id="both"`, "order by P99, 70% load", "error = simulated / live − 1", `-qq"`, "the results of the simulator", "Results, measured live", `id="charts"`} {
		i := strings.Index(page[at+1:], mark)
		require.GreaterOrEqual(t, i, 0, "%s is missing or out of order", mark)
		at += 1 + i
	}
	require.Contains(t, page, ">"+chart.Change(*b.Fidelity.Cells[len(b.Fidelity.Cells)-1].Error)+"</td>")
}

func TestOrderText(t *testing.T) {
	t.Parallel()
	o := reports.FidelityOrder{Load: ptr(0.7), Axes: map[string]any{"n": 3}, Policies: 3, Tau: ptr(-1.0 / 3)}
	require.Equal(t, "order by P99, 70% load, n 3: Kendall's τ −0.33 over 3 policies; no live intervals to tell them apart by", orderText(o))
	o = reports.FidelityOrder{Policies: 2, Tau: ptr(1.0), Intervals: true, Calibrated: true}
	require.Equal(t, "order by P99, calibrated: Kendall's τ 1.00 over 2 policies; the live intervals tell no two apart", orderText(o))
	o.Separated, o.Kept = 1, 1
	require.Equal(t, "order by P99, calibrated: Kendall's τ 1.00 over 2 policies; kept in 1 of 1 pair that the live intervals tell apart", orderText(o))
	require.Empty(t, orderText(reports.FidelityOrder{}))
	b := sampleBoth(2, "", 0.85)
	for i := range b.Fidelity.Cells {
		b.Fidelity.Cells[i].Live = nil
	}
	require.Equal(t, []string{"order by P99: not known, P99 needs more requests"}, b.says())
	require.Empty(t, sampleBothOfOne(b).says(), "one policy has no order")
}
