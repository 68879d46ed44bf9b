package balance_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
)

// Ten replicas: five available are no panic, four are one.
func TestPanicThreshold(t *testing.T) {
	t.Parallel()
	a := &aim{}
	h := newBench(t, proto("panic", func(p *balance.Panic) { p.Wrap(a) }), table(10), nil)
	seen := func() int { h.to(); return len(a.fleet) }
	require.Equal(t, 10, seen())
	for id := range uint32(5) { // refused: down here, since detection is by resets
		require.True(t, h.fire(a, 9-id, policies.Refused))
	}
	require.Equal(t, 5, seen())
	require.True(t, h.fire(a, 0, policies.Refused))
	require.Equal(t, 10, seen(), "four of ten")
	require.True(t, h.fire(a, 9, policies.OK), "a down replica is a candidate")
}

// Draining and removed replicas are neither available nor missing, and no candidates.
func TestPanicCountsMembers(t *testing.T) {
	t.Parallel()
	a := &aim{}
	h := newBench(t, proto("panic", func(p *balance.Panic) { p.Wrap(a) }), table(10), nil)
	for id := range uint32(6) {
		h.member([]balance.ChangeKind{balance.ChangeDraining, balance.ChangeRemoved}[id%2], id, 0)
	}
	h.to()
	require.Len(t, a.fleet, 4, "four of four are available")
	for _, id := range []uint32{6, 7, 8} {
		h.fire(a, id, policies.Refused)
	}
	h.to()
	require.ElementsMatch(t, []int{6, 7, 8, 9}, a.fleet)
}

// What an outlier has ejected counts as missing; what a request has tried does not,
// and stays excluded in a panic.
func TestPanicInsideOthers(t *testing.T) {
	t.Parallel()
	a := &aim{}
	panics := proto("panic", func(p *balance.Panic) { p.Wrap(a) })
	outlier := proto("outlier", func(o *balance.Outlier) { o.Wrap(panics); o.MaxEjected = 1; o.Consecutive = 1 })
	retry := proto("retry", func(r *balance.Retry) { r.Wrap(outlier); r.Max, r.Budget = 3, 4 })
	h := newBench(t, retry, table(4), nil)
	for _, id := range []uint32{0, 1} {
		require.True(t, h.fire(a, id, policies.HTTP5xx))
	}
	a.at = 2
	require.Equal(t, 2, h.to(), "two of four are no panic")
	require.Len(t, a.fleet, 2)
	h.end(h.next-1, policies.HTTP503) // the third of four is ejected, and tried
	a.at = 3
	h.wake()
	require.Equal(t, 3, h.sent())
	require.ElementsMatch(t, []int{0, 1, 3}, a.fleet, "a panic, without the one tried")
}

func TestPanicDegraded(t *testing.T) {
	t.Parallel()
	for _, threshold := range []float64{0, 1} {
		a := &aim{}
		h := newBench(t, proto("panic", func(p *balance.Panic) { p.Wrap(a); p.Threshold = threshold }), table(2), nil)
		h.fire(a, 0, policies.Reset)
		h.to()
		require.Len(t, a.fleet, 1+int(threshold), "0 is off, 1 widens as soon as one is missing")
	}
}
