package gpu

import (
	"math"
	"time"
)

// The queue of a wide replica: a list in order of arrival, which gives the oldest,
// fcfs and lifo, and beside it a heap for the disciplines that have a key.

// enqueue files a new request as the newest of the waiting.
func (p *Pool) enqueue(now time.Duration, it *Item, rep *replica, w *wide, m *Model) {
	i := p.take()
	n, x := &p.nodes[i], &p.more[i]
	*n = node{at: now, id: it.ID, next: none, prev: rep.tail}
	*x = more{
		seq: w.seq, child: none, sib: none, back: none, fore: none, aft: none, mate: none,
		input: it.Input, output: max(it.Output, 1), factor: it.Factor, mark: w.open, place: waiting,
	}
	w.seq++
	if !(x.factor > 0) {
		x.factor = 1
	}
	if m.kind == kindService || m.queue == queuePS {
		n.work = p.workOf(m, it)
	}
	if rep.tail == none {
		rep.head = i
	} else {
		p.nodes[rep.tail].next = i
	}
	rep.tail = i
	rep.queued++
	p.queued++
	if m.queue >= queuePriority {
		x.key = p.rank(it, n, x, m)
		w.line = p.push(w.line, i)
	}
}

// rank is the discipline's key: the least goes first.
func (p *Pool) rank(it *Item, n *node, x *more, m *Model) uint64 {
	switch m.queue {
	case queuePriority:
		return uint64(math.MaxInt8 - int(it.Priority))
	case queueEDF:
		if it.Deadline <= 0 {
			return math.MaxUint64
		}
		return uint64(it.Deadline)
	}
	return math.Float64bits(m.alone(n, x))
}

// alone is the true work of a request by itself, in ns at speed 1.
func (m *Model) alone(n *node, x *more) float64 {
	in, out := float64(x.input), float64(x.output)
	switch m.kind {
	case kindService:
		return n.work
	case kindTokens:
		t, _ := m.prefillTime(in)
		return x.factor * (t + float64(out*m.stepTime(1, x.context())))
	}
	t, _ := m.batchTime(1, in, in*in)
	return x.factor * t
}

// next takes the request whose turn it is out of the queue.
func (p *Pool) next(rep *replica, w *wide, m *Model) int32 {
	i := rep.head
	switch {
	case m.queue == queueLIFO:
		i = rep.tail
	case m.queue >= queuePriority:
		i = w.line
	}
	p.unqueue(i, rep, w, m)
	return i
}

// unqueue takes request i out of the queue.
func (p *Pool) unqueue(i int32, rep *replica, w *wide, m *Model) {
	waiting := list{rep.head, rep.tail}
	p.unlink(&waiting, i)
	rep.head, rep.tail = waiting.head, waiting.tail
	rep.queued--
	p.queued--
	if m.queue >= queuePriority {
		w.line = p.drop(w.line, i)
	}
}

// seat files request i as the newest of those in slots.
func (p *Pool) seat(w *wide, i int32) {
	n := &p.nodes[i]
	n.next, n.prev = none, w.in.tail
	if w.in.tail == none {
		w.in.head = i
	} else {
		p.nodes[w.in.tail].next = i
	}
	w.in.tail = i
}

// unlink takes node i out of a list linked by next and prev.
func (p *Pool) unlink(l *list, i int32) {
	n := &p.nodes[i]
	if n.prev == none {
		l.head = n.next
	} else {
		p.nodes[n.prev].next = n.next
	}
	if n.next == none {
		l.tail = n.prev
	} else {
		p.nodes[n.next].prev = n.prev
	}
}

// unlinkFore takes node i out of a list linked by fore and aft.
func (p *Pool) unlinkFore(l *list, i int32) {
	x := &p.more[i]
	if x.aft == none {
		l.head = x.fore
	} else {
		p.more[x.aft].fore = x.fore
	}
	if x.fore == none {
		l.tail = x.aft
	} else {
		p.more[x.fore].aft = x.aft
	}
	x.fore, x.aft = none, none
}

// find looks for a live request in a list, from node i on.
func (p *Pool) find(i int32, id uint32) int32 {
	for i != none && (p.nodes[i].id != id || p.nodes[i].flags&gone != 0) {
		i = p.nodes[i].next
	}
	return i
}
