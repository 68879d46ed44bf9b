package app

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/realrun/store"
	"taillab/reports"
)

// The document, and the part of it that make quota-live writes.
const (
	quotaDoc   = "../../../docs/quota-live.md"
	quotaBegin = "<!-- begin: make quota-live -->\n"
	quotaEnd   = "<!-- end: make quota-live -->\n"
)

const (
	// near is how far a live figure may be from the simulated one.
	near = .03
	// onTime is how late a send may be: in this time a limit gives a hundredth of what
	// it gives in a second.
	onTime = 10 * time.Millisecond
	// lateRun is the P99 of the lateness of sends above which a run measured the
	// machine and not the limiter.
	lateRun = 1.0 // ms
	// settled is when a run has spent its first burst: as the worst second of the
	// reports.
	settled = 3 * time.Second
	// horizon is the scenario's.
	horizon = time.Minute
)

// TestQuotaLive runs limiters on seven redis-server processes behind 60 front ends and
// in the simulator: first undisturbed, where it holds what they admit together, then
// with a shard that is killed, where it holds what is admitted to a bound. It writes
// the tables of docs/quota-live.md.
func TestQuotaLive(t *testing.T) {
	if os.Getenv("QUOTA_LIVE") == "" {
		t.Skip("it takes nine minutes of a quiet machine: make quota-live")
	}
	if _, err := exec.LookPath("redis-server"); err != nil {
		t.Skip(store.ErrNoServer)
	}
	var b strings.Builder
	var wrong []string
	before := loadAverage()
	list, machine := undisturbed(t, &b)
	wrong = append(wrong, list...)
	wrong = append(wrong, shardDies(t, &b)...)
	text := fmt.Sprintf("%s, %d cores, %s, %s; load average %s before, %s after; seed 1.\n\n%s", machine.CPU, machine.Cores, machine.OS, runtime.Version(), before, loadAverage(), &b)
	fmt.Println(text)
	data, err := os.ReadFile(quotaDoc)
	require.NoError(t, err)
	head, rest, ok := strings.Cut(string(data), quotaBegin)
	require.True(t, ok, "no line %q", quotaBegin)
	_, tail, ok := strings.Cut(rest, quotaEnd)
	require.True(t, ok, "no line %q", quotaEnd)
	require.NoError(t, os.WriteFile(quotaDoc, []byte(head+quotaBegin+text+quotaEnd+tail), 0o644))
	require.Empty(t, wrong)
}

// loadAverage is the machine's over the last minute, "unknown" where it does not tell.
func loadAverage() string {
	data, err := os.ReadFile("/proc/loadavg")
	if f := strings.Fields(string(data)); err == nil && len(f) > 0 {
		return f[0]
	}
	return "unknown"
}

// quotaRun runs a scenario of testdata/quota with tapes, which stay below dir.
func quotaRun(t *testing.T, name, dir string, extra ...string) reports.Summary {
	t.Helper()
	args := append([]string{"run", "../../../testdata/quota/" + name, "-o", dir, "--ui", "none", "--format", "json"}, extra...)
	r := call(Process{Args: args})
	require.Contains(t, []int{exitOK, exitBroken}, r.code, r.err) // a busy machine spoils latencies, not counts
	var s reports.Summary
	require.NoError(t, json.Unmarshal([]byte(r.out), &s), r.err)
	return s
}

func metricOf(t *testing.T, c *reports.Cell, name string) float64 {
	t.Helper()
	require.NotNil(t, c.Metrics[name], "%s of %s", name, c.Policy)
	return *c.Metrics[name]
}

