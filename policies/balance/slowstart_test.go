package balance_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
)

// weigh shows the weights that a balancer inside sees.
type weigh struct {
	uniform bool
	weights map[uint32]float64
}

func (w *weigh) Pick(env *balance.Env, _ *policies.Request) balance.Choice {
	w.uniform, w.weights = env.Fleet.Uniform(), map[uint32]float64{}
	for i := range env.Fleet.Len() {
		w.weights[env.Fleet.Ref(i).ID] = env.Fleet.Weight(i)
	}
	return balance.To(env.Fleet.Ref(0))
}

func slowed(t *testing.T, change func(s *balance.SlowStart)) (*bench, *weigh) {
	t.Helper()
	w := &weigh{}
	return newBench(t, proto("slow-start", func(s *balance.SlowStart) {
		s.Wrap(w)
		if change != nil {
			change(s)
		}
	}), table(3), nil), w
}

func TestSlowStartWindow(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		aggression float64
		age        time.Duration
		want       float64
	}{{1, 3 * time.Second, .10}, {1, 30 * time.Second, .5}, {2, 15 * time.Second, .5}, {1, 0, .10}, {1, 60 * time.Second, 1}, {1, time.Hour, 1}} {
		h, w := slowed(t, func(s *balance.SlowStart) { s.Aggression = c.aggression })
		h.now = time.Hour
		h.to()
		require.True(t, w.uniform, "nobody is new")
		h.member(balance.ChangeAdded, 1, 1)
		h.now += c.age
		h.to()
		require.InDelta(t, c.want, w.weights[1], 1e-9, "aggression %v, %v", c.aggression, c.age)
		require.InDelta(t, 1, w.weights[0], 1e-9)
	}
}

func TestSlowStartOfAllCancels(t *testing.T) {
	t.Parallel()
	h, w := slowed(t, nil)
	h.now = time.Second
	h.to()
	require.True(t, w.uniform, "all replicas are of one age")
	h.now = 30 * time.Second
	h.member(balance.ChangeAdded, 1, 1)
	h.to()
	require.InDelta(t, .5/.1, w.weights[0]/w.weights[1], 1e-9, "an older one is half-way, a new one at its least")
}

// A replica that has become healthy again is new, too; one that drains is not.
func TestSlowStartAfterSickness(t *testing.T) {
	t.Parallel()
	h, w := slowed(t, nil)
	h.now = time.Hour
	require.Zero(t, h.to())
	h.end(0, policies.Refused) // down here until the wake
	h.wake()
	h.to()
	require.InDelta(t, .1, w.weights[0], 1e-9)
	h.member(balance.ChangeDraining, 2, 0)
	h.to()
	require.InDelta(t, 1, w.weights[1], 1e-9)
}

func TestSlowStartOff(t *testing.T) {
	t.Parallel()
	h, w := slowed(t, func(s *balance.SlowStart) { s.Window = 0 })
	h.member(balance.ChangeAdded, 1, 1)
	h.to()
	require.InDelta(t, 1, w.weights[1], 1e-9)
}
