package flow

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/quota"
)

// Difference is the first place where a replay departs from its tape.
type Difference struct {
	Record uint64 // from 1
	At     time.Duration
	Input  string
	Taped  string // actions as recorded
	Now    string // actions as replayed
}

// Error describes the difference.
func (d *Difference) Error() string {
	return fmt.Sprintf("call %d (%s at %v): the tape has %s, the replay gives %s", d.Record, d.Input, d.At, d.Taped, d.Now)
}

// Result is what a replay found.
type Result struct {
	Calls     uint64 // records replayed
	Decisions uint64 // records that hold a decision: an action that sends a request
	Same      uint64 // of those, the records whose decisions are equal
	First     *Difference
	Truncated bool // the stream ended inside a record, which was left out
}

// Replayed is an instance fed from a tape.
type Replayed struct {
	FrontEnd *FrontEnd // or
	Replicas *Replicas
	Truth    *TapedTruth // the truth that FrontEnd was configured with, nil without an oracle
	// Free lets the replay go on after a difference: another policy is being tried
	// on the recorded inputs, so inputs that answer actions it never took are left out.
	Free bool
	// Watch, if set, looks at what each record has brought about.
	Watch func(now time.Duration, out *Actions)
}

// Replay feeds the records of one stream to a fresh instance and compares the
// actions. An error means that the stream is not a tape of such an instance.
func Replay(stream []byte, in Replayed) (res Result, err error) {
	p := player{r: reader{b: stream}, in: in, res: &res}
	if in.FrontEnd != nil {
		in.FrontEnd.keepLoads()
	}
	defer func() { // a tape is a file: its contents may be anything
		if e := recover(); e != nil {
			err = fmt.Errorf("call %d: %v", res.Calls+1, e)
		}
	}()
	for p.r.at < len(stream) {
		if err := p.step(); err != nil {
			if errors.Is(err, errShort) {
				res.Truncated = true
				return res, nil
			}
			return res, fmt.Errorf("call %d: %w", res.Calls+1, err)
		}
		if res.First != nil && !in.Free {
			return res, nil
		}
	}
	return res, nil
}

// keepLoads makes the digests hold what a taped front end's do.
func (f *FrontEnd) keepLoads() {
	for i := range f.services {
		if b := f.services[i].book; b != nil {
			b.KeepLoads(true)
		}
	}
}

type player struct {
	r     reader
	in    Replayed
	res   *Result
	now   time.Duration
	drawn uint64 // at the last record, by the instance
	out   Actions
	enc   []byte
}

// step replays one record.
func (p *player) step() error {
	r := &p.r
	kind := input(r.u8())
	if kind >= inputs || (kind == inReplica) != (p.in.Replicas != nil) {
		return fmt.Errorf("unknown kind of input %d", kind)
	}
	p.now += time.Duration(r.u())
	p.out.Reset()
	call := p.decode(kind)
	peeks := r.bytes(r.u())
	draws := r.u()
	taped := r.actions()
	var hash uint64
	hashed := (p.res.Calls+1)%hashEvery == 0
	if hashed {
		hash = r.u()
	}
	if r.err != nil {
		return r.err
	}
	if p.in.Truth != nil {
		p.in.Truth.feed(peeks)
	}
	call()
	p.res.Calls++
	p.compare(kind, taped, draws, hashed, hash)
	if p.in.Watch != nil {
		p.in.Watch(p.now, &p.out)
	}
	return nil
}

func (p *player) compare(kind input, taped []byte, draws uint64, hashed bool, hash uint64) {
	p.enc = appendActions(p.enc[:0], &p.out, 0, p.now)
	drawn, view := p.state()
	same := slices.Equal(p.enc, taped)
	want, got := decisions(taped), decisions(p.enc)
	if want != "" || got != "" {
		p.res.Decisions++
		if want == got {
			p.res.Same++
		}
	}
	d := &Difference{Record: p.res.Calls, At: p.now, Input: inputNames[kind]}
	switch {
	case !same:
		d.Taped, d.Now = describe(taped), describe(p.enc)
	case drawn-p.drawn != draws:
		d.Taped, d.Now = fmt.Sprintf("%d draws", draws), fmt.Sprintf("%d draws", drawn-p.drawn)
	case hashed && view() != hash:
		d.Taped, d.Now = fmt.Sprintf("view hash %x", hash), fmt.Sprintf("view hash %x", view())
	default:
		d = nil
	}
	p.drawn = drawn
	if d != nil && p.res.First == nil {
		p.res.First = d
	}
}

func (p *player) state() (drawn uint64, view func() uint64) {
	if p.in.Replicas != nil {
		return p.in.Replicas.drawn, p.in.Replicas.Hash
	}
	return p.in.FrontEnd.drawn(), p.in.FrontEnd.Hash
}

