package balance_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/flow"
)

func hedge(change func(h *balance.Hedge)) *balance.Hedge {
	return proto("hedge", func(h *balance.Hedge) {
		h.Delay, h.Budget = "50ms", 1
		if change != nil {
			change(h)
		}
	})
}

func TestHedgeSendsACopyElsewhere(t *testing.T) {
	t.Parallel()
	for mode, cancel := range map[string]balance.CancelMode{"none": balance.CancelNone, "queued": balance.CancelQueued, "running": balance.CancelRunning} {
		h := newBench(t, hedge(func(h *balance.Hedge) { h.Cancel = mode }), table(2), nil)
		first := h.to()
		h.wake()
		require.Equal(t, 50*time.Millisecond, h.now)
		require.Equal(t, 1-first, h.sent())
		h.answer(0, 1, policies.OK)
		require.Empty(t, h.closed(), "the other is still out")
		if cancel == balance.CancelNone {
			require.Empty(t, h.kinds())
		} else {
			require.Equal(t, []flow.ActionKind{flow.ActCancel}, h.kinds())
			require.EqualValues(t, 0, h.out.List[0].N)
			require.EqualValues(t, cancel, h.out.List[0].Arg)
		}
		h.answer(0, 0, policies.Cancelled)
		require.Equal(t, []policies.Outcome{policies.OK}, h.closed())
	}
}

func TestHedgeOfOneReplicaIsNever(t *testing.T) {
	t.Parallel()
	h := newBench(t, hedge(nil), table(1), nil)
	h.to()
	h.wake()
	require.Empty(t, h.kinds())
}

func TestHedgeAfterTheAnswerIsNever(t *testing.T) {
	t.Parallel()
	h := newBench(t, hedge(nil), table(4), nil)
	h.to()
	wake := h.out.List
	h.end(0, policies.OK)
	require.Equal(t, []policies.Outcome{policies.OK}, h.closed())
	h.now = time.Second
	for _, a := range wake {
		if a.Kind == flow.ActWake {
			h.fe.Woke(h.now, 0, a.Arg, &h.out)
		}
	}
	require.NotContains(t, h.kinds(), flow.ActSend)
}

func TestHedgeMax(t *testing.T) {
	t.Parallel()
	h := newBench(t, hedge(func(h *balance.Hedge) { h.Max, h.Budget = 3, 4 }), table(5), nil)
	tried := []int{h.to()}
	for range 2 {
		h.wake()
		require.NotContains(t, tried, h.sent())
		tried = append(tried, h.sent())
	}
	require.NotContains(t, h.kinds(), flow.ActWake, "three attempts are all")
}

func TestHedgeBudget(t *testing.T) {
	t.Parallel()
	h := newBench(t, hedge(func(h *balance.Hedge) { h.Budget = .05 }), table(4), nil)
	hedges := 0
	for range 400 {
		h.to()
		h.wake()
		if h.sent() >= 0 {
			hedges++
			h.answer(h.next-1, 1, policies.OK)
		}
		h.answer(h.next-1, 0, policies.OK)
	}
	require.Equal(t, 20, hedges, "one in twenty")
}

// The delay is the percentile of the last window: none in the first one, and it
// follows a slow-down after one window.
func TestHedgeQuantile(t *testing.T) {
	t.Parallel()
	h := newBench(t, hedge(func(h *balance.Hedge) { h.Delay = "p50" }), table(2), nil)
	serve := func(latency time.Duration) (wait time.Duration) {
		h.to()
		sent := h.now
		for _, a := range h.out.List {
			if a.Kind == flow.ActWake {
				wait = a.At - h.now
			}
		}
		h.now += latency
		h.end(h.next-1, policies.OK)
		h.now = sent + 100*time.Millisecond
		return wait
	}
	for range 100 {
		require.Zero(t, serve(10*time.Millisecond), "nothing is known in the first window")
	}
	require.InEpsilon(t, 10*time.Millisecond, serve(40*time.Millisecond), .04)
	for range 99 {
		require.InEpsilon(t, 10*time.Millisecond, serve(40*time.Millisecond), .04)
	}
	require.InEpsilon(t, 40*time.Millisecond, serve(time.Millisecond), .04, "recovered after one window")
	h.now += time.Hour
	require.InEpsilon(t, 40*time.Millisecond, serve(time.Millisecond), .04, "a window with few answers does not count")
}