// undisturbed compares the hosts while nothing fails. The simulator's way to the store
// takes what the live one's did: the median of a decision there.
func undisturbed(t *testing.T, b *strings.Builder) (wrong []string, machine reports.Machine) {
	t.Helper()
	liveDir, simDir := t.TempDir(), t.TempDir()
	live := quotaRun(t, "live.yaml", liveDir, "--live", "emulator")
	require.Equal(t, "central", live.Cells[0].Policy)
	const service = .015 // ms, as in the scenario
	rtt := metricOf(t, &live.Cells[0], "p50_decision_ms") - service
	sim := quotaRun(t, "live.yaml", simDir, "--set", fmt.Sprintf("quota.store.rtt=%.0fus", 1000*rtt))
	liveTapes, simTapes := witnesses(t, liveDir), witnesses(t, simDir)
	fmt.Fprintf(b, "Round trip to the store as measured live and given to the simulator: %.0f µs.\n\n", 1000*rtt)
	b.WriteString("| limiter | figure | simulated | live | difference | within 3% |\n|---|---|---:|---:|---:|---|\n")
	var late []string
	for i := range sim.Cells {
		s, l := &sim.Cells[i], &live.Cells[i]
		require.Equal(t, s.Policy, l.Policy)
		lw, sw := liveTapes[cellName(l.Policy, 0)], simTapes[cellName(s.Policy, 0)]
		out := lw.delays(onTime)
		share := kept(settled, horizon, out)
		require.NotNil(t, l.LatenessP99MS)
		busy := *l.LatenessP99MS > lateRun
		row := func(figure, format string, sim, live float64, judged, sound bool) {
			d, verdict := live/sim-1, ""
			apart := "–" // both are decided at once
			if sim > 0 {
				apart = fmt.Sprintf("%+.1f%%", 100*d)
			}
			switch {
			case !judged:
			case !sound:
				verdict = "not judged: late sends"
			case math.Abs(d) <= near:
				verdict = "yes"
			default:
				verdict = "no"
				wrong = append(wrong, fmt.Sprintf("%s of %s: "+format+" simulated, "+format+" live", figure, s.Policy, sim, live))
			}
			fmt.Fprintf(b, "| %s | %s | "+format+" | "+format+" | %s | %s |\n", s.Policy, figure, sim, live, apart, verdict)
		}
		both := func(name string) (float64, float64) { return metricOf(t, s, name), metricOf(t, l, name) }
		x, y := both("admitted_of_ideal")
		row("admitted of ideal", "%.4f", x, y, true, !busy)
		worst, mean := sw.worst(settled, horizon, out)
		liveWorst, liveMean := lw.worst(settled, horizon, out)
		row("worst second of every 5 s, driver on time", "%.1f", mean, liveMean, true, share >= .5)
		row("worst second, driver on time", "%.0f", worst, liveWorst, false, false)
		x, y = both("worst_second_rps")
		row("worst second", "%.0f", x, y, false, false)
		x, y = both("p50_decision_ms")
		row("P50 of a decision, ms", "%.3f", x, y, false, false)
		x, y = both("p99_decision_ms")
		row("P99 of a decision, ms", "%.3f", x, y, false, false)
		x, y = both("shard_ops_rps")
		row("asks to the store per second", "%.0f", x, y, false, false)
		late = append(late, fmt.Sprintf("%s %.2f and %.0f ms, %.0f%%", l.Policy, *l.LatenessP99MS, lw.latest().Seconds()*1000, 100*share))
	}
	fmt.Fprintf(b, "\nThe simulated worst second where the round trip is a quarter to four times as long: %s.\n", spread(t, rtt))
	fmt.Fprintf(b, "\nLateness of sends, P99 and longest, and the share of the seconds in which none was later than %v: %s.\n", onTime, strings.Join(late, "; "))
	return wrong, live.Machine
}

// spread is how far the simulated worst second of each limiter moves with the round
// trip alone: what of a difference is the chance of one extreme.
func spread(t *testing.T, rtt float64) string {
	t.Helper()
	var names []string
	lo, hi := map[string]float64{}, map[string]float64{}
	for _, k := range []float64{.25, .5, 1, 2, 4} {
		s := quotaRun(t, "live.yaml", t.TempDir(), "--tape", "off", "--set", fmt.Sprintf("quota.store.rtt=%.0fus", 1000*rtt*k))
		for i := range s.Cells {
			c := &s.Cells[i]
			x := metricOf(t, c, "worst_second_rps")
			if _, ok := lo[c.Policy]; !ok {
				names, lo[c.Policy] = append(names, c.Policy), x
			}
			lo[c.Policy], hi[c.Policy] = min(lo[c.Policy], x), max(hi[c.Policy], x)
		}
	}
	for i, n := range names {
		names[i] = fmt.Sprintf("%s %.0f to %.0f", n, lo[n], hi[n])
	}
	return strings.Join(names, ", ")
}
