package flow

import (
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/quota"
)

// ActionKind says what a front end asks of its host.
type ActionKind uint8

// The actions.
const (
	ActSend    ActionKind = iota // send attempt N of the request in Slot to Ref
	ActProbe                     // ask Ref for its load; answer with Replied(Arg)
	ActTell                      // carry message Msgs[Arg] to the replica half at Ref
	ActReport                    // carry message Msgs[Arg] from replica Ref to front end Slot
	ActWake                      // call Woke(Service, Arg) at At; from Replicas: event Woke at replica Ref
	ActCancel                    // give up attempt N of the request in Slot; Arg is the balance.CancelMode
	ActClose                     // the request in Slot is over: Arg is the policies.Outcome, N the attempt that answered
	ActAsk                       // carry Asks[Arg] to the shard of group Slot; answer with Granted(Req) or AskLost(Req) where its kind is answered
	ActDecided                   // the limiter's decision N, from 1, about the request in Slot is Arg, a quota.Outcome; it took At
)

// Action is one thing a front end asks of its host. Which fields hold what is
// said at the kinds.
type Action struct {
	Kind    ActionKind
	N       uint8
	Service uint16
	Slot    uint32
	Req     uint64
	Ref     policies.Ref
	At      time.Duration
	Arg     uint64
}

// Actions is a host-owned buffer that inputs append to. The host resets it.
type Actions struct {
	List []Action
	Msgs []balance.Msg
	Asks []quota.Ask
}

// Reset empties the buffer and keeps its memory.
func (a *Actions) Reset() { a.List, a.Msgs, a.Asks = a.List[:0], a.Msgs[:0], a.Asks[:0] }

// add appends an action of a request without message or time. The fields are written
// in place: a literal is built aside and copied in pieces wider than it was written
// in, which stalls the loads.
func (a *Actions) add(kind ActionKind, n uint8, service uint16, slot uint32, req uint64, ref policies.Ref, arg uint64) {
	k := len(a.List)
	if k == cap(a.List) {
		a.List = append(a.List, Action{})
	}
	a.List = a.List[:k+1]
	x := &a.List[k]
	x.Kind, x.N, x.Service, x.Slot, x.Req, x.Ref, x.At, x.Arg = kind, n, service, slot, req, ref, 0, arg
}

func (a *Actions) msg(m balance.Msg) uint64 {
	a.Msgs = append(a.Msgs, m)
	return uint64(len(a.Msgs) - 1)
}

// Counters counts one-way control messages that left, by class. A probe and an
// ask are counted with their answers.
type Counters struct {
	Probe, Ask, Report, Heartbeat, Withdraw, Tell uint64
}

// Sum is the number of one-way messages: probes count there and back.
func (c Counters) Sum() uint64 {
	return c.Probe + c.Ask + c.Report + c.Heartbeat + c.Withdraw + c.Tell
}

// Add returns the sum of two counters.
func (c Counters) Add(d Counters) Counters {
	return Counters{c.Probe + d.Probe, c.Ask + d.Ask, c.Report + d.Report,
		c.Heartbeat + d.Heartbeat, c.Withdraw + d.Withdraw, c.Tell + d.Tell}
}

// Sub returns the difference of two counters.
func (c Counters) Sub(d Counters) Counters {
	return Counters{c.Probe - d.Probe, c.Ask - d.Ask, c.Report - d.Report,
		c.Heartbeat - d.Heartbeat, c.Withdraw - d.Withdraw, c.Tell - d.Tell}
}

// count books a message by its kind.
func (c *Counters) count(k balance.MsgKind, woke bool) {
	switch k {
	case balance.MsgAsk, balance.MsgAnswer:
		c.Ask++
	case balance.MsgWithdraw:
		c.Withdraw++
	case balance.MsgIdle, balance.MsgBusy:
		if woke {
			c.Heartbeat++
		} else {
			c.Report++
		}
	default:
		c.Tell++
	}
}
