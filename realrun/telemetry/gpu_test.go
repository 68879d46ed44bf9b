package telemetry

import (
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	// a server that closes a connection lingers for half a second by itself
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("net/http.(*conn).closeWriteAndWait"))
}

// Power and heat slow a GPU under load; idling and clocks that a user set do not.
func TestThrottled(t *testing.T) {
	t.Parallel()
	for reasons, want := range map[uint64]bool{0: false, 1: false, 2: false, 4: true, 8: true, 16: false, 32: true, 64: true, 128: true, 256: false,
		1 | 2 | 16 | 256: false, 1 | 64: true} {
		require.Equal(t, want, Throttled(reasons), "reasons %d", reasons)
		g := GPU{Reasons: reasons, ReasonsKnown: true}
		require.Equal(t, want, g.Throttled(), "reasons %d", reasons)
		g.ReasonsKnown = false
		require.False(t, g.Throttled(), "unknown reasons are none")
	}
}

func TestReasonNames(t *testing.T) {
	t.Parallel()
	require.Empty(t, ReasonNames(1|2|16|256))
	require.Equal(t, "power cap, hardware thermal slowdown", ReasonNames(1|4|64))
	require.Equal(t, "power cap, hardware slowdown, software thermal slowdown, hardware thermal slowdown, power brake", ReasonNames(^uint64(0)))
}
