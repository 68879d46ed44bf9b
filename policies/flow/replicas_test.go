package flow_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
)

// parrot is a replica half that notes its events and tells of each.
type parrot struct {
	events []balance.ReplicaKind
	states [][4]uint32
	drawn  []uint64
}

func (p *parrot) Report(env *balance.ReplicaEnv, ev balance.ReplicaEvent) {
	p.events = append(p.events, ev.Kind)
	p.states = append(p.states, *env.State)
	p.drawn = append(p.drawn, env.Rand.Uint64())
	env.State[0]++
	kind := balance.MsgIdle
	if ev.Kind == balance.ReplicaHeard {
		kind = balance.MsgAsk
	}
	env.Tell(1, balance.Msg{Kind: kind, Inc: 77, Seq: env.State[0]})
	env.Wake(env.Now+time.Second, 3)
}

type parrots struct {
	pickOnly
	*parrot
}

func (p parrots) Reporter() balance.Reporter { return p.parrot }

func TestReplicas(t *testing.T) {
	t.Parallel()
	dice := func() []rand.PCG { return []rand.PCG{chance.Stream(1, "a"), chance.Stream(1, "b")} }
	p := &parrot{}
	h := flow.NewReplicas(parrots{parrot: p}, 4, 2, dice(), nil)
	var out flow.Actions
	event := func(r policies.Ref, k balance.ReplicaKind) {
		out.Reset()
		h.Event(time.Minute, r, balance.ReplicaEvent{Kind: k}, balance.Load{Running: 2}, &out)
	}
	event(ref(1, 0), balance.ReplicaStarted)
	require.Equal(t, []flow.Action{
		{Kind: flow.ActReport, Service: 4, Slot: 1, Ref: ref(1, 0)},
		{Kind: flow.ActWake, Service: 4, Ref: ref(1, 0), At: time.Minute + time.Second, Arg: 3},
	}, out.List)
	require.Equal(t, []balance.Msg{{Kind: balance.MsgIdle, Seq: 1}}, out.Msgs, "the flow core sets Inc")
	event(ref(0, 0), balance.ReplicaWoke)
	event(ref(1, 0), balance.ReplicaHeard)
	d := dice()
	require.Equal(t, []uint64{d[1].Uint64(), d[0].Uint64(), d[1].Uint64()}, p.drawn, "each replica has its own dice")
	require.Equal(t, [][4]uint32{{}, {}, {1}}, p.states, "and its own state")
	require.Equal(t, flow.Counters{Report: 1, Heartbeat: 1, Ask: 1}, h.Counters())

	before := h.Hash()
	event(ref(1, 5), balance.ReplicaStarted)
	require.Equal(t, [4]uint32{}, p.states[3], "a new life starts empty")
	require.Equal(t, uint32(5), out.Msgs[0].Inc)
	require.NotEqual(t, before, h.Hash())
	event(ref(1, 0), balance.ReplicaWoke)
	require.Empty(t, out.List, "a wake of an earlier life is left out")
	require.Len(t, p.events, 4)
}

func TestReplicasOfPoliciesWithout(t *testing.T) {
	t.Parallel()
	require.Nil(t, flow.NewReplicas(&balance.Random{}, 0, 1, nil, nil))
	h := flow.NewReplicas(&balance.JIQ{}, 0, 1, make([]rand.PCG, 1), nil)
	require.True(t, h.Wants(balance.ReplicaFinished))
	require.False(t, h.Wants(balance.ReplicaStopping))
}
