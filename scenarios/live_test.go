package scenarios

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestLiveDefaults(t *testing.T) {
	t.Parallel()
	s := plan(t, good).Cells[0].Setup
	require.Equal(t, DefaultLive(), s.Live)
	require.Empty(t, s.Services[0].Reporter)
	require.Equal(t, Live{
		Blocks: 6, Repeats: 1, Pacing: "auto", Warm: -1, Tape: true, Telemetry: Telemetry{DCGM: true, Period: time.Second},
		Actuator: Actuator{Kind: "pool", Ready: "/health", Port: 8000},
		Validity: Validity{Sent: 0.995, Lag: time.Millisecond, LagShare: 0.05, CPU: 0.8, NotSent: 0.001, Steal: 0.2},
	}, DefaultLive())
}

func TestLiveKeys(t *testing.T) {
	t.Parallel()
	p := plan(t, with("measure: {tape: off, live: {arms: [p2c, jiq, p2c], blocks: 8, block: 10s, repeats: 2}}", "reporter: agent",
		"live: {pacing: fine, warm: 32, max_in_flight: 1000, stale_after: 3s, validity: {sent: 99%, lag: 10%, cpu: 90%, not_sent: 1%, steal: 0.3}, "+
			"telemetry: {dcgm: off, nvml: on, period: 100ms}}"))
	s := p.Cells[0].Setup
	require.Equal(t, Live{
		Arms: []string{"p2c", "jiq", "p2c"}, Blocks: 8, Block: 10 * time.Second, Repeats: 2,
		Pacing: PacingFine, Warm: 32, MaxInFlight: 1000, StaleAfter: 3 * time.Second,
		Validity:  Validity{Sent: 0.99, Lag: time.Millisecond, LagShare: 0.1, CPU: 0.9, NotSent: 0.01, Steal: 0.3},
		Telemetry: Telemetry{NVML: true, Period: 100 * time.Millisecond}, Actuator: defaultActuator(),
	}, s.Live)
	require.False(t, s.Measure.Tape)
	require.Equal(t, ReporterAgent, s.Services[0].Reporter)
	require.Equal(t, []string{"sent 99% (standard 99.5%)", "lag 10% (standard 5%)", "cpu 90% (standard 80%)", "not_sent 1% (standard 0.1%)", "steal 30% (standard 20%)"},
		s.Live.Validity.Loosened())

	s = plan(t, with("live: {warm: off, validity: {lag: 2ms}}", "measure: {tape: on}")).Cells[0].Setup
	require.Zero(t, s.Live.Warm)
	require.True(t, s.Live.Tape)
	require.Equal(t, 2*time.Millisecond, s.Live.Validity.LagLimit(time.Hour), "a duration stands alone")
	require.Equal(t, []string{"lag 2ms (standard 1ms)"}, s.Live.Validity.Loosened())

	v := DefaultValidity()
	require.Equal(t, time.Millisecond, v.LagLimit(10*time.Millisecond))
	require.Equal(t, 5*time.Millisecond, v.LagLimit(100*time.Millisecond))
	require.Empty(t, v.Loosened())
}

// TestLiveHash: what a live run depends on is part of the plan; defaults and the
// tape change no hash.
func TestLiveHash(t *testing.T) {
	t.Parallel()
	hash := plan(t, good).Hash
	for _, same := range []string{"measure: {tape: off}", "live: {pacing: auto}", "live: {validity: {cpu: 80%}}", "live: {telemetry: {nvml: on, period: 5s}}", "measure: {live: {blocks: 6}}"} {
		require.Equal(t, hash, plan(t, with(same)).Hash, same)
	}
	seen := map[string]bool{hash: true}
	for _, other := range []string{"live: {pacing: fine}", "live: {validity: {cpu: 81%}}", "measure: {live: {blocks: 7}}", "measure: {live: {arms: [p2c, jiq]}}", "reporter: replica"} {
		h := plan(t, with(other)).Hash
		require.False(t, seen[h], other)
		seen[h] = true
	}
}

// TestLiveSwept: a live key is a key like any other, so that it can be an axis.
func TestLiveSwept(t *testing.T) {
	t.Parallel()
	p := plan(t, with("sweep: {load: 0.5, fuse: {path: live.max_in_flight, values: [10, 20]}}"))
	require.Len(t, p.Cells, 6)
	require.Equal(t, []int{10, 20}, []int{p.Cells[0].Setup.Live.MaxInFlight, p.Cells[1].Setup.Live.MaxInFlight})
}
