package sim

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// insistent files itself anew for the same instant, n times.
type insistent struct {
	n  int
	id HandlerID
}

func (a *insistent) Handle(e *Engine, _ uint64) {
	if a.n--; a.n > 0 {
		e.Schedule(e.Now(), a.id, 0)
	}
}

// More events of one instant than a stuck policy is granted are progress where so
// many may be pending: a large fleet starts with several for every replica.
func TestLargeFleetsMayTakeLonger(t *testing.T) {
	t.Parallel()
	run := func(pending int) func() {
		return func() {
			e, a := New(Config{Pending: pending}), &insistent{n: 1_200_000}
			a.id = e.Register(a, Message)
			e.Schedule(0, a.id, 0)
			e.Run()
			require.Zero(t, a.n)
		}
	}
	require.Panics(t, run(0))
	require.NotPanics(t, run(100_000))
}
