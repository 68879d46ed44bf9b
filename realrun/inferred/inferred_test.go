package inferred

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
)

// bench is a half whose front end keeps what it hears.
type bench struct {
	*Half
	now   time.Duration
	heard []policies.Ref
	wakes []func()
}

func benched(table *balance.Table, tape *flow.Tape) *bench {
	b := &bench{}
	b.Half = New(Config{Name: "main", Table: table, Seed: 7, Make: jiq, Now: func() time.Duration { return b.now },
		Hear: func(from policies.Ref, _ balance.Msg) { b.heard = append(b.heard, from) },
		Wake: func(_ time.Duration, do func()) { b.wakes = append(b.wakes, do) }}, tape, func(*flow.Tape) {})
	return b
}

func jiq() balance.Balancer {
	return &balance.JIQ{Reporting: "random", DispatcherSample: "distinct", Fallback: "random", Pop: "fifo"}
}

// take is what was heard since the last time.
func (b *bench) take() []policies.Ref {
	out := b.heard
	b.heard = nil
	return out
}

var first = []policies.Ref{{ID: 0}, {ID: 1}}

// A replica is idle at its start, and when the last of its attempts has ended; one of
// an earlier life counts for nothing.
func TestIdleness(t *testing.T) {
	t.Parallel()
	b := benched(&balance.Table{N: 2, Slots: []int32{1, 2}}, nil)
	b.Start(first)
	require.Equal(t, first, b.take())
	r := first[0]
	b.Accepted(r, 1)
	b.Accepted(r, 2)
	b.Finished(r, 1)
	require.Empty(t, b.take(), "one is still inside")
	load, ok := b.Load(r)
	require.True(t, ok)
	require.Equal(t, balance.Load{Running: 1, Slots: 1}, load)
	b.Finished(r, 2)
	require.Equal(t, []policies.Ref{r}, b.take())

	b.Accepted(r, 3)
	next := policies.Ref{ID: 0, Inc: 1}
	b.Restarted(next)
	require.Equal(t, []policies.Ref{next}, b.take())
	_, ok = b.Load(r)
	require.False(t, ok, "that life is over")
	b.Accepted(next, 4)
	b.Finished(r, 3)
	require.Empty(t, b.take(), "it was the earlier life's")
	b.Finished(next, 4)
	require.Equal(t, []policies.Ref{next}, b.take())

	multi := first[1] // of two slots one is free
	b.Accepted(multi, 5)
	b.Accepted(multi, 6)
	b.take()
	b.Finished(multi, 5)
	require.Equal(t, []policies.Ref{multi}, b.take())
}

// A fresh half knows who is busy, and has a tape that begins with it.
func TestRenew(t *testing.T) {
	t.Parallel()
	old, tape := &flow.Tape{}, &flow.Tape{}
	table := &balance.Table{N: 2}
	b := benched(table, old)
	b.Start(first)
	b.Accepted(first[0], 1)
	b.take()
	b.now = time.Second
	b.Renew(first, tape, func(*flow.Tape) {})
	require.Equal(t, first[1:], b.take(), "the other has an attempt inside")
	require.Same(t, tape, b.Tape())
	b.Finished(first[0], 1)
	require.Equal(t, first[:1], b.take())
	for _, x := range []*flow.Tape{old, tape} {
		dice := make([]rand.PCG, table.N)
		for r := range dice {
			dice[r] = chance.Stream(7, "reporter/main/"+string(rune('0'+r)))
		}
		res, err := flow.Replay(bytes.Clone(x.Bytes()), flow.Replayed{Replicas: flow.NewReplicas(jiq(), 0, 1, dice, nil)})
		require.NoError(t, err)
		require.Nil(t, res.First)
		require.Positive(t, res.Calls)
	}
}
