package flow_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/flow"
)

func TestPlainRequest(t *testing.T) {
	t.Parallel()
	p := &puppet{pick: always(1)}
	r := newRig(t, p, 3, nil)
	require.Equal(t, []balance.Change{{Kind: balance.ChangeReset}}, p.changes)
	r.now = time.Second
	s := r.arrive(40)
	send := r.only(flow.ActSend)
	require.Equal(t, flow.Action{Kind: flow.ActSend, Slot: s, Req: 40, Ref: ref(1, 0)}, send)
	require.Equal(t, []balance.Attempt{{Req: 40, Ref: ref(1, 0)}}, p.sent)
	require.Equal(t, 1, r.Fleet(0).Outstanding(1))
	require.EqualValues(t, 40, p.env.Request(40).ID, "open requests are lent")
	r.now = 2 * time.Second
	r.out.Reset()
	r.FirstByte(r.now, s, 0, &r.out)
	require.Equal(t, []balance.Attempt{{Req: 40, Ref: ref(1, 0), Elapsed: time.Second}}, p.firsts)
	r.now = 3 * time.Second
	r.out.Reset()
	r.Ended(r.now, &flow.End{Slot: s, Outcome: policies.OK, ServerTime: 5, Told: true, Load: balance.Load{Running: 9}}, &r.out)
	require.Equal(t, []balance.Done{{Attempt: balance.Attempt{Req: 40, Ref: ref(1, 0), Elapsed: 2 * time.Second}, ServerTime: 5, Told: true}}, p.ends)
	r.closed(policies.OK, 0)
	l, at, ok := r.Fleet(0).Heard(1)
	require.True(t, ok)
	require.Equal(t, int32(9), l.Running)
	require.Equal(t, 3*time.Second, at)
	require.Zero(t, r.Open())
	require.Nil(t, p.env.Request(40), "closed ones are not")
}

func TestChoicesClose(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		choice balance.Choice
		class  policies.Outcome
	}{{balance.None(), policies.NoReplica}, {balance.Shed(balance.ReasonOverload), policies.Shed}} {
		t.Run(c.class.String(), func(t *testing.T) {
			t.Parallel()
			p := &puppet{pick: func(*balance.Env, *policies.Request) balance.Choice { return c.choice }}
			r := newRig(t, p, 2, nil)
			r.arrive(0)
			r.closed(c.class, 0)
			p.pick = later
			r.arrive(1)
			require.Empty(t, r.kinds())
			p.woke = func(env *balance.Env, _ uint64) { env.Resolve(1, c.choice) }
			r.wake(0)
			r.closed(c.class, 0)
			p.pick = always(0)
			s := r.arrive(2)
			p.ended = func(env *balance.Env, _ balance.Done) { env.Retry(2, c.choice) }
			r.end(s, 0, policies.Reset)
			r.closed(c.class, 0)
			require.Zero(t, r.Open())
		})
	}
}

func TestLaterAndResolve(t *testing.T) {
	t.Parallel()
	p := &puppet{pick: later}
	r := newRig(t, p, 2, nil)
	s := r.arrive(7)
	require.True(t, r.Stuck(s), "nothing is under way that could bring a decision")
	p.env.Wake(time.Second, 5)
	require.False(t, r.Stuck(s))
	require.Equal(t, uint64(5), r.only(flow.ActWake).Arg)
	p.woke = func(env *balance.Env, token uint64) {
		require.EqualValues(t, 5, token)
		env.Resolve(7, balance.To(ref(1, 0)))
	}
	r.now = time.Second
	r.wake(5)
	require.Equal(t, ref(1, 0), r.only(flow.ActSend).Ref)
	require.False(t, r.Stuck(s))
	r.end(s, 0, policies.OK)
	r.closed(policies.OK, 0)
}

