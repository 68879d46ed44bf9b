package flow_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/policies/flow/flowtest"
)

// busy is a policy that uses the whole boundary: probes, boards, tells, wakes,
// retries, hedges and dice.
func busy() *puppet {
	p := &puppet{}
	p.pick = func(env *balance.Env, r *policies.Request) balance.Choice {
		if env.Fleet.Len() == 0 {
			return balance.None()
		}
		i := env.Fleet.One(env.Rand)
		env.Tell(env.Fleet.Ref(i), balance.Msg{Kind: balance.MsgOwn, Seq: uint32(r.ID), A: -5, B: 1 << 40})
		env.Wake(env.Now+time.Millisecond, r.ID)
		switch r.ID % 4 {
		case 0:
			env.ProbeAll(time.Second)
		case 1:
			env.Probe(env.Fleet.Ref(i), time.Second)
		}
		return balance.To(env.Fleet.Ref(i))
	}
	p.woke = func(env *balance.Env, token uint64) {
		if r := env.Request(token); r != nil && len(env.Exclude(r)) == 1 && env.Fleet.Len() > 0 {
			env.Hedge(token, env.Fleet.Ref(env.Fleet.One(env.Rand)), balance.CancelRunning)
		}
	}
	p.ended = func(env *balance.Env, d balance.Done) {
		if d.Outcome == policies.HTTP503 && d.N == 1 && env.Fleet.Len() > 0 {
			env.Cancel(d.Req, 0, balance.CancelRunning)
		}
	}
	return p
}

// everything drives a front end through every kind of input.
func everything(t *testing.T, r *rig) {
	t.Helper()
	load := balance.Load{Running: 1, Queued: 2, Slots: 3, KV: 0.5, LatencyEst: -time.Millisecond}
	for id := range uint64(40) {
		r.now += time.Duration(id) * time.Microsecond
		r.out.Reset()
		s := r.Arrive(r.now, &policies.Request{ID: id, Key: 1 << 63, Arrived: r.now - 1, Deadline: r.now + 9, Tenant: 3,
			Input: 9, Priority: -4, Class: 2}, &r.out)
		list := append([]flow.Action(nil), r.out.List...)
		r.FirstByte(r.now, s, 0, &r.out)
		for _, a := range list {
			switch a.Kind {
			case flow.ActProbe:
				if id%3 > 0 {
					r.Replied(r.now, 0, balance.ProbeID(a.Arg), a.Ref, load, &r.out)
				}
			case flow.ActWake:
				r.Woke(a.At, 0, a.Arg, &r.out)
				r.now = a.At
			}
		}
		r.Heard(r.now, 0, ref(uint32(id%3), 0), balance.Msg{Kind: balance.MsgIdle, Seq: uint32(id), A: -1}, &r.out)
		if id%10 == 9 {
			r.Gone(r.now, s, policies.Cancelled, &r.out)
		}
		for _, n := range []uint8{1, 0} { // the wake has hedged
			r.Ended(r.now, &flow.End{Slot: s, N: n, Outcome: policies.HTTP503, Told: id%2 == 0, Load: load, ServerTime: 7}, &r.out)
		}
		r.Membership(r.now, 0, balance.Change{Kind: balance.ChangeAdded, Ref: ref(uint32(id%3), uint32(id/10))}, &r.out)
	}
}

func taped(t *testing.T) *rig {
	t.Helper()
	r := newRig(t, busy(), 3, nil)
	everything(t, r)
	require.Zero(t, r.Open())
	return r
}

// again is a fresh front end such as the one that was taped.
func again(b balance.Balancer, seed uint64) *flow.FrontEnd {
	return flow.New(flow.Config{Count: 1, Services: []flow.Service{{Name: "main", Balancer: b, Table: &balance.Table{N: 3},
		Dice: chance.NewDice(seed, "balance/main/0"), Period: time.Second}}})
}

