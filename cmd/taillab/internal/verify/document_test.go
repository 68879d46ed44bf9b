package verify

import (
	"context"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/policies/balance"
	"taillab/reports"
	"taillab/reports/chart"
	"taillab/reports/render"
	"taillab/sim"
)

const (
	document = "../../../../docs/validation.md"
	begin    = "<!-- begin: make validation -->\n"
	end      = "<!-- end: make validation -->\n"
)

// The document shows the grid as it is and what theory says of it today. With
// VALIDATION set the simulations are run, and their part of it is written anew.
func TestValidationDocument(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile(document)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(data), begin)
	require.True(t, ok, "no line %q", begin)
	shown, tail, ok := strings.Cut(rest, end)
	require.True(t, ok, "no line %q", end)
	w := grid(t)
	if os.Getenv("VALIDATION") != "" {
		shown = simulated(t, w)
		require.NoError(t, os.WriteFile(document, []byte(head+begin+shown+end+tail), 0o644))
	}
	var want, got []string
	for _, x := range w.list {
		want = append(want, x.point.Label()+" "+chart.Digits(x.pred.Mean, 4))
	}
	for _, line := range strings.Split(shown, "\n") {
		cell := strings.Split(strings.ReplaceAll(line, `\`, ""), " | ")
		if len(cell) > 3 && cell[1] == "mean" {
			got = append(got, strings.TrimPrefix(cell[0], "| ")+" "+strings.TrimSuffix(cell[2], " ms"))
		}
	}
	require.Equal(t, want, got, "run make validation")
}

func grid(t *testing.T) *Work {
	t.Helper()
	points, err := (&Want{}).Points(false)
	require.NoError(t, err)
	w, err := Prepare(points, Options{Seed: 1, Confidence: .99, Correction: reports.CorrectionHolm, Catalog: balance.Catalog()})
	require.NoError(t, err)
	return w
}

func simulated(t *testing.T, w *Work) string {
	t.Helper()
	checks, err := w.Run(context.Background(), sim.Host{}, nil)
	require.NoError(t, err)
	require.Empty(t, failures(checks))
	var b strings.Builder
	require.NoError(t, render.TheoryMarkdown(&b, reports.NewTheory(checks, w.o.Confidence, w.o.Correction), render.Options{AgainCommand: "taillab verify"}))
	return b.String()
}
