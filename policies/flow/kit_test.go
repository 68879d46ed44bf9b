package flow_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
)

// puppet is a policy that does what the test says and notes what it is told.
type puppet struct {
	pick    func(env *balance.Env, r *policies.Request) balance.Choice
	ended   func(env *balance.Env, d balance.Done)
	woke    func(env *balance.Env, token uint64)
	replied func(env *balance.Env, r balance.Reply)
	lost    func(env *balance.Env, p balance.ProbeID)
	board   func(env *balance.Env, rows []balance.BoardRow)

	env     *balance.Env
	sent    []balance.Attempt
	ends    []balance.Done
	firsts  []balance.Attempt
	gone    []uint64
	changes []balance.Change
	heard   []balance.Msg
}

func (p *puppet) Pick(env *balance.Env, r *policies.Request) balance.Choice {
	p.env = env
	return p.pick(env, r)
}

func (p *puppet) Sent(_ *balance.Env, a balance.Attempt) { p.sent = append(p.sent, a) }

func (p *puppet) Ended(env *balance.Env, d balance.Done) {
	p.ends = append(p.ends, d)
	if p.ended != nil {
		p.ended(env, d)
	}
}

func (p *puppet) FirstByte(_ *balance.Env, a balance.Attempt) { p.firsts = append(p.firsts, a) }

func (p *puppet) Heard(_ *balance.Env, _ policies.Ref, m balance.Msg) { p.heard = append(p.heard, m) }

func (p *puppet) Replied(env *balance.Env, r balance.Reply) {
	if p.replied != nil {
		p.replied(env, r)
	}
}

func (p *puppet) Lost(env *balance.Env, id balance.ProbeID) {
	if p.lost != nil {
		p.lost(env, id)
	}
}

func (p *puppet) Board(env *balance.Env, rows []balance.BoardRow) {
	if p.board != nil {
		p.board(env, rows)
	}
}

func (p *puppet) Changed(_ *balance.Env, c *balance.Change) { p.changes = append(p.changes, *c) }

func (p *puppet) Woke(env *balance.Env, token uint64) {
	if p.woke != nil {
		p.woke(env, token)
	}
}

func (p *puppet) Gone(_ *balance.Env, req uint64) { p.gone = append(p.gone, req) }

// rig is a front end with a buffer.
type rig struct {
	*flow.FrontEnd
	t    *testing.T
	out  flow.Actions
	now  time.Duration
	tape *flow.Tape
}

func newRig(t *testing.T, b balance.Balancer, n int, change func(s *flow.Service)) *rig {
	t.Helper()
	s := flow.Service{Name: "main", Balancer: b, Table: &balance.Table{N: n}, Dice: chance.NewDice(1, "balance/main/0"), Period: time.Second}
	if change != nil {
		change(&s)
	}
	r := &rig{t: t, tape: &flow.Tape{}}
	r.FrontEnd = flow.New(flow.Config{Count: 1, Services: []flow.Service{s}, Tape: r.tape})
	r.FrontEnd.Start(0, &r.out)
	r.out.Reset()
	return r
}

func (r *rig) arrive(id uint64) uint32 {
	r.out.Reset()
	return r.Arrive(r.now, &policies.Request{ID: id, Arrived: r.now}, &r.out)
}

func (r *rig) end(slot uint32, n uint8, o policies.Outcome) {
	r.out.Reset()
	r.Ended(r.now, &flow.End{Slot: slot, N: n, Outcome: o}, &r.out)
}

func (r *rig) wake(token uint64) {
	r.out.Reset()
	r.Woke(r.now, 0, token, &r.out)
}

// kinds lists what the last input asked for.
func (r *rig) kinds() []flow.ActionKind {
	out := []flow.ActionKind{}
	for _, a := range r.out.List {
		out = append(out, a.Kind)
	}
	return out
}

// only is the only action of a kind.
func (r *rig) only(k flow.ActionKind) flow.Action {
	r.t.Helper()
	var found []flow.Action
	for _, a := range r.out.List {
		if a.Kind == k {
			found = append(found, a)
		}
	}
	require.Len(r.t, found, 1)
	return found[0]
}

// closed requires that the last input closed a request so.
func (r *rig) closed(o policies.Outcome, n uint8) {
	r.t.Helper()
	a := r.only(flow.ActClose)
	require.Equal(r.t, o, policies.Outcome(a.Arg))
	require.Equal(r.t, n, a.N, "the attempt that answered")
}

func ref(id, inc uint32) policies.Ref { return policies.Ref{ID: id, Inc: inc} }

// always picks one replica.
func always(id uint32) func(*balance.Env, *policies.Request) balance.Choice {
	return func(*balance.Env, *policies.Request) balance.Choice { return balance.To(ref(id, 0)) }
}

func later(*balance.Env, *policies.Request) balance.Choice { return balance.Later() }