func TestSlotsAreReused(t *testing.T) {
	t.Parallel()
	r := newRig(t, &puppet{pick: always(0)}, 1, nil)
	a, b := r.arrive(1), r.arrive(2)
	require.NotEqual(t, a, b)
	r.end(a, 0, policies.OK)
	require.Equal(t, a, r.arrive(3))
	require.Equal(t, 2, r.Open())
}

func TestPolicyBugsStopTheRun(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		act  func(r *rig, p *puppet)
		want string
	}{
		"a second choice": {func(r *rig, p *puppet) {
			r.arrive(3)
			p.env.Resolve(3, balance.To(ref(0, 0)))
			p.env.Resolve(3, balance.To(ref(0, 0)))
		}, "resolved a request a second time (request 3, t=1s, tape record 2)"},
		"an unknown request": {func(r *rig, p *puppet) {
			r.arrive(3)
			p.env.Resolve(4, balance.None())
		}, "resolved a request that is not open (request 4, t=1s, tape record 2)"},
		"Later twice": {func(r *rig, p *puppet) {
			r.arrive(3)
			p.env.Resolve(3, balance.Later())
		}, "resolved a request with Later (request 3"},
		"an unknown replica": {func(r *rig, p *puppet) {
			p.pick = always(9)
			r.arrive(3)
		}, "chose replica 9.0, which is not a member (request 3"},
		"another life": {func(r *rig, p *puppet) {
			p.pick = func(*balance.Env, *policies.Request) balance.Choice { return balance.To(ref(0, 1)) }
			r.arrive(3)
		}, "chose replica 0.1, which is not a member"},
		"a retry out of turn": {func(r *rig, p *puppet) {
			p.pick = always(0)
			r.arrive(3)
			p.env.Retry(3, balance.To(ref(1, 0)))
		}, "retried a request outside its last Ended"},
		"two retries": {func(r *rig, p *puppet) {
			p.pick = always(0)
			s := r.arrive(3)
			p.ended = func(env *balance.Env, _ balance.Done) {
				env.Retry(3, balance.Later())
				env.Retry(3, balance.Later())
			}
			r.end(s, 0, policies.Reset)
		}, "retried a request outside its last Ended"},
		"a retry after success": {func(r *rig, p *puppet) {
			p.pick = always(0)
			s := r.arrive(3)
			p.ended = func(env *balance.Env, _ balance.Done) { env.Retry(3, balance.Later()) }
			r.end(s, 0, policies.OK)
		}, "retried a request outside its last Ended"},
		"a hedge of nothing": {func(r *rig, p *puppet) {
			r.arrive(3)
			p.env.Hedge(3, ref(0, 0), balance.CancelQueued)
		}, "hedged a request that has no attempt out"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &puppet{pick: later}
			r := newRig(t, p, 2, nil)
			r.now = time.Second
			defer func() {
				text := fmt.Sprint(recover())
				require.Contains(t, text, "flow: front end 0, service main: the balancer *flow_test.puppet ")
				require.Contains(t, text, c.want)
			}()
			c.act(r, p)
			t.Fatal("it went through")
		})
	}
}