func TestTapeOfEveryInput(t *testing.T) {
	t.Parallel()
	r := taped(t)
	res, err := flow.Replay(r.tape.Bytes(), flow.Replayed{FrontEnd: again(busy(), 1)})
	require.NoError(t, err)
	require.Nil(t, res.First)
	require.False(t, res.Truncated)
	require.Equal(t, r.tape.Records(), res.Calls)
	require.Greater(t, res.Decisions, uint64(40))
	require.Equal(t, res.Decisions, res.Same)
	require.Less(t, len(r.tape.Bytes())/int(res.Calls), 80)
}

func TestTapeFindsTheFirstDifference(t *testing.T) {
	t.Parallel()
	r := taped(t)
	res, err := flow.Replay(r.tape.Bytes(), flow.Replayed{FrontEnd: again(busy(), 2)})
	require.NoError(t, err)
	require.NotNil(t, res.First)
	require.Equal(t, res.Calls, res.First.Record, "it stops there")
	require.Equal(t, "arrive", res.First.Input, "a pick, with other dice")
	require.Regexp(t, `^call \d+ \(arrive at .*\): the tape has .*, the replay gives .*$`, res.First.Error())
	require.Contains(t, res.First.Taped, "attempt 0 to replica")
	require.NotEqual(t, res.First.Taped, res.First.Now)
}

func TestTapeCountsDraws(t *testing.T) {
	t.Parallel()
	spend := func(words int) balance.Balancer {
		return pickOnly(func(env *balance.Env, _ *policies.Request) balance.Choice {
			for range words {
				env.Rand.Uint64()
			}
			return balance.To(env.Fleet.Ref(0))
		})
	}
	r := newRig(t, spend(3), 3, nil)
	r.arrive(0)
	res, err := flow.Replay(r.tape.Bytes(), flow.Replayed{FrontEnd: again(spend(2), 1)})
	require.NoError(t, err)
	require.Equal(t, "3 draws", res.First.Taped)
	require.Equal(t, "2 draws", res.First.Now)
}

// A tape of another policy can be followed freely, to see how often it agrees.
func TestTapeFreely(t *testing.T) {
	t.Parallel()
	h := host(t, func() balance.Balancer { return &balance.LeastOutstanding{} })
	p2c := flow.New(flow.Config{Count: 2, Services: []flow.Service{{Name: "main", Balancer: &balance.P2C{Choices: 2},
		Table: &balance.Table{N: 3}, Dice: chance.NewDice(1, "balance/main/0")}}})
	res, err := flow.Replay(h.Tapes[0].Bytes(), flow.Replayed{FrontEnd: p2c, Free: true})
	require.NoError(t, err)
	require.NotNil(t, res.First)
	require.Equal(t, h.Tapes[0].Records(), res.Calls, "it goes on to the end")
	require.Greater(t, res.Same, res.Decisions/4)
	require.Less(t, res.Same, res.Decisions)
}

func host(t testing.TB, mk func() balance.Balancer) *flowtest.Host {
	t.Helper()
	h := flowtest.New(flowtest.Config{Make: mk, Table: &balance.Table{N: 3}, Fronts: 2, Seed: 1, Tape: true})
	h.Start()
	h.Poisson(2000, 2000, time.Millisecond)
	require.True(t, h.Drain(time.Hour))
	return h
}

func TestTapeHoldsViewHashes(t *testing.T) {
	t.Parallel()
	h := host(t, func() balance.Balancer { return &balance.Random{} }) // its picks do not depend on the view
	other := h.Front(0, nil)
	other.Services[0].Table = &balance.Table{N: 3, Weights: []float64{2, 2, 1}} // only the weights differ …
	res, err := flow.Replay(h.Tapes[0].Bytes(), flow.Replayed{FrontEnd: flow.New(other)})
	require.NoError(t, err)
	require.Nil(t, res.First, "… which are no part of the view's changes")
	sick := flow.New(h.Front(0, nil))
	sick.Heard(0, 0, ref(1, 0), balance.Msg{Kind: balance.MsgIdle, Seq: 1}, &flow.Actions{}) // a fold the tape does not have
	res, err = flow.Replay(h.Tapes[0].Bytes(), flow.Replayed{FrontEnd: sick})
	require.NoError(t, err)
	require.NotNil(t, res.First)
	require.EqualValues(t, 1000, res.First.Record, "found within 1,000 calls")
	require.Contains(t, res.First.Taped, "view hash")
}

