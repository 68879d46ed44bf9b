package flow_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/flow"
)

func TestProbe(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) (r *rig, p *puppet, log *[]string, wake, probe flow.Action) {
		t.Helper()
		p, log = &puppet{pick: always(0)}, new([]string)
		r = newRig(t, p, 2, nil)
		r.arrive(0)
		p.replied = func(env *balance.Env, q balance.Reply) {
			l, _, ok := env.Fleet.Heard(1)
			require.True(t, ok, "folded before the call")
			require.Equal(t, q.Load, l)
			*log = append(*log, "replied")
		}
		p.lost = func(*balance.Env, balance.ProbeID) { *log = append(*log, "lost") }
		r.out.Reset()
		id := p.env.Probe(ref(1, 0), 20*time.Millisecond)
		probe, wake = r.only(flow.ActProbe), r.only(flow.ActWake)
		require.EqualValues(t, id, probe.Arg)
		require.Equal(t, 20*time.Millisecond, wake.At)
		require.EqualValues(t, 2, r.Counters().Probe, "there and back")
		return r, p, log, wake, probe
	}
	reply := func(r *rig, probe flow.Action) {
		r.Replied(r.now, 0, balance.ProbeID(probe.Arg), probe.Ref, balance.Load{Running: 3}, &r.out)
	}
	t.Run("answered in time", func(t *testing.T) {
		t.Parallel()
		r, _, log, wake, probe := start(t)
		reply(r, probe)
		r.wake(wake.Arg)
		reply(r, probe) // a double
		require.Equal(t, []string{"replied"}, *log)
	})
	t.Run("given up", func(t *testing.T) {
		t.Parallel()
		r, _, log, wake, probe := start(t)
		r.wake(wake.Arg)
		reply(r, probe) // late
		require.Equal(t, []string{"lost"}, *log)
		_, _, ok := r.Fleet(0).Heard(1)
		require.False(t, ok, "a late answer is not even folded")
	})
	t.Run("many at a time", func(t *testing.T) {
		t.Parallel()
		r, p, log, _, probe := start(t)
		var all []flow.Action
		for range 100 {
			r.out.Reset()
			p.env.Probe(ref(1, 0), time.Second)
			all = append(all, r.only(flow.ActProbe))
		}
		for i := range all {
			reply(r, all[(i*37)%100])
		}
		reply(r, probe)
		require.Len(t, *log, 101)
	})
	t.Run("a request that waits for a probe is not stuck", func(t *testing.T) {
		t.Parallel()
		r, p, _, wake, _ := start(t)
		p.pick = later
		r.end(0, 0, policies.OK)
		s := r.arrive(9)
		require.False(t, r.Stuck(s))
		r.wake(wake.Arg)
		require.True(t, r.Stuck(s))
	})
}

func TestProbeAll(t *testing.T) {
	t.Parallel()
	p := &puppet{pick: always(0)}
	r := newRig(t, p, 4, nil)
	r.arrive(0)
	r.Membership(0, 0, balance.Change{Kind: balance.ChangeRemoved, Ref: ref(2, 0)}, &r.out)
	var boards [][]balance.BoardRow
	p.board = func(_ *balance.Env, rows []balance.BoardRow) {
		boards = append(boards, append([]balance.BoardRow(nil), rows...))
	}
	ask := func() (probes []flow.Action, wake uint64) {
		r.out.Reset()
		p.env.ProbeAll(time.Second)
		for _, a := range r.out.List {
			if a.Kind == flow.ActProbe {
				probes = append(probes, a)
			}
		}
		return probes, r.only(flow.ActWake).Arg
	}
	answer := func(a flow.Action) {
		r.Replied(0, 0, balance.ProbeID(a.Arg), a.Ref, balance.Load{Queued: int32(a.Ref.ID)}, &r.out)
	}
	row := func(id uint32, ok bool) balance.BoardRow {
		b := balance.BoardRow{Ref: ref(id, 0), OK: ok}
		if ok {
			b.Load.Queued = int32(id)
		}
		return b
	}
	first, wake := ask()
	require.Len(t, first, 3, "all that are known")
	for _, i := range []int{2, 0, 1} {
		require.Empty(t, boards)
		answer(first[i])
	}
	require.Equal(t, [][]balance.BoardRow{{row(0, true), row(1, true), row(3, true)}}, boards)
	r.wake(wake)
	require.Len(t, boards, 1, "complete before")

	second, wake2 := ask()
	third, wake3 := ask() // a second round under way
	answer(second[1])
	answer(third[0])
	r.wake(wake2)
	require.Equal(t, []balance.BoardRow{row(0, false), row(1, true), row(3, false)}, boards[1])
	answer(second[0]) // late: its round is over
	r.wake(wake3)
	require.Equal(t, []balance.BoardRow{row(0, true), row(1, false), row(3, false)}, boards[2])
	require.Len(t, boards, 3)
}
