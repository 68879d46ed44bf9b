package gpu

import (
	"time"

	"taillab/policies"
)

// The plain replica: one slot, order of arrival, a batch of one. It is the bulk of
// large simulations, so its calls touch one replica record and one or two nodes.

// workOf is the work of a request alone, in ns at speed 1, noise included.
func (p *Pool) workOf(m *Model, it *Item) float64 {
	ns := float64(it.Demand)
	if m.kind != kindService {
		s := float64(it.Input)
		var outside bool
		if ns, outside = m.batchTime(1, s, s*s); outside {
			p.noteOutside(m, m.axis(1, s))
		}
	}
	if it.Factor > 0 && it.Factor != 1 {
		ns *= it.Factor
	}
	return max(0, ns)
}

func (m *Model) axis(items, tokens float64) float64 {
	if m.onTokens {
		return tokens
	}
	return items
}

func (p *Pool) acceptPlain(now time.Duration, rep *replica, it *Item, ev *Events) Due {
	if rep.end <= now { // a late host; one in time settles completions first
		p.settlePlain(now, rep, ev)
	}
	m := p.models[rep.model]
	if rep.running > 0 && m.queueLimit >= 0 && int(rep.queued) >= m.queueLimit {
		reject(ev, now, it.ID, policies.QueueFull)
		return Due{At: rep.end}
	}
	i := p.take()
	n := &p.nodes[i]
	n.at, n.work, n.id, n.next, n.flags = now, p.workOf(m, it), it.ID, none, 0
	if rep.running == 0 {
		rep.head, rep.tail, rep.running = i, i, 1
		p.beginPlain(now, rep, n, ev)
		return Due{At: rep.end}
	}
	p.nodes[rep.tail].next = i
	rep.tail = i
	rep.queued++
	p.queued++
	return Due{At: rep.end}
}

// Enter is Accept where the pool is Direct and completions until now are settled. It
// returns when the request is done if it starts at once, else Never.
func (p *Pool) Enter(now time.Duration, r, id uint32, demand time.Duration) time.Duration {
	rep := &p.reps[r]
	i := p.take()
	n := &p.nodes[i]
	n.at, n.work, n.id, n.next, n.flags = now, max(0, float64(demand)), id, none, 0
	if rep.running > 0 {
		p.nodes[rep.tail].next = i
		rep.tail = i
		rep.queued++
		p.queued++
		return Never
	}
	rep.head, rep.tail, rep.running = i, i, 1
	rep.start, rep.end = now, endAt(now, n.work, rep.rate)
	return rep.end
}

// Leave is Settle for the request that is done now, where the pool is Direct: its
// number, how long it was queued, and when the next one is done, Never without one. A
// request that was cancelled is not wanted.
func (p *Pool) Leave(r uint32) (id uint32, queue, end time.Duration, wanted bool) {
	rep := &p.reps[r]
	i, now := rep.head, rep.end
	n := &p.nodes[i]
	id, queue, wanted = n.id, rep.start-n.at, n.flags&gone == 0
	next := n.next
	n.next, p.free = p.free, i
	rep.busy += now - rep.start
	rep.head = next
	if next == none {
		rep.tail, rep.running, rep.end = none, 0, Never
		return id, queue, Never, wanted
	}
	rep.queued--
	p.queued--
	rep.start, rep.end = now, endAt(now, p.nodes[next].work, rep.rate)
	return id, queue, rep.end, wanted
}

// beginPlain starts the head's service.
func (p *Pool) beginPlain(now time.Duration, rep *replica, n *node, ev *Events) {
	rep.start = now
	rep.end = endAt(now, n.work, rep.rate)
	if !p.SkipBegan {
		ev.add(Began, policies.OK, n.id, now)
	}
}

// endAt is when work begun now is done at a rate.
func endAt(now time.Duration, work, rate float64) time.Duration {
	if rate == 0 {
		return Never
	}
	if rate != 1 {
		work /= rate
	}
	return after(now, round(work))
}

func (p *Pool) settlePlain(now time.Duration, rep *replica, ev *Events) {
	for rep.end <= now {
		i, end := rep.head, rep.end
		n := &p.nodes[i]
		if n.flags&gone == 0 {
			e := ev.add(Finished, policies.OK, n.id, end)
			e.Queue, e.Service = rep.start-n.at, end-rep.start
		}
		p.nextPlain(end, rep, n.next, ev)
		p.give(i)
	}
}

// nextPlain ends the head's service at an instant and starts the next one's.
func (p *Pool) nextPlain(now time.Duration, rep *replica, next int32, ev *Events) {
	rep.busy += now - rep.start
	rep.head = next
	if next == none {
		rep.tail, rep.running, rep.end = none, 0, Never
		return
	}
	rep.queued--
	p.queued--
	p.beginPlain(now, rep, &p.nodes[next], ev)
}

func (p *Pool) cancelPlain(now time.Duration, rep *replica, id uint32, queuedOnly bool, ev *Events) Due {
	if rep.end <= now {
		p.settlePlain(now, rep, ev)
	}
	before, i := int32(none), rep.head
	for i != none && (p.nodes[i].id != id || p.nodes[i].flags&gone != 0) {
		before, i = i, p.nodes[i].next
	}
	if i == none || i == rep.head && queuedOnly {
		return Due{At: rep.end}
	}
	reject(ev, now, id, policies.Cancelled)
	next := p.nodes[i].next
	switch {
	case i != rep.head:
		p.nodes[before].next = next
		if next == none {
			rep.tail = before
		}
		rep.queued--
		p.queued--
		p.give(i)
	case p.models[rep.model].cuts:
		p.nextPlain(now, rep, next, ev)
		p.give(i)
	default:
		p.nodes[i].flags |= gone
	}
	return Due{At: rep.end}
}

func (p *Pool) crashPlain(now time.Duration, rep *replica, ev *Events) {
	if rep.running > 0 {
		rep.busy += now - rep.start
	}
	for i := rep.head; i != none; {
		n := &p.nodes[i]
		next := n.next
		if n.flags&gone == 0 {
			reject(ev, now, n.id, policies.Reset)
		}
		p.give(i)
		i = next
	}
	p.queued -= int(rep.queued)
	rep.head, rep.tail, rep.running, rep.queued, rep.end = none, none, 0, 0, Never
	rep.rate = rep.speed
}

func (p *Pool) ratePlain(now time.Duration, rep *replica, rate float64, ev *Events) Due {
	if rep.end <= now {
		p.settlePlain(now, rep, ev)
	}
	if rep.running > 0 && rate != rep.rate {
		n := &p.nodes[rep.head]
		if rep.rate > 0 {
			n.work = float64(rep.end-now) * rep.rate
		}
		rep.end = endAt(now, n.work, rate)
	}
	rep.rate = rate
	return Due{At: rep.end}
}