// A copy whose pick takes time is dropped when the answer comes first.
func TestHedgeOfALateDecision(t *testing.T) {
	t.Parallel()
	probed := func() *bench {
		b := hedge(func(h *balance.Hedge) {
			h.Wrap(&balance.P2C{Choices: 1, Load: "probed", ProbeTimeout: 10 * time.Millisecond})
		})
		return newBench(t, b, table(2), nil)
	}
	reply := func(h *bench) int {
		p := h.out.List[0]
		require.Equal(t, flow.ActProbe, p.Kind)
		h.out.Reset()
		h.fe.Replied(h.now, 0, balance.ProbeID(p.Arg), p.Ref, balance.Load{}, &h.out)
		return h.sent()
	}
	h := probed()
	require.Equal(t, -1, h.to())
	first := reply(h)
	h.wake()
	require.Equal(t, 1-first, reply(h), "the probe's answer brings the copy")

	h = probed()
	h.to()
	reply(h)
	h.wake()
	probe := h.out.List[0]
	h.answer(0, 0, policies.OK)
	require.Equal(t, []policies.Outcome{policies.OK}, h.closed())
	h.out.Reset()
	h.fe.Replied(h.now, 0, balance.ProbeID(probe.Arg), probe.Ref, balance.Load{}, &h.out)
	require.Empty(t, h.kinds(), "nobody needs the copy any more")
}

// A client that has left wants no copy.
func TestHedgeWhoseClientLeaves(t *testing.T) {
	t.Parallel()
	h := newBench(t, hedge(nil), table(3), nil)
	h.to()
	wake := h.out.List[len(h.out.List)-1]
	if wake.Kind != flow.ActWake {
		wake = h.out.List[0]
	}
	require.Equal(t, flow.ActWake, wake.Kind)
	h.out.Reset()
	h.fe.Gone(h.now, h.slot[0].Slot, policies.Cancelled, &h.out)
	require.Equal(t, []flow.ActionKind{flow.ActCancel}, h.kinds())
	h.out.Reset()
	h.now = wake.At
	h.fe.Woke(h.now, 0, wake.Arg, &h.out)
	require.Empty(t, h.kinds())
	h.answer(0, 0, policies.Cancelled)
	require.Equal(t, []policies.Outcome{policies.Cancelled}, h.closed())
}

// An oracle inside sees the columns of the view it is shown.
func TestDecoratedOracleSeesItsView(t *testing.T) {
	t.Parallel()
	truth := &lens{by: []uint16{0, 3, 1, 2}}
	h := newBench(t, proto("retry", func(r *balance.Retry) { r.Wrap(&balance.JSQ{InTransit: true}); r.Max, r.Budget = 4, 4 }), table(4), truth)
	require.Equal(t, 0, h.to())
	for k, want := range []int{2, 3, 1} {
		h.answer(0, uint8(k), policies.HTTP503)
		h.wake()
		require.Equal(t, want, h.sent(), "the shortest of those not tried")
	}
}

// lens are true lengths by ID, shown as the view that is looked at.
type lens struct {
	fixedTruth
	by []uint16
	f  *balance.Fleet
}

func (l *lens) Look(f *balance.Fleet) { l.f = f }

func (l *lens) Lens() []uint16 {
	var out []uint16
	for i := range l.f.Len() {
		out = append(out, l.by[l.f.Ref(i).ID])
	}
	return out
}

func (l *lens) InTransit() []uint16 { return make([]uint16, l.f.Len()) }

func TestHedgeDelayIsChecked(t *testing.T) {
	t.Parallel()
	for text, ok := range map[string]bool{"p95": true, "p99.9": true, "p1": true, "50ms": true, "1m": true,
		"p0": false, "p100": false, "p": false, "p1m5": false, "p-5": false, "95": false, "0s": false, "-1s": false, "": false, "soon": false} {
		got := hedge(func(h *balance.Hedge) { h.Delay = text }).Check()
		require.Equal(t, ok, len(got) == 0, text)
		if !ok {
			require.Equal(t, "delay", got[0].Path)
			require.NotEmpty(t, got[0].Hint)
		}
	}
}
