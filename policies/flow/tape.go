package flow

import (
	"math"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/quota"
)

// input is the kind of a tape record.
type input uint8

const (
	inStart input = iota
	inArrive
	inFirstByte
	inEnded
	inGone
	inHeard
	inReplied
	inWoke
	inMembership
	inReplica
	inGranted
	inAskLost
	inHold
	inputs
)

var inputNames = [inputs]string{"start", "arrive", "first_byte", "ended", "gone", "heard", "replied",
	"woke", "membership", "replica", "granted", "ask_lost", "hold"} //purity:table

// hashEvery is how many records lie between two view hashes.
const hashEvery = 1000

// Tape records one instance: every input with the time, what oracles answered, the
// draws, and the actions. A nil *Tape records nothing. The host takes Bytes and
// may call Drop to write them out piece by piece.
//
// A record is: kind, time since the last record, the input's fields, the oracle's
// answers, draws since the last record, actions; every 1,000 records a hash of the
// view. Numbers are LEB128, signed ones zig-zag.
type Tape struct {
	buf   []byte
	last  time.Duration
	n     uint64
	drawn uint64
	from  int // first action of this record in the host's buffer
	peeks []byte
}

// Bytes returns what has been recorded since the last Drop.
func (t *Tape) Bytes() []byte { return t.buf }

// Drop forgets what Bytes returned, once the host has written it.
func (t *Tape) Drop() { t.buf = t.buf[:0] }

// Records is the number of records so far.
func (t *Tape) Records() uint64 { return t.n }

func (t *Tape) position() uint64 {
	if t == nil {
		return 0
	}
	return t.n
}

func (t *Tape) begin(now time.Duration, kind input, out *Actions) {
	t.buf = append(t.buf, byte(kind))
	t.buf = uvarint(t.buf, uint64(now-t.last))
	t.last, t.from = now, len(out.List)
	t.peeks = t.peeks[:0]
}

func (t *Tape) end(out *Actions, drawn uint64, hash func() uint64) {
	t.buf = uvarint(t.buf, uint64(len(t.peeks)))
	t.buf = append(t.buf, t.peeks...)
	t.buf = uvarint(t.buf, drawn-t.drawn)
	t.drawn = drawn
	t.buf = appendActions(t.buf, out, t.from, t.last)
	if t.n++; t.n%hashEvery == 0 {
		t.buf = uvarint(t.buf, hash())
	}
}

func (t *Tape) uints(xs ...uint64) {
	for _, x := range xs {
		t.buf = uvarint(t.buf, x)
	}
}

func (t *Tape) request(r *policies.Request) {
	t.uints(r.ID, r.Key)
	t.buf = varint(t.buf, int64(r.Arrived))
	t.buf = varint(t.buf, int64(r.Deadline))
	t.uints(uint64(r.Service), uint64(r.Tenant), uint64(r.Group), uint64(r.Model),
		uint64(r.Input), uint64(r.MaxTokens), uint64(r.Cold), uint64(r.Class), uint64(uint8(r.Priority)), uint64(r.Attempt))
}

func (t *Tape) load(l *balance.Load) {
	t.buf = varint(t.buf, int64(l.Running))
	t.buf = varint(t.buf, int64(l.Queued))
	t.buf = varint(t.buf, int64(l.Slots))
	t.uints(uint64(float32bits(l.KV)))
	t.buf = varint(t.buf, int64(l.LatencyEst))
}

func (t *Tape) msg(m *balance.Msg) {
	t.uints(uint64(m.Kind), uint64(m.Inc), uint64(m.Seq))
	t.buf = varint(t.buf, m.A)
	t.buf = varint(t.buf, m.B)
}

func (t *Tape) ended(e *End) {
	t.uints(uint64(e.Slot), uint64(e.N), uint64(e.Outcome))
	t.uints(uint64(e.Output))
	t.buf = varint(t.buf, int64(e.ServerTime))
	if !e.Told {
		t.uints(0)
		return
	}
	t.uints(1)
	t.load(&e.Load)
}

func (t *Tape) granted(id quota.AskID, g *quota.Grant) {
	t.uints(uint64(id), math.Float64bits(g.Units), math.Float64bits(g.Left), uint64(bit(g.Never)))
	t.buf = varint(t.buf, int64(g.Expiry))
	t.buf = varint(t.buf, int64(g.RetryIn))
}

func (t *Tape) heard(service int, from policies.Ref, m *balance.Msg) {
	t.uints(uint64(service), uint64(from.ID), uint64(from.Inc))
	t.msg(m)
}

func (t *Tape) replied(service int, p balance.ProbeID, from policies.Ref, l *balance.Load) {
	t.uints(uint64(service), uint64(p), uint64(from.ID), uint64(from.Inc))
	t.load(l)
}

func (t *Tape) replica(self policies.Ref, ev *balance.ReplicaEvent, l *balance.Load) {
	t.uints(uint64(self.ID), uint64(self.Inc), uint64(ev.Kind), uint64(ev.From), ev.Req, ev.Token)
	t.load(l)
	if ev.Msg == nil {
		t.uints(0)
		return
	}
	t.uints(1)
	t.msg(ev.Msg)
}

// watch wraps an oracle so that its answers are part of the record: the view of the
// truth cannot be rebuilt from the inputs.
func (t *Tape) watch(in balance.Truth) balance.Truth { return &watched{t: t, in: in} }

type watched struct {
	t  *Tape
	in balance.Truth
	r  counted
}

// Look implements balance.TruthView.
func (w *watched) Look(f *balance.Fleet) {
	if v, ok := w.in.(balance.TruthView); ok {
		v.Look(f)
	}
}

func (w *watched) Lens() []uint16 { return w.column(w.in.Lens()) }

func (w *watched) InTransit() []uint16 { return w.column(w.in.InTransit()) }

func (w *watched) column(c []uint16) []uint16 {
	p := uvarint(w.t.peeks, uint64(len(c)))
	for _, x := range c {
		p = uvarint(p, uint64(x))
	}
	w.t.peeks = p
	return c
}

func (w *watched) WorkLeft() []time.Duration {
	c := w.in.WorkLeft()
	p := uvarint(w.t.peeks, uint64(len(c)))
	for _, x := range c {
		p = varint(p, int64(x))
	}
	w.t.peeks = p
	return c
}

func (w *watched) Shortest(r balance.Dice) int {
	w.r = counted{in: r}
	i := w.in.Shortest(&w.r)
	w.t.peeks = uvarint(varint(w.t.peeks, int64(i)), w.r.n)
	return i
}

// counted counts the words an oracle draws from the policy's stream.
type counted struct {
	in balance.Dice
	n  uint64
}

func (c *counted) Uint64() uint64 { c.n++; return c.in.Uint64() }