func TestRetry(t *testing.T) {
	t.Parallel()
	t.Run("at once", func(t *testing.T) {
		t.Parallel()
		p := &puppet{pick: always(0)}
		r := newRig(t, p, 2, nil)
		s := r.arrive(5)
		p.ended = func(env *balance.Env, d balance.Done) {
			require.Equal(t, []policies.Ref{ref(0, 0)}, env.Exclude(env.Request(5)), "those tried")
			env.Retry(5, balance.To(ref(1, 0)))
			p.ended = nil
		}
		r.end(s, 0, policies.HTTP503)
		send := r.only(flow.ActSend)
		require.EqualValues(t, 1, send.N)
		require.Equal(t, ref(1, 0), send.Ref)
		require.Equal(t, 1, r.Open())
		r.now = time.Second
		r.end(s, 1, policies.OK)
		require.Equal(t, ref(1, 0), p.ends[1].Ref)
		require.Equal(t, time.Second, p.ends[1].Elapsed)
		r.closed(policies.OK, 1)
	})
	t.Run("after a while", func(t *testing.T) {
		t.Parallel()
		p := &puppet{pick: always(0)}
		r := newRig(t, p, 2, nil)
		s := r.arrive(5)
		p.ended = func(env *balance.Env, _ balance.Done) { env.Retry(5, balance.Later()) }
		r.end(s, 0, policies.HTTP503)
		require.Empty(t, r.kinds(), "open, and nothing out")
		require.Equal(t, 1, r.Open())
		p.ended = nil
		p.woke = func(env *balance.Env, _ uint64) { env.Resolve(5, balance.To(ref(0, 0))) }
		r.wake(1)
		r.end(s, 1, policies.Refused)
		r.closed(policies.Refused, 1)
	})
	t.Run("the client leaves in between", func(t *testing.T) {
		t.Parallel()
		p := &puppet{pick: always(0)}
		r := newRig(t, p, 2, nil)
		s := r.arrive(5)
		p.ended = func(env *balance.Env, _ balance.Done) { env.Retry(5, balance.Later()) }
		r.end(s, 0, policies.HTTP503)
		r.out.Reset()
		r.Gone(r.now, s, policies.DeadlineHit, &r.out)
		r.closed(policies.DeadlineHit, 0)
		require.Equal(t, []uint64{5}, p.gone)
		p.env.Resolve(5, balance.To(ref(0, 0))) // ignored
		require.Zero(t, r.Open())
		require.Panics(t, func() { p.env.Resolve(5, balance.To(ref(0, 0))) }, "but only once")
	})
}

func TestHedge(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) (*rig, *puppet, uint32) {
		t.Helper()
		p := &puppet{pick: always(0)}
		r := newRig(t, p, 3, nil)
		s := r.arrive(5)
		r.now = time.Second
		p.woke = func(env *balance.Env, _ uint64) { env.Hedge(5, ref(2, 0), balance.CancelQueued) }
		r.wake(1)
		require.EqualValues(t, 1, r.only(flow.ActSend).N)
		require.Equal(t, 2, r.Fleet(0).OutstandingSum())
		return r, p, s
	}
	t.Run("the first answer wins, the record closes with the last end", func(t *testing.T) {
		t.Parallel()
		r, p, s := start(t)
		p.ended = func(env *balance.Env, d balance.Done) { env.Cancel(5, 0, balance.CancelQueued) }
		r.end(s, 1, policies.OK)
		c := r.only(flow.ActCancel)
		require.Equal(t, flow.Action{Kind: flow.ActCancel, Slot: s, Req: 5, Ref: ref(0, 0), Arg: uint64(balance.CancelQueued)}, c)
		require.Equal(t, 1, r.Open())
		p.ended = nil
		r.end(s, 0, policies.Cancelled)
		r.closed(policies.OK, 1)
	})
	t.Run("one fails, the other answers", func(t *testing.T) {
		t.Parallel()
		r, p, s := start(t)
		p.ended = func(env *balance.Env, d balance.Done) {
			require.Panics(t, func() { env.Retry(5, balance.Later()) }, "not the last Ended")
		}
		r.end(s, 0, policies.Reset)
		require.Equal(t, 1, r.Open())
		p.ended = nil
		r.end(s, 1, policies.OK)
		r.closed(policies.OK, 1)
	})
	t.Run("both fail: the class of the last", func(t *testing.T) {
		t.Parallel()
		r, _, s := start(t)
		r.end(s, 0, policies.Reset)
		r.end(s, 1, policies.HTTP503)
		r.closed(policies.HTTP503, 1)
	})
	t.Run("an ended attempt is not cancelled, an unknown request neither", func(t *testing.T) {
		t.Parallel()
		r, p, s := start(t)
		r.end(s, 0, policies.Reset)
		r.out.Reset()
		p.env.Cancel(5, 0, balance.CancelRunning)
		p.env.Cancel(5, 1, balance.CancelNone)
		p.env.Cancel(6, 0, balance.CancelRunning)
		p.env.Cancel(5, 9, balance.CancelRunning)
		require.Empty(t, r.kinds())
	})
	t.Run("the client leaves: all that is out is cancelled", func(t *testing.T) {
		t.Parallel()
		r, _, s := start(t)
		r.out.Reset()
		r.Gone(r.now, s, policies.Cancelled, &r.out)
		require.Equal(t, []flow.ActionKind{flow.ActCancel, flow.ActCancel}, r.kinds())
		r.end(s, 0, policies.Reset)
		require.Equal(t, 1, r.Open())
		r.end(s, 1, policies.Reset)
		r.closed(policies.Cancelled, 1)
	})
}

