//go:build !(cgo && linux && !nonvml)

package telemetry

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestBuiltWithoutNVML(t *testing.T) {
	t.Parallel()
	s, err := OpenNVML()
	require.Nil(t, s)
	require.ErrorContains(t, err, "built without NVML")
	res := Start(t.Context(), Config{NVML: true}, func() time.Duration { return 0 }).Stop()
	require.Len(t, res.Notes, 1)
	require.Contains(t, res.Notes[0], "nvml: no telemetry: this program was built without NVML")
	require.False(t, res.Throttled)
}
