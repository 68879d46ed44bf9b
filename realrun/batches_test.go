package realrun

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/realrun/emulator"
	"taillab/sim/gpu"
)

// batching is an emulated backend that serves batches in 30 ms + 6 ms per request.
func batching(t *testing.T, edit func(*gpu.Spec)) string {
	t.Helper()
	spec := gpu.Defaults(gpu.Affine)
	spec.A, spec.B, spec.MaxBatch, spec.Noise.Sigma = gpu.Nanos(30*time.Millisecond), gpu.Nanos(6*time.Millisecond), 6, 0
	if edit != nil {
		edit(&spec)
	}
	model, problems := gpu.New(spec)
	require.Empty(t, problems)
	f, err := emulator.Start(t.Context(), emulator.Config{Replicas: []emulator.Replica{{Model: model}}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	return f.URLs()[0]
}

// The times of batches are those of the model, up to the largest batch it serves.
func TestMeasureBatches(t *testing.T) {
	t.Parallel()
	list, err := MeasureBatches(t.Context(), at(batching(t, nil)), 8, 16)
	require.NoError(t, err)
	require.Equal(t, Batch{Size: 1, Time: list[0].Time}, list[0])
	for i, b := range list {
		require.Equal(t, i+1, b.Size)
		require.Positive(t, b.Time, "batch of %d", b.Size) // how well it fits is the machine's: a busy one delays answers
	}
	require.LessOrEqual(t, len(list), 6, "7 do not fit into one batch")
	require.GreaterOrEqual(t, len(list), 2)
}

func TestMeasureBatchesOfSlots(t *testing.T) {
	t.Parallel()
	_, err := MeasureBatches(t.Context(), at(batching(t, func(s *gpu.Spec) { s.Slots, s.A = 4, gpu.Nanos(60*time.Millisecond) })), 4, 16)
	require.ErrorIs(t, err, errSideBySide)
	_, err = MeasureBatches(t.Context(), at(nobody(t)), 4, 16)
	require.ErrorContains(t, err, "a request failed: refused")
}

func TestBatchSizes(t *testing.T) {
	t.Parallel()
	require.Equal(t, []int{1, 2}, batchSizes(2))
	require.Equal(t, []int{1, 2, 3, 4, 5, 6, 8, 10, 13, 16}, batchSizes(16))
}