func TestDetectReset(t *testing.T) {
	t.Parallel()
	p := &puppet{pick: func(env *balance.Env, _ *policies.Request) balance.Choice { return balance.To(env.Fleet.Ref(0)) }}
	r := newRig(t, p, 1, nil)
	one, two := r.arrive(1), r.arrive(2)
	r.end(one, 0, policies.Reset)
	wake := r.only(flow.ActWake)
	require.Equal(t, time.Second, wake.At)
	require.Zero(t, r.Fleet(0).Len(), "down here")
	require.Equal(t, 1, r.Fleet(0).Known())
	require.Equal(t, balance.Change{Kind: balance.ChangeChanged, Ref: ref(0, 0)}, p.changes[1], "the policy is told")
	r.now = 300 * time.Millisecond
	r.end(two, 0, policies.Refused)
	again := r.only(flow.ActWake)
	r.now = time.Second
	r.wake(wake.Arg)
	require.Zero(t, r.Fleet(0).Len(), "the later sign holds longer")
	r.now = 1300 * time.Millisecond
	r.wake(again.Arg)
	require.Equal(t, 1, r.Fleet(0).Len())
	require.Len(t, p.changes, 3)

	three := r.arrive(3)
	r.end(three, 0, policies.Reset)
	old := r.only(flow.ActWake)
	r.out.Reset()
	r.Membership(r.now, 0, balance.Change{Kind: balance.ChangeAdded, Ref: ref(0, 1)}, &r.out)
	require.Equal(t, 1, r.Fleet(0).Len(), "a new life is up")
	p.changes = nil
	r.wake(old.Arg)
	require.Empty(t, p.changes, "it was up")
}

func TestDetectNever(t *testing.T) {
	t.Parallel()
	for _, d := range []flow.Detect{flow.DetectNever, flow.DetectHealth} {
		r := newRig(t, &puppet{pick: always(0)}, 1, func(s *flow.Service) { s.Detect = d })
		r.end(r.arrive(1), 0, policies.Reset)
		require.Equal(t, 1, r.Fleet(0).Len())
	}
}

func TestOtherFailuresMarkNobodyDown(t *testing.T) {
	t.Parallel()
	r := newRig(t, &puppet{pick: always(0)}, 1, nil)
	for o := range policies.Outcomes {
		if o != policies.Reset && o != policies.Refused {
			r.end(r.arrive(uint64(o)), 0, o)
			r.closed(o, 0)
			require.Equal(t, 1, r.Fleet(0).Len(), o)
		}
	}
}

func TestHeardIsFolded(t *testing.T) {
	t.Parallel()
	p := &puppet{pick: always(0)}
	r := newRig(t, p, 2, nil)
	hear := func(inc, seq uint32) {
		r.Heard(0, 0, ref(1, inc), balance.Msg{Kind: balance.MsgIdle, Inc: inc, Seq: seq}, &r.out)
	}
	hear(0, 5)
	hear(0, 5)
	hear(0, 4)
	hear(0, 6)
	require.Len(t, p.heard, 2, "doubles and those overtaken are dropped")
}

