package app

import (
	"encoding/json"
	"math"
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/reports"
)

// TestQuotaLive runs the same limiters for a minute each in the simulator and on seven
// redis-server processes behind 60 front ends, and holds what they admit together.
// It takes four minutes of a quiet machine: make quota-live.
func TestQuotaLive(t *testing.T) {
	if os.Getenv("QUOTA_LIVE") == "" {
		t.Skip("it takes four minutes of a quiet machine: make quota-live")
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip("redis-server is not in PATH")
	}
	run := func(extra ...string) reports.Summary {
		args := append([]string{"run", "../../../testdata/quota/live.yaml", "-o", t.TempDir(), "--ui", "none", "--format", "json"}, extra...)
		r := call(Process{Args: args})
		require.Contains(t, []int{exitOK, exitBroken}, r.code, r.err) // a busy machine spoils latencies, not counts
		var s reports.Summary
		require.NoError(t, json.Unmarshal([]byte(r.out), &s))
		return s
	}
	sim, live := run(), run("--live", "emulator", "--format", "json")
	t.Logf("%-8s %22s %22s %18s", "limiter", "admitted of ideal", "worst second", "P99 decision, ms")
	for i, c := range sim.Cells {
		l := live.Cells[i]
		require.Equal(t, c.Policy, l.Policy)
		at := func(c reports.Cell, name string) float64 {
			require.NotNil(t, c.Metrics[name], name)
			return *c.Metrics[name]
		}
		t.Logf("%-8s %10.4f live %.4f %10.1f live %.1f %9.3f live %.3f", c.Policy, at(c, "admitted_of_ideal"), at(l, "admitted_of_ideal"),
			at(c, "worst_second_rps"), at(l, "worst_second_rps"), at(c, "p99_decision_ms"), at(l, "p99_decision_ms"))
		for _, name := range []string{"admitted_of_ideal", "worst_second_rps"} {
			require.LessOrEqual(t, math.Abs(at(l, name)/at(c, name)-1), 0.03, "%s of %s", name, c.Policy)
		}
	}
}
