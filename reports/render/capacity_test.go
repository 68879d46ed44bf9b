package render

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/reports"
)

// sampleCapacity is an answer with every outcome.
func sampleCapacity(fewer bool) *reports.Capacity {
	s := sample(1, 0.85)
	c := &reports.Capacity{Schema: reports.CapacitySchema, Scenario: s.Scenario, ScenarioHash: s.ScenarioHash, RunID: s.RunID, Host: "sim", Seed: 42,
		Git: s.Git, Machine: s.Machine, ToolVersion: "devel", StartedAt: s.StartedAt, Complete: true, Confidence: 0.95,
		SLO: "p99 < 600ms", Unit: "ms", Limit: 600, Vary: reports.VaryLoad, Easiest: 0.005, Hardest: 0.995, Step: 0.005, Replicas: 100, Runs: 1234,
		Warnings: []reports.Warning{{Code: "short-run", Message: "near the threshold: p99: the seeds are too short for it", Policy: "jiq"}}}
	at := func(x float64) float64 { return x }
	if fewer {
		c.Vary, c.Easiest, c.Hardest, c.Step, c.RateRPS = "replicas", 200, 40, 1, ptr(1900.0)
		at = func(x float64) float64 { return float64(int(80 / x)) }
	}
	point := func(x, v float64, verdict reports.Verdict) reports.CapacityPoint {
		p := reports.CapacityPoint{At: at(x), Load: ptr(x), RateRPS: 2000 * x, Seeds: 10, Value: ptr(v), CI: &reports.Interval{v * .94, v * 1.06}, Verdict: verdict, Below: v < 600}
		if verdict != reports.Pass {
			p.Reason = ptr("the interval holds the bound; 7 more seeds would settle it")
		}
		return p
	}
	found := func(policy string, x float64) reports.CapacityRow {
		met, missed := point(x-.02, 540, reports.Pass), point(x+.015, 660, reports.Fail)
		return reports.CapacityRow{Policy: policy, Outcome: reports.CapacityFound, Capacity: ptr(at(x)), CI: &reports.Interval{min(met.At, missed.At), max(met.At, missed.At)},
			RateRPS: ptr(2000 * x), Met: &met, Missed: &missed, Runs: 170, Points: []reports.CapacityPoint{point(x-.1, 400, reports.Pass), met, point(x, 601, reports.Inconclusive), missed}}
	}
	c.Policies = []reports.CapacityRow{
		found("static", 0.617),
		{Policy: "board", Outcome: reports.CapacityNever, Points: []reports.CapacityPoint{{At: c.Easiest, Seeds: 10, Value: ptr(949.0), Verdict: reports.Fail}}},
		found("p2c", 0.912), found("jiq", 0.882),
		{Policy: "jiq-amnesia", Outcome: reports.CapacityAlways, Met: ptr(point(0.99, 541, reports.Pass)), Points: []reports.CapacityPoint{point(0.5, 250, reports.Pass), point(0.99, 541, reports.Pass)}},
	}
	c.Settle()
	return c
}

func capacityTable(t *testing.T, c *reports.Capacity, o Options) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, CapacityTable(&b, c, o))
	return b.Bytes()
}

func TestCapacityGolden(t *testing.T) {
	t.Parallel()
	golden(t, "capacity", capacityTable(t, sampleCapacity(false), options()))
	golden(t, "capacity-over", capacityTable(t, sampleCapacity(true), options()))
	o := options()
	o.Width, o.ASCII = 60, true
	golden(t, "capacity-narrow", capacityTable(t, sampleCapacity(false), o))
	var b bytes.Buffer
	require.NoError(t, CapacityMarkdown(&b, sampleCapacity(false), options()))
	golden(t, "capacity-md", b.Bytes())
}

func TestCapacitySettles(t *testing.T) {
	t.Parallel()
	c := sampleCapacity(false)
	var order []string
	for _, r := range c.Policies {
		order = append(order, r.Policy)
	}
	require.Equal(t, []string{"jiq-amnesia", "p2c", "jiq", "static", "board"}, order)
	require.Equal(t, 68.0, *c.Policies[1].Replicas, "100·0.617/0.912 = 67.7")
	require.Equal(t, 0.0, *c.Policies[3].Saved)
	require.Nil(t, c.Policies[4].Replicas)
	over := sampleCapacity(true)
	require.Equal(t, "jiq-amnesia", over.Policies[0].Policy)
	require.InEpsilon(t, 1-87.0/129, *over.Policies[1].Saved, 1e-12, "80/0.912 = 87 against 80/0.617 = 129")
}

// The page is sound, holds the document, and says the numbers of the table.
func TestCapacityPage(t *testing.T) {
	t.Parallel()
	for _, c := range []*reports.Capacity{sampleCapacity(false), sampleCapacity(true), {}, nastyCapacity()} {
		var b bytes.Buffer
		require.NoError(t, CapacityHTML(&b, c, options()))
		checkPage(t, b.Bytes())
		page := b.String()
		_, raw, ok := strings.Cut(page, `id="capacity">`)
		require.True(t, ok)
		raw, _, _ = strings.Cut(raw, "</script>")
		var back reports.Capacity
		require.NoError(t, json.Unmarshal([]byte(raw), &back))
		require.Len(t, back.Policies, len(c.Policies))
		v := capacityView{&back}
		for _, r := range back.Policies[:min(1, len(back.Policies))] {
			for _, cell := range v.row(r)[1:] {
				require.True(t, strings.Contains(page, ">"+cell+"</td>"), cell)
			}
		}
	}
}

func nastyCapacity() *reports.Capacity {
	c := sampleCapacity(false)
	c.Scenario, c.Policies[0].Policy, c.SLO = "x</script>", nasty, "p99(tenant=<b>) < 600ms"
	return c
}

func TestCapacityCSV(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	require.NoError(t, CapacityCSV(&b, sampleCapacity(false)))
	rows, err := csv.NewReader(&b).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 6)
	require.Equal(t, []string{"p2c", "", "p99 < 600ms", "load", "found", "0.912"}, rows[2][:6])
	require.Equal(t, "never", rows[5][4])
}
