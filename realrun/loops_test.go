package realrun

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/realrun/emulator"
	"taillab/scenarios"
	"taillab/sim/gpu"
)

// generating is an emulated backend that makes tokens: steps of 1 ms and more, 20 µs
// for each token of a prompt.
func generating(t *testing.T) *scenarios.Targets {
	t.Helper()
	spec := gpu.Defaults(gpu.Tokens)
	spec.Step, spec.Prefill, spec.Slots, spec.Noise.Sigma = gpu.Step{Base: 1e6, PerSeq: 0.1e6}, gpu.Prefill{PerToken: 20_000}, 8, 0
	model, problems := gpu.New(spec)
	require.Empty(t, problems)
	f, err := emulator.Start(t.Context(), emulator.Config{Replicas: []emulator.Replica{{Model: model}}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	targets := at(f.URLs()...)
	targets.Services[0].Transport, targets.Services[0].Path = scenarios.TransportChat, "/v1/chat/completions"
	return targets
}

// Every loop is measured; how well it fits is the machine's.
func TestMeasureLoops(t *testing.T) {
	t.Parallel()
	told := 0
	list, err := MeasureLoops(t.Context(), generating(t), 4, 8, 8, func(Loop) { told++ })
	require.NoError(t, err)
	require.Len(t, list, 2*len(loopInputs)*len(loopOutputs))
	require.Equal(t, len(list), told)
	for i, l := range list {
		require.Equal(t, 0, l.Backend)
		require.Equal(t, []int{1, 4}[i/6], l.Concurrency)
		require.InDelta(t, float64([]uint32{8, 32}[i%2]), l.Output, 0)
		require.GreaterOrEqual(t, l.Input, float64(8*loopInputs[i/2%3]))
		require.GreaterOrEqual(t, l.TPOT, time.Duration(0), "tokens that were held up come closer together")
		require.Greater(t, l.TTFT, time.Millisecond)
	}
}

func TestMeasureLoopsRefuses(t *testing.T) {
	t.Parallel()
	none := func(Loop) {}
	_, err := MeasureLoops(t.Context(), at(batching(t, nil)), 2, 8, 2, none)
	require.ErrorIs(t, err, errNoStream)
	_, err = MeasureLoops(t.Context(), at(nobody(t)), 2, 8, 2, none)
	require.ErrorContains(t, err, "a request failed: refused")
	require.Equal(t, []int{1, 4, 16, 30}, concurrencies(30))
	require.Equal(t, []int{1, 4, 16}, concurrencies(16))
}
