package balance_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/flow"
)

// proto is a catalogue prototype, changed.
func proto[T balance.Balancer](name string, change func(b T)) T {
	e, _ := balance.Catalog().Find("balance", name)
	b, _ := e.New().(T)
	change(b)
	return b
}

// answer ends attempt n of a request.
func (h *bench) answer(req uint64, n uint8, o policies.Outcome) {
	a, ok := h.slot[req]
	require.True(h.t, ok)
	h.out.Reset()
	h.fe.Ended(h.now, &flow.End{Slot: a.Slot, N: n, Outcome: o}, &h.out)
}

// kinds lists what the last input asked for.
func (h *bench) kinds() []flow.ActionKind {
	var out []flow.ActionKind
	for _, a := range h.out.List {
		out = append(out, a.Kind)
	}
	return out
}

func TestRetryGoesElsewhere(t *testing.T) {
	t.Parallel()
	h := newBench(t, proto("retry", func(r *balance.Retry) { r.Budget, r.Max = 4, 3 }), table(3), nil)
	first := h.to()
	h.end(0, policies.HTTP503)
	require.Equal(t, []flow.ActionKind{flow.ActWake}, h.kinds())
	require.LessOrEqual(t, h.out.List[0].At, h.now+25*time.Millisecond)
	h.wake()
	second := h.sent()
	require.NotEqual(t, first, second)
	h.answer(0, 1, policies.QueueFull)
	require.LessOrEqual(t, h.out.List[0].At, h.now+50*time.Millisecond, "twice the back-off")
	h.wake()
	require.Equal(t, 3-first-second, h.sent(), "the replica not tried yet")
	h.answer(0, 2, policies.HTTP429)
	require.Equal(t, []policies.Outcome{policies.HTTP429}, h.closed(), "max is reached: the class of the last")
}

func TestRetryLeavesTheRestAlone(t *testing.T) {
	t.Parallel()
	for _, o := range []policies.Outcome{policies.OK, policies.HTTP5xx, policies.TooLong, policies.Cancelled} {
		h := newBench(t, proto("retry", func(r *balance.Retry) { r.Budget = 1 }), table(3), nil)
		h.to()
		h.end(0, o)
		require.Equal(t, []policies.Outcome{o}, h.closed())
	}
	h := newBench(t, proto("retry", func(r *balance.Retry) { r.Budget = 1 }), table(3), nil)
	h.to()
	a := h.slot[0]
	h.fe.FirstByte(h.now, a.Slot, 0, &h.out)
	h.end(0, policies.Reset)
	require.Equal(t, []policies.Outcome{policies.Reset}, h.closed(), "the client has seen a byte")

	h.out.Reset()
	h.fe.Arrive(h.now, &policies.Request{ID: 7, Deadline: 1}, &h.out)
	h.sent()
	h.now = 2
	h.end(7, policies.HTTP503)
	require.Equal(t, []policies.Outcome{policies.HTTP503}, h.closed(), "its deadline has passed")
}

// Nothing left outside the excluded: they are cleared, and a lone replica is retried.
func TestRetryClearsTheExcluded(t *testing.T) {
	t.Parallel()
	h := newBench(t, proto("retry", func(r *balance.Retry) { r.Budget, r.Max, r.Backoff = 4, 5, 0 }), table(2), nil)
	first := h.to()
	h.end(0, policies.HTTP503)
	h.wake()
	require.Equal(t, 1-first, h.sent())
	h.answer(0, 1, policies.HTTP503)
	h.wake()
	third := h.sent()
	require.GreaterOrEqual(t, third, 0)
	h.answer(0, 2, policies.HTTP503)
	h.wake()
	require.Equal(t, 1-third, h.sent(), "after the clearing, only what was tried since is excluded")
	h.answer(0, 3, policies.OK)
	require.Equal(t, []policies.Outcome{policies.OK}, h.closed())

	lone := newBench(t, proto("retry", func(r *balance.Retry) {
		r.Budget = 1
		r.Wrap(&balance.P2C{Choices: 2, Load: "probed", ProbeTimeout: 1})
	}), table(1), nil)
	for range 2 {
		if lone.next == 0 {
			lone.to()
		}
		probe := lone.out.List[0]
		require.Equal(t, flow.ActProbe, probe.Kind)
		lone.out.Reset()
		lone.fe.Replied(lone.now, 0, balance.ProbeID(probe.Arg), probe.Ref, balance.Load{}, &lone.out)
		require.Zero(t, lone.sent())
		if lone.slot[0].N == 0 {
			lone.end(0, policies.HTTP503)
			lone.wake()
		}
	}
	lone.end(0, policies.OK)
	require.Equal(t, []policies.Outcome{policies.OK}, lone.closed())
}