func TestMembershipIsFolded(t *testing.T) {
	t.Parallel()
	p := &puppet{pick: always(0)}
	r := newRig(t, p, 2, nil)
	for _, c := range []balance.Change{
		{Kind: balance.ChangeDraining, Ref: ref(0, 0)},
		{Kind: balance.ChangeDraining, Ref: ref(0, 0)}, // twice
		{Kind: balance.ChangeAdded, Ref: ref(1, 2)},
		{Kind: balance.ChangeRemoved, Ref: ref(1, 1)}, // old
	} {
		r.Membership(0, 0, c, &r.out)
	}
	require.Equal(t, []balance.ChangeKind{balance.ChangeReset, balance.ChangeDraining, balance.ChangeAdded},
		[]balance.ChangeKind{p.changes[0].Kind, p.changes[1].Kind, p.changes[2].Kind})
	require.Len(t, p.changes, 3)
	require.Equal(t, ref(1, 2), r.Fleet(0).Ref(0))
}

func TestUnsubscribedIsNotTracked(t *testing.T) {
	t.Parallel()
	var env *balance.Env
	b := pickOnly(func(e *balance.Env, _ *policies.Request) balance.Choice {
		env = e
		return balance.To(e.Fleet.Ref(0))
	})
	r := newRig(t, b, 1, nil)
	require.Equal(t, balance.WantLoads, r.Subscribed(0))
	s := r.arrive(1)
	require.Nil(t, env.Request(1), "nobody asked for it to be kept")
	r.end(s, 0, policies.OK)
	r.closed(policies.OK, 0)
	require.NotNil(t, r.Balancer(0))
}

type pickOnly func(*balance.Env, *policies.Request) balance.Choice

func (p pickOnly) Pick(e *balance.Env, r *policies.Request) balance.Choice { return p(e, r) }

// double is a decorator: it has wakes of its own and passes the rest on.
type double struct {
	balance.Inner
	woke []uint64
}

func (d *double) Pick(env *balance.Env, r *policies.Request) balance.Choice {
	env.Wake(env.Now+time.Second, 8)
	return d.Bal.Pick(d.With(env, env.Fleet.Without([]policies.Ref{ref(0, 0)})), r)
}

func (d *double) Woke(_ *balance.Env, token uint64) { d.woke = append(d.woke, token) }

func TestDecoratedWakes(t *testing.T) {
	t.Parallel()
	var got []uint64
	p := &puppet{}
	p.pick = func(env *balance.Env, _ *policies.Request) balance.Choice {
		env.Wake(env.Now+2*time.Second, 8)
		return balance.To(env.Fleet.Ref(0))
	}
	p.woke = func(env *balance.Env, token uint64) {
		require.Equal(t, 5*time.Second, env.Now)
		require.Equal(t, 2, env.Fleet.Len(), "the whole fleet")
		got = append(got, token)
	}
	d := &double{}
	d.Wrap(p)
	r := newRig(t, d, 2, nil)
	r.arrive(1)
	require.Equal(t, []flow.ActionKind{flow.ActWake, flow.ActWake, flow.ActSend}, r.kinds())
	require.Equal(t, ref(1, 0), r.only(flow.ActSend).Ref, "the view reached the inner one")
	outer, inner := r.out.List[0].Arg, r.out.List[1].Arg
	require.NotEqual(t, outer, inner)
	r.now = 5 * time.Second
	r.wake(inner)
	require.Equal(t, []uint64{8}, got)
	require.Empty(t, d.woke, "a wake reaches only the level that asked")
	r.wake(outer)
	require.Equal(t, []uint64{8}, d.woke)
	require.Len(t, got, 1)
	require.NotPanics(t, func() { r.wake(9<<56 | 1) }, "an unknown level")
	require.Panics(t, func() { p.env.Wake(0, policies.MaxToken) })
}