func TestTapeOfReplicas(t *testing.T) {
	t.Parallel()
	h := host(t, func() balance.Balancer {
		e, _ := balance.Catalog().Find("balance", "jiq-amnesia")
		b, _ := e.New().(balance.Balancer)
		return b
	})
	tape := h.Tapes[2]
	half := flow.NewReplicas(h.Fronts[0].Balancer(0), 0, 2, h.ReplicaDice(), nil)
	res, err := flow.Replay(tape.Bytes(), flow.Replayed{Replicas: half})
	require.NoError(t, err)
	require.Nil(t, res.First)
	require.Equal(t, tape.Records(), res.Calls)
	_, err = flow.Replay(tape.Bytes(), flow.Replayed{FrontEnd: again(busy(), 1)})
	require.ErrorContains(t, err, "call 1: unknown kind of input")
}

func TestTapeInPieces(t *testing.T) {
	t.Parallel()
	r := newRig(t, busy(), 3, nil)
	var all []byte
	for id := range uint64(20) {
		r.arrive(id)
		all = append(all, r.tape.Bytes()...)
		r.tape.Drop()
	}
	res, err := flow.Replay(all, flow.Replayed{FrontEnd: again(busy(), 1)})
	require.NoError(t, err)
	require.Nil(t, res.First)
	require.EqualValues(t, 21, res.Calls)
}

func TestTapeCutShort(t *testing.T) {
	t.Parallel()
	whole := taped(t).tape.Bytes()
	for cut := range whole {
		res, err := flow.Replay(whole[:cut], flow.Replayed{FrontEnd: again(busy(), 1)})
		require.NoError(t, err, "cut at %d", cut)
		require.Nil(t, res.First, "cut at %d: the full records agree", cut)
		if cut == len(whole)-1 {
			require.True(t, res.Truncated)
		}
	}
}

// FuzzReplay holds that a tape is only a file: whatever it holds, the answer is an
// error or a difference, never a panic.
func FuzzReplay(f *testing.F) {
	h := host(f, func() balance.Balancer { return &balance.P2C{Choices: 2, Load: "probed", ProbeTimeout: time.Second} })
	f.Add(h.Tapes[0].Bytes()[:400], false)
	f.Add(h.Tapes[0].Bytes()[:400], true)
	f.Add([]byte{0, 0, 0, 0, 0, 7, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, false)
	f.Fuzz(func(t *testing.T, stream []byte, free bool) {
		res, err := flow.Replay(stream, flow.Replayed{FrontEnd: flow.New(h.Front(0, nil)), Free: free})
		if err == nil && !res.Truncated && res.First == nil && res.Calls > 0 {
			require.LessOrEqual(t, res.Same, res.Decisions)
		}
		half, err := flow.Replay(stream, flow.Replayed{Replicas: flow.NewReplicas(&balance.JIQ{Reporting: "sq", Choices: 2}, 0, 3, h.ReplicaDice(), nil)})
		if err == nil {
			require.LessOrEqual(t, half.Calls, uint64(len(stream)))
		}
	})
}

func TestCounters(t *testing.T) {
	t.Parallel()
	c := flow.Counters{Probe: 2, Ask: 2, Report: 1, Heartbeat: 1, Withdraw: 1, Tell: 1}
	require.EqualValues(t, 8, c.Sum())
	require.Equal(t, c, c.Add(c).Sub(c))
	p := &puppet{pick: always(0)}
	r := newRig(t, p, 2, nil)
	r.arrive(0)
	for _, k := range []balance.MsgKind{balance.MsgAnswer, balance.MsgWithdraw, balance.MsgIdle, balance.MsgOwn} {
		p.env.Tell(ref(1, 0), balance.Msg{Kind: k})
	}
	require.Equal(t, flow.Counters{Ask: 1, Withdraw: 1, Report: 1, Tell: 1}, r.Counters())
}