func TestRetryBudget(t *testing.T) {
	t.Parallel()
	h := newBench(t, proto("retry", func(r *balance.Retry) { r.Backoff = 0 }), table(3), nil)
	retries := 0
	for i := range 100 {
		h.to()
		h.end(h.next-1, policies.HTTP503)
		if len(h.closed()) > 0 {
			continue
		}
		require.Equal(t, 9, i%10, "ten first attempts pay for one retry")
		retries++
		h.wake()
		h.answer(h.next-1, 1, policies.OK)
	}
	require.Equal(t, 10, retries)
	for range 1000 { // at most ten tokens are saved up
		h.to()
		h.end(h.next-1, policies.OK)
	}
	retries = 0
	for range 9 { // less than one token is earned on the way
		h.to()
		h.end(h.next-1, policies.HTTP503)
		if len(h.closed()) == 0 {
			retries++
		}
	}
	require.Equal(t, 9, retries)
	for range 3 {
		h.to()
		h.end(h.next-1, policies.HTTP503)
		if len(h.closed()) == 0 {
			retries++
		}
	}
	require.LessOrEqual(t, retries, 11)
}

func TestRetryWhoseClientLeaves(t *testing.T) {
	t.Parallel()
	h := newBench(t, proto("retry", func(r *balance.Retry) { r.Budget = 1 }), table(3), nil)
	h.to()
	h.end(0, policies.HTTP503)
	wake := h.out.List[0]
	h.out.Reset()
	h.fe.Gone(h.now, h.slot[0].Slot, policies.Cancelled, &h.out)
	require.Equal(t, []policies.Outcome{policies.Cancelled}, h.closed())
	h.out.Reset()
	h.now = wake.At
	h.fe.Woke(h.now, 0, wake.Arg, &h.out)
	require.Empty(t, h.kinds())

	h.to() // it leaves while its attempt is out
	h.out.Reset()
	h.fe.Gone(h.now, h.slot[1].Slot, policies.DeadlineHit, &h.out)
	h.end(1, policies.HTTP503)
	require.Contains(t, h.closed(), policies.DeadlineHit, "nobody waits for a retry")
}

// A balancer inside that sheds ends the request.
func TestRetryIsShed(t *testing.T) {
	t.Parallel()
	picks := 0
	h := newBench(t, proto("retry", func(r *balance.Retry) {
		r.Budget = 1
		r.Wrap(pickFunc(func(env *balance.Env, _ *policies.Request) balance.Choice {
			if picks++; picks > 1 {
				return balance.Shed(balance.ReasonPolicy)
			}
			return balance.To(env.Fleet.Ref(0))
		}))
	}), table(3), nil)
	h.to()
	h.end(0, policies.HTTP503)
	h.wake()
	require.Equal(t, []policies.Outcome{policies.Shed}, h.closed())
}

type pickFunc func(*balance.Env, *policies.Request) balance.Choice

func (p pickFunc) Pick(e *balance.Env, r *policies.Request) balance.Choice { return p(e, r) }