// decode reads an input and returns the call that feeds it.
func (p *player) decode(kind input) func() {
	r, f, now, out := &p.r, p.in.FrontEnd, p.now, &p.out
	switch kind {
	case inStart:
		return func() { f.Start(now, out) }
	case inArrive:
		req := r.request()
		return func() { f.Arrive(now, &req, out) } // the slot is in the actions
	case inFirstByte:
		slot, n := uint32(r.u()), uint8(r.u())
		return p.guard(slot, n, func() { f.FirstByte(now, slot, n, out) })
	case inEnded:
		e := End{Slot: uint32(r.u()), N: uint8(r.u()), Outcome: policies.Outcome(r.u()), Output: uint32(r.u()), ServerTime: time.Duration(r.i())}
		if e.Told = r.u() != 0; e.Told {
			e.Load = r.load()
		}
		return p.guard(e.Slot, e.N, func() { f.Ended(now, &e, out) })
	case inGone:
		slot, class := uint32(r.u()), policies.Outcome(r.u())
		return p.guard(slot, 0, func() { f.Gone(now, slot, class, out) })
	case inHeard:
		service, from, m := int(r.u()), r.ref(), r.msg()
		return func() { f.Heard(now, service, from, m, out) }
	case inReplied:
		service, id, from, l := int(r.u()), balance.ProbeID(r.u()), r.ref(), r.load()
		return func() { f.Replied(now, service, id, from, l, out) }
	case inWoke:
		service, token := int(r.u()), r.u()
		return func() { f.Woke(now, service, token, out) }
	case inMembership:
		service := int(r.u())
		c := balance.Change{Kind: balance.ChangeKind(r.u()), Ref: r.ref()}
		return func() { f.Membership(now, service, c, out) }
	case inGranted:
		id, g := quota.AskID(r.u()), r.grant()
		return func() { f.Granted(now, id, g, out) }
	case inAskLost:
		id := quota.AskID(r.u())
		return func() { f.AskLost(now, id, out) }
	case inHold:
		service, on := int(r.u()), r.u() != 0
		return func() { f.SetHold(now, service, on, out) }
	}
	return p.replica()
}

// guard leaves out inputs about attempts that a freely replayed policy never sent.
func (p *player) guard(slot uint32, n uint8, call func()) func() {
	if !p.in.Free {
		return call
	}
	return func() {
		f := p.in.FrontEnd
		if int(slot) < len(f.slots) && f.slots[slot].flags&flagOpen != 0 && f.slots[slot].tries > n && f.slots[slot].out > 0 {
			call()
		}
	}
}

func (p *player) replica() func() {
	r := &p.r
	self := r.ref()
	ev := balance.ReplicaEvent{Kind: balance.ReplicaKind(r.u()), From: uint32(r.u()), Req: r.u(), Token: r.u()}
	load := r.load()
	if r.u() != 0 {
		m := r.msg()
		ev.Msg = &m
	}
	return func() { p.in.Replicas.Event(p.now, self, ev, load, &p.out) }
}

// TapedTruth answers an oracle's questions with what the tape holds.
type TapedTruth struct {
	r    reader
	cols []uint16
	work []time.Duration
}

func (t *TapedTruth) feed(b []byte) { t.r = reader{b: b}; t.cols, t.work = t.cols[:0], t.work[:0] }

// Lens implements balance.Truth.
func (t *TapedTruth) Lens() []uint16 { return t.column() }

// InTransit implements balance.Truth.
func (t *TapedTruth) InTransit() []uint16 { return t.column() }

func (t *TapedTruth) column() []uint16 {
	from := len(t.cols)
	for n := t.r.u(); n > 0 && t.r.err == nil; n-- {
		t.cols = append(t.cols, uint16(t.r.u()))
	}
	return t.cols[from:]
}

// WorkLeft implements balance.Truth.
func (t *TapedTruth) WorkLeft() []time.Duration {
	from := len(t.work)
	for n := t.r.u(); n > 0 && t.r.err == nil; n-- {
		t.work = append(t.work, time.Duration(t.r.i()))
	}
	return t.work[from:]
}

// Shortest implements balance.Truth; it draws as often as the oracle did.
func (t *TapedTruth) Shortest(r balance.Dice) int {
	i := int(t.r.i())
	for n := t.r.u(); n > 0 && t.r.err == nil; n-- {
		r.Uint64()
	}
	if t.r.err != nil {
		return 0
	}
	return i
}

// decisions renders the sends of encoded actions; "" when there are none.
func decisions(b []byte) string {
	return render(b, func(k ActionKind) bool { return k == ActSend })
}

func describe(b []byte) string {
	if s := render(b, func(ActionKind) bool { return true }); s != "" {
		return s
	}
	return "no action"
}

func render(b []byte, keep func(ActionKind) bool) string {
	r := reader{b: b}
	var out []string
	for n := r.u(); n > 0 && r.err == nil; n-- {
		kind, att := ActionKind(r.u8()), r.u8()
		service, slot, req, ref := r.u(), r.u(), r.u(), r.ref()
		var arg uint64
		switch kind {
		case ActWake, ActDecided:
			arg = uint64(r.i())
			r.u()
		case ActAsk:
			arg = uint64(r.ask().Kind)
		case ActTell, ActReport:
			arg = uint64(r.msg().Kind)
		default:
			arg = r.u()
		}
		if !keep(kind) {
			continue
		}
		switch kind {
		case ActSend:
			out = append(out, fmt.Sprintf("send request %d attempt %d to replica %d.%d of service %d", req, att, ref.ID, ref.Inc, service))
		case ActClose:
			out = append(out, fmt.Sprintf("close request %d as %v", req, policies.Outcome(arg)))
		case ActProbe:
			out = append(out, fmt.Sprintf("probe replica %d.%d", ref.ID, ref.Inc))
		case ActTell:
			out = append(out, fmt.Sprintf("tell replica %d.%d kind %d", ref.ID, ref.Inc, arg))
		case ActReport:
			out = append(out, fmt.Sprintf("tell front end %d kind %d", slot, arg))
		case ActWake:
			out = append(out, fmt.Sprintf("wake in %v", time.Duration(arg)))
		case ActAsk:
			out = append(out, fmt.Sprintf("ask %d of kind %d for group %d", req, arg, slot))
		case ActDecided:
			out = append(out, fmt.Sprintf("decide request %d after %v", req, time.Duration(arg)))
		case ActCancel:
			out = append(out, fmt.Sprintf("cancel request %d attempt %d", req, att))
		}
	}
	return strings.Join(out, "; ")
}
