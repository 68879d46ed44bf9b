package telemetry_test

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/balance"
	"taillab/realrun/emulator"
	"taillab/realrun/telemetry"
	"taillab/sim/gpu"
)

// An emulated backend speaks as vLLM does: idle here, which is not unknown. Once it is
// gone its load is.
func TestEmulatedBackend(t *testing.T) {
	t.Parallel()
	m, problems := gpu.New(gpu.Defaults(gpu.Service))
	require.Empty(t, problems)
	f, err := emulator.Start(context.Background(), emulator.Config{Replicas: []emulator.Replica{{Model: m}}})
	require.NoError(t, err)
	cfg := telemetry.Config{Timeout: 10 * time.Second, Backends: []telemetry.Target{{Name: "main/r0", URL: f.URLs()[0] + "/metrics"}}}
	r := telemetry.Start(t.Context(), cfg, func() time.Duration { return time.Second })
	res := r.Stop()
	require.Empty(t, res.Notes)
	load, age, ok := r.Load("main/r0")
	require.True(t, ok)
	require.Zero(t, age)
	require.Equal(t, balance.Load{}, load)

	require.NoError(t, f.Close())
	r = telemetry.Start(t.Context(), cfg, func() time.Duration { return time.Second })
	res = r.Stop()
	_, _, ok = r.Load("main/r0")
	require.False(t, ok)
	require.Len(t, res.Notes, 1)
	require.Contains(t, res.Notes[0], "main/r0: ")
	require.Contains(t, res.Notes[0], "readings failed")
	require.True(t, math.IsNaN(res.EnergyJ))
}
