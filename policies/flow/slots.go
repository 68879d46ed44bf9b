package flow

import (
	"fmt"
	"math/rand/v2"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
)

func (f *FrontEnd) alloc(r *policies.Request, in *instance) uint32 {
	var i uint32
	if f.free != 0 {
		i = f.free - 1
		f.free = f.slots[i].next
	} else {
		i = uint32(len(f.slots))
		f.slots = append(f.slots, slot{})
	}
	s := &f.slots[i]
	s.req, s.ref, s.service, s.flags = r.ID, policies.Ref{}, in.index, flagOpen
	s.tries, s.out, s.won, s.gone, s.next, s.kept = 0, 0, 0, 0, 0, 0
	f.open++
	if in.subs.Requests {
		f.keep(i, r)
	}
	return i
}

// keep copies a request to the cold entries: it waits, or its policy may ask for it.
func (f *FrontEnd) keep(i uint32, r *policies.Request) {
	k := f.freeCold
	if k != 0 {
		f.freeCold = f.cold[k-1].next
	} else {
		f.cold = append(f.cold, cold{})
		k = uint32(len(f.cold))
	}
	c := &f.cold[k-1]
	c.req, c.tries, c.losers = *r, c.tries[:0], balance.CancelNone
	f.slots[i].kept = k
	f.ids.put(r.ID, i)
}

// of is the cold entry of the request in slot i, which is kept.
func (f *FrontEnd) of(i uint32) *cold { return &f.cold[f.slots[i].kept-1] }

// settle carries a first choice out.
func (f *FrontEnd) settle(i uint32, in *instance, c balance.Choice, r *policies.Request) {
	switch c.Kind() {
	case balance.KindTo:
		f.send(i, in, c.Ref)
	case balance.KindLater:
		if f.slots[i].kept == 0 {
			f.keep(i, r)
		}
		f.slots[i].flags |= flagParked
	case balance.KindShed:
		f.close(i, policies.Shed)
	default:
		f.close(i, policies.NoReplica)
	}
}

// send starts an attempt.
func (f *FrontEnd) send(i uint32, in *instance, ref policies.Ref) {
	s := &f.slots[i]
	if !in.book.Eligible(ref) {
		f.stranger(in, s.req, ref)
	}
	n := s.tries
	s.ref = ref
	s.tries++
	s.out++
	in.book.Sent(ref)
	switch {
	case s.kept != 0:
		c := f.of(i)
		c.tries = append(c.tries, try{ref: ref, sent: f.now, out: true})
	case in.timed:
		for int(i) >= len(f.sent) {
			f.sent = append(f.sent, 0)
		}
		f.sent[i] = f.now
	}
	f.out.add(ActSend, n, in.index, i, s.req, ref, 0)
	if in.subs.Attempts != nil {
		in.subs.Attempts.Sent(in.at(f.now), balance.Attempt{Req: s.req, Ref: ref, N: n})
	}
}

// target is where attempt n of the request in slot i went.
func (f *FrontEnd) target(i uint32, n uint8) policies.Ref {
	if s := &f.slots[i]; s.tries <= 1 {
		return s.ref
	}
	return f.of(i).tries[n].ref
}

// attempt is attempt n of the request in slot i, of a policy that is told of attempts.
// A request that is not kept has one only.
func (f *FrontEnd) attempt(i uint32, n uint8) balance.Attempt {
	s := &f.slots[i]
	if s.kept == 0 {
		return balance.Attempt{Req: s.req, Ref: s.ref, Elapsed: f.now - f.sent[i], N: n}
	}
	t := &f.of(i).tries[n]
	return balance.Attempt{Req: s.req, Ref: t.ref, Elapsed: f.now - t.sent, N: n}
}

// close ends a request with one outcome, OK if any attempt answered.
func (f *FrontEnd) close(i uint32, class policies.Outcome) {
	s := &f.slots[i]
	var n uint8
	if s.tries > 0 {
		n = s.tries - 1
	}
	switch {
	case s.won != 0:
		class, n = policies.OK, s.won-1
	case s.gone != 0:
		class = policies.Outcome(s.gone)
	}
	f.out.add(ActClose, n, s.service, i, s.req, s.ref, uint64(class))
	if s.kept != 0 {
		f.ids.del(s.req)
	}
	s.flags, s.next = 0, f.free
	f.free = i + 1
	f.open--
	if f.staged {
		f.move(i, phasePast)
		if f.quota != nil {
			f.quota.settle(i, class)
		}
	}
	if s.kept != 0 { // last: settling reads it
		f.of(i).next, f.freeCold = f.freeCold, s.kept
	}
}

// bug stops the run: a policy broke its contract.
func (f *FrontEnd) bug(in *instance, req uint64, what string) {
	panic(fmt.Sprintf("flow: front end %d, service %s: the balancer %T %s (request %d, t=%v, tape record %d)",
		f.index, in.name, in.subs.Bal, what, req, f.now, f.tape.position()))
}

// newRand lends a counting stream.
func newRand(d *chance.Dice) *rand.Rand { return rand.New(d) }
