package flowtest

import (
	"fmt"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
)

// step handles the next event.
func (h *Host) step() {
	e := h.agenda.take()
	h.Now = e.at
	f := h.Fronts[min(e.front, len(h.Fronts)-1)]
	switch e.kind {
	case evScript:
		e.call()
	case evArrive:
		h.arrive(e.req)
	case evAccept:
		h.accept(e.job, e.ref)
	case evDone:
		h.done(e.job, e.ref)
	case evEnded:
		f.Ended(h.Now, &flow.End{Slot: e.job.slot, N: e.job.n, Outcome: e.outcome}, h.reset())
		h.execute(e.front)
	case evHeard:
		h.Messages++
		f.Heard(h.Now, 0, e.ref, e.msg, h.reset())
		h.execute(e.front)
	case evTold:
		if h.replicas[e.ref.ID].up {
			h.report(e.ref.ID, balance.ReplicaEvent{Kind: balance.ReplicaHeard, From: uint32(e.front), Msg: &e.msg})
		}
	case evProbe:
		if r := &h.replicas[e.ref.ID]; r.up && r.inc == e.ref.Inc {
			h.carry(h.cfg.Probe, event{kind: evReplied, front: e.front, ref: e.ref, token: e.token, load: h.Load(e.ref.ID)})
		}
	case evReplied:
		h.Messages++
		f.Replied(h.Now, 0, balance.ProbeID(e.token), e.ref, e.load, h.reset())
		h.execute(e.front)
	case evWoke:
		f.Woke(h.Now, 0, e.token, h.reset())
		h.execute(e.front)
	case evAwake:
		if r := &h.replicas[e.ref.ID]; r.up {
			h.half(e.ref, balance.ReplicaEvent{Kind: balance.ReplicaWoke, Token: e.token})
		}
	case evMembership:
		f.Membership(h.Now, 0, e.change, h.reset())
		h.execute(e.front)
	}
}

func (h *Host) arrive(id uint64) {
	r := &h.Records[id]
	if !h.shared {
		r.front = r.Front
	}
	req := policies.Request{ID: id, Arrived: h.Now}
	r.slot = h.Fronts[r.front].Arrive(h.Now, &req, h.reset())
	h.execute(r.front)
}

// Gone tells a front end that the client of an open request has left.
func (h *Host) Gone(id uint64) {
	r := &h.Records[id]
	if r.Closed > 0 {
		return
	}
	h.Fronts[r.front].Gone(h.Now, r.slot, policies.Cancelled, h.reset())
	h.execute(r.front)
}

// execute carries out what front end k has asked for.
func (h *Host) execute(k int) {
	for _, a := range h.out.List { // the buffer is not reused before all is put down
		h.digest(uint64(a.Kind)<<56|uint64(a.N)<<48|uint64(a.Slot), a.Req, uint64(a.Ref.ID)<<32|uint64(a.Ref.Inc), uint64(a.At), a.Arg)
		switch a.Kind {
		case flow.ActSend:
			h.send(k, a)
		case flow.ActProbe:
			h.carry(h.cfg.Probe, event{kind: evProbe, front: k, ref: a.Ref, token: a.Arg})
		case flow.ActTell:
			h.carry(h.cfg.Tell, event{kind: evTold, front: k, ref: a.Ref, msg: h.out.Msgs[a.Arg]})
		case flow.ActReport:
			m := h.out.Msgs[a.Arg]
			h.digest(uint64(m.Kind), uint64(m.Seq), uint64(m.A), uint64(m.B))
			if h.cfg.OnReport != nil {
				h.cfg.OnReport(int(a.Slot), a.Ref, m)
			}
			h.carry(h.cfg.Report, event{kind: evHeard, front: int(a.Slot), ref: a.Ref, msg: m})
		case flow.ActWake:
			e := event{at: a.At, class: classTimer, kind: evWoke, front: k, token: a.Arg}
			if k < 0 {
				e.kind, e.front, e.ref = evAwake, 0, a.Ref
			}
			h.agenda.put(e)
		case flow.ActClose:
			r := &h.Records[a.Req]
			r.Closed++
			r.Outcome, r.ClosedAt = policies.Outcome(a.Arg), h.Now
		}
	}
}

func (h *Host) digest(words ...uint64) {
	for _, w := range words {
		h.Actions = chance.Mix(h.Actions ^ w)
	}
}

func (h *Host) send(k int, a flow.Action) {
	if h.Fronts[k].Fleet(0).Index(a.Ref) < 0 && !h.panics { // the flow core refuses what is no member
		panic(fmt.Sprintf("flowtest: request %d was sent to replica %d.%d, which is not eligible (t=%v)", a.Req, a.Ref.ID, a.Ref.Inc, h.Now))
	}
	r := &h.Records[a.Req]
	r.Ref = a.Ref
	r.Sends++
	if h.cfg.OnSend != nil {
		h.cfg.OnSend(k, a.Req, a.Ref)
	}
	h.agenda.put(event{at: h.Now + h.cfg.Request, class: classMessage, kind: evAccept, ref: a.Ref,
		job: job{req: a.Req, front: k, slot: a.Slot, n: a.N, inc: a.Ref.Inc}})
}

