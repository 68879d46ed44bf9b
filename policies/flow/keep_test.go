package flow_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/flow"
)

// narrow is a puppet that narrows what it wants.
type narrow struct {
	*puppet
	want balance.Mask
}

func (n narrow) Wants() balance.Mask { return n.want }

// A policy that does not want requests is told of attempts as any other is; of its
// requests only the waiting ones are kept.
func TestKeepsOnlyWhatIsWanted(t *testing.T) {
	t.Parallel()
	p := &puppet{pick: always(1)}
	r := newRig(t, narrow{p, balance.WantAttempts | balance.WantFirstByte}, 3, nil)
	r.now = time.Second
	s := r.arrive(7)
	require.Nil(t, p.env.Request(7))
	r.now = 2 * time.Second
	r.out.Reset()
	r.FirstByte(r.now, s, 0, &r.out)
	require.Equal(t, []balance.Attempt{{Req: 7, Ref: ref(1, 0), Elapsed: time.Second}}, p.firsts)
	r.now = 3 * time.Second
	r.end(s, 0, policies.OK)
	r.closed(policies.OK, 0)
	require.Equal(t, []balance.Done{{Attempt: balance.Attempt{Req: 7, Ref: ref(1, 0), Elapsed: 2 * time.Second}}}, p.ends)

	p.pick = later
	a, b := r.arrive(8), r.arrive(9)
	require.NotEqual(t, a, b)
	for _, id := range []uint64{9, 8} {
		require.Equal(t, id, p.env.Request(id).ID, "it waits")
		p.env.Resolve(id, balance.To(ref(2, 0)))
	}
	r.now = 5 * time.Second
	r.end(a, 0, policies.OK)
	require.Nil(t, p.env.Request(8))
	require.EqualValues(t, 9, p.env.Request(9).ID, "the other's place is its own")
	require.Equal(t, 2*time.Second, p.ends[1].Elapsed)
	p.pick = later
	r.arrive(10)
	require.EqualValues(t, 10, p.env.Request(10).ID)
	require.EqualValues(t, 9, p.env.Request(9).ID)
	r.end(b, 0, policies.OK)
	require.Nil(t, p.env.Request(9))
}

// Loads are kept for a policy that wants them, and for a host that asks.
func TestKeepsLoads(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want balance.Mask
		host bool
		kept bool
	}{{balance.WantHeard, false, false}, {balance.WantHeard, true, true}, {balance.WantHeard | balance.WantLoads, false, true}} {
		p := &puppet{pick: always(0)}
		f := flow.New(flow.Config{Count: 1, Services: []flow.Service{{Balancer: narrow{p, c.want}, Table: &balance.Table{N: 2}, Loads: c.host}}})
		var out flow.Actions
		for _, seq := range []uint32{4, 4, 3} {
			f.Heard(0, 0, ref(1, 0), balance.Msg{Kind: balance.MsgBusy, Seq: seq, A: 5}, &out)
		}
		require.Len(t, p.heard, 1, "the others are no news")
		_, _, ok := f.Fleet(0).Heard(1)
		require.Equal(t, c.kept, ok)
	}
}
