package balance_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
)

// aim sends requests to chosen replicas.
type aim struct {
	at      uint32
	changes []balance.Change
	fleet   []int // eligible replicas at the last pick
}

func (a *aim) Pick(env *balance.Env, _ *policies.Request) balance.Choice {
	a.fleet = a.fleet[:0]
	for i := range env.Fleet.Len() {
		a.fleet = append(a.fleet, int(env.Fleet.Ref(i).ID))
	}
	if i := env.Fleet.Index(policies.Ref{ID: a.at}); i >= 0 {
		return balance.To(env.Fleet.Ref(i))
	}
	return balance.None()
}

func (a *aim) Changed(_ *balance.Env, c *balance.Change) { a.changes = append(a.changes, *c) }

// fire sends a request to a replica, which ends with an outcome; it tells whether the
// replica was eligible.
func (h *bench) fire(a *aim, id uint32, o policies.Outcome) bool {
	a.at = id
	if h.to() < 0 {
		return false
	}
	h.end(h.next-1, o)
	return true
}

func aimed(t *testing.T, n int, change func(o *balance.Outlier)) (*bench, *aim) {
	t.Helper()
	a := &aim{}
	return newBench(t, proto("outlier", func(o *balance.Outlier) {
		o.Wrap(a)
		if change != nil {
			change(o)
		}
	}), table(n), nil), a
}

func TestOutlierErrorsInARow(t *testing.T) {
	t.Parallel()
	h, a := aimed(t, 10, nil)
	for range 4 {
		require.True(t, h.fire(a, 3, policies.HTTP503))
	}
	require.True(t, h.fire(a, 3, policies.OK), "a success in between")
	for range 5 {
		require.True(t, h.fire(a, 3, policies.HTTP503))
	}
	require.False(t, h.fire(a, 3, policies.OK), "the fifth in a row")
	require.Len(t, a.fleet, 9)
	require.Equal(t, []balance.Change{{Kind: balance.ChangeReset}, {Kind: balance.ChangeRemoved, Ref: policies.Ref{ID: 3}}}, a.changes,
		"the balancer inside forgets it")
	for range 5 {
		require.True(t, h.fire(a, 4, policies.HTTP5xx))
	}
	require.True(t, h.fire(a, 4, policies.OK), "only one of ten may be out")

	h.now = 30*time.Second - 1
	require.False(t, h.fire(a, 3, policies.OK))
	h.now++
	require.True(t, h.fire(a, 3, policies.OK), "after 30 s")
	require.Equal(t, balance.ChangeAdded, a.changes[len(a.changes)-1].Kind)
}

// The k-th ejection lasts k times as long, up to a cap; a quiet interval takes one off.
func TestOutlierEjectionsGrow(t *testing.T) {
	t.Parallel()
	h, a := aimed(t, 4, func(o *balance.Outlier) { o.EjectionCap = 80 * time.Second; o.Interval = time.Hour })
	for _, want := range []time.Duration{30 * time.Second, 60 * time.Second, 80 * time.Second, 80 * time.Second} {
		for range 5 {
			require.True(t, h.fire(a, 1, policies.HTTP503))
		}
		h.now += want - 1
		require.False(t, h.fire(a, 1, policies.OK))
		h.now++
		require.True(t, h.fire(a, 1, policies.OK))
	}
}

func TestOutlierQuietIntervals(t *testing.T) {
	t.Parallel()
	h, a := aimed(t, 4, nil)
	eject := func() {
		for range 5 {
			require.True(t, h.fire(a, 1, policies.HTTP503))
		}
	}
	eject()
	h.now += 30 * time.Second
	for range 6 {
		require.True(t, h.fire(a, 1, policies.OK))
		h.now += 10 * time.Second
	}
	eject()
	h.now += 30 * time.Second
	require.True(t, h.fire(a, 1, policies.OK), "the first ejection is forgotten: 30 s again")
}

func TestOutlierShares(t *testing.T) {
	t.Parallel()
	volley := func(h *bench, a *aim, n, volume int, sick uint32, every int) {
		for k := range volume {
			for id := range uint32(n) {
				o := policies.OK
				if id == sick && k%every == 0 {
					o = policies.HTTP5xx
				}
				require.True(t, h.fire(a, id, o))
			}
		}
		h.now += 10 * time.Second
	}
	h, a := aimed(t, 6, func(o *balance.Outlier) { o.Consecutive = 0 })
	volley(h, a, 6, 1, 9, 1) // begins the first interval
	volley(h, a, 6, 100, 2, 4)
	require.False(t, h.fire(a, 2, policies.OK), "75% of success among 100%: beyond 1.9 standard deviations")

	h, a = aimed(t, 4, func(o *balance.Outlier) { o.Consecutive = 0 })
	volley(h, a, 4, 1, 9, 1)
	volley(h, a, 4, 100, 2, 4)
	require.True(t, h.fire(a, 2, policies.OK), "four replicas are too few for a deviation")
	volley(h, a, 4, 49, 2, 1)
	require.False(t, h.fire(a, 2, policies.OK), "50 failures of 50 are an outlier among any number")
	require.True(t, h.fire(a, 1, policies.OK))
}

func TestOutlierForgetsARestartedReplica(t *testing.T) {
	t.Parallel()
	h, a := aimed(t, 4, nil)
	for range 5 {
		h.fire(a, 1, policies.HTTP503)
	}
	require.False(t, h.fire(a, 1, policies.OK))
	h.member(balance.ChangeAdded, 1, 1)
	a.at = 0
	h.to()
	require.Len(t, a.fleet, 4, "a new life is a new chance")
}

// Requests' own faults do not speak against a replica.
func TestOutlierIgnoresTheClientsFaults(t *testing.T) {
	t.Parallel()
	h, a := aimed(t, 4, nil)
	for _, o := range []policies.Outcome{policies.HTTP4xx, policies.TooLong, policies.Cancelled} {
		for range 10 {
			require.True(t, h.fire(a, 1, o))
		}
	}
	require.True(t, h.fire(a, 1, policies.OK))
}