// carry sends a control message.
func (h *Host) carry(n Net, e event) {
	if n.Loss > 0 && chance.Float(&h.net) < n.Loss {
		return
	}
	copies := 1
	if n.Double > 0 && chance.Float(&h.net) < n.Double {
		copies = 2
	}
	for range copies {
		e.at, e.class = h.Now+n.Delay, classMessage
		if n.Reorder > 0 {
			e.at += time.Duration(chance.Float(&h.net) * float64(n.Reorder))
		}
		h.agenda.put(e)
	}
}

// accept is an attempt's arrival at its replica.
func (h *Host) accept(j job, ref policies.Ref) {
	r := &h.replicas[ref.ID]
	if !r.up || r.inc != ref.Inc {
		h.answer(j, policies.Refused)
		return
	}
	r.queue = append(r.queue, j)
	if len(r.running) >= r.slots {
		h.Records[j.req].Waited = true
	}
	h.report(ref.ID, balance.ReplicaEvent{Kind: balance.ReplicaAccepted, From: uint32(h.Records[j.req].Front), Req: j.req})
	h.begin(ref.ID)
}

// begin fills the free slots from the queue.
func (h *Host) begin(id uint32) {
	r := &h.replicas[id]
	for len(r.running) < r.slots && len(r.queue) > 0 {
		j := r.queue[0]
		r.queue = r.queue[1:]
		r.running = append(r.running, j)
		h.agenda.put(event{at: h.Now + h.Records[j.req].Demand, class: classCompletion, kind: evDone, job: j,
			ref: policies.Ref{ID: id, Inc: r.inc}})
		h.report(id, balance.ReplicaEvent{Kind: balance.ReplicaBegan, From: uint32(h.Records[j.req].Front), Req: j.req})
	}
}

func (h *Host) done(j job, ref policies.Ref) {
	r := &h.replicas[ref.ID]
	if r.inc != ref.Inc || !r.up {
		return // it crashed on the way
	}
	for i := range r.running {
		if r.running[i] == j {
			r.running = append(r.running[:i], r.running[i+1:]...)
			break
		}
	}
	h.answer(j, policies.OK)
	h.report(ref.ID, balance.ReplicaEvent{Kind: balance.ReplicaFinished, From: uint32(h.Records[j.req].Front), Req: j.req})
	h.begin(ref.ID)
}

func (h *Host) answer(j job, o policies.Outcome) {
	h.agenda.put(event{at: h.Now + h.cfg.Response, class: classMessage, kind: evEnded, front: j.front, job: j, outcome: o})
}

// report tells the replica half what happened.
func (h *Host) report(id uint32, ev balance.ReplicaEvent) {
	h.half(policies.Ref{ID: id, Inc: h.replicas[id].inc}, ev)
}

func (h *Host) half(ref policies.Ref, ev balance.ReplicaEvent) {
	if h.Half == nil || !h.Half.Wants(ev.Kind) {
		return
	}
	h.Half.Event(h.Now, ref, ev, h.Load(ref.ID), h.reset())
	h.execute(-1)
}

// Crash stops a replica: what it holds ends as reset. Front ends are not told.
func (h *Host) Crash(id uint32) {
	r := &h.replicas[id]
	r.up = false
	for _, j := range r.running {
		h.answer(j, policies.Reset)
	}
	for _, j := range r.queue {
		h.answer(j, policies.Reset)
	}
	r.running, r.queue = nil, nil
}

// Restart gives a replica a new life and tells the front ends.
func (h *Host) Restart(id uint32) {
	if h.replicas[id].up {
		h.Crash(id)
	}
	h.replicas[id].up = true
	h.replicas[id].inc++
	h.Announce(balance.ChangeAdded, id)
	h.report(id, balance.ReplicaEvent{Kind: balance.ReplicaStarted})
}

// Announce tells all front ends of a change of membership, at once.
func (h *Host) Announce(k balance.ChangeKind, id uint32) {
	c := balance.Change{Kind: k, Ref: policies.Ref{ID: id, Inc: h.replicas[id].inc}}
	for front := range h.Fronts {
		h.agenda.put(event{at: h.Now, class: classMessage, kind: evMembership, front: front, change: c})
	}
}

// truth answers oracles, by scanning.
type truth struct {
	h     *Host
	fleet *balance.Fleet
}

// Look implements balance.TruthView.
func (t *truth) Look(f *balance.Fleet) { t.fleet = f }

// Lens implements balance.Truth.
func (t *truth) Lens() []uint16 {
	out := make([]uint16, t.fleet.Len())
	for i := range out {
		l := t.h.Load(t.fleet.Ref(i).ID)
		out[i] = uint16(l.Running + l.Queued)
	}
	return out
}

// InTransit implements balance.Truth: this host does not follow the wire.
func (t *truth) InTransit() []uint16 { return make([]uint16, t.fleet.Len()) }

// WorkLeft implements balance.Truth: this host does not follow work.
func (t *truth) WorkLeft() []time.Duration { return make([]time.Duration, t.fleet.Len()) }

// Shortest implements balance.Truth.
func (t *truth) Shortest(r balance.Dice) int {
	lens := t.Lens()
	best, ties := -1, 0
	for i, n := range lens {
		switch {
		case best < 0 || n < lens[best]:
			best, ties = i, 1
		case n == lens[best]:
			if ties++; balance.Below(r, ties) == 0 {
				best = i
			}
		}
	}
	return best
}
