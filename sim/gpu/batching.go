package gpu

import (
	"time"

	"taillab/policies/chance"
)

// dispatch puts the next requests into a free slot as one batch. Its time is
// fixed here and never cut. Factors of requests enter as their mean, which is 1
// on average whatever the size of the batch.
func (p *Pool) dispatch(t time.Duration, rep *replica, w *wide, m *Model, ev *Events) {
	size := min(int(rep.queued), m.maxBatch)
	head, last := int32(none), int32(none)
	var tokens, tokensSq, factors float64
	for range size {
		i := p.next(rep, w, m)
		p.seat(w, i)
		x := &p.more[i]
		x.began, x.mark, x.place = t, w.open-x.mark, inJob
		s := float64(x.input)
		tokens, tokensSq, factors = tokens+s, tokensSq+float64(s*s), factors+x.factor
		if last == none {
			head = i
		} else {
			p.more[last].mate = i
		}
		last = i
		if !p.SkipBegan {
			ev.List = append(ev.List, Event{Kind: Began, ID: p.nodes[i].id, At: t, First: t})
		}
	}
	n := &p.nodes[head]
	if m.kind != kindService { // a request with its own demand brings its noise in it
		n.work = p.batchWork(m, float64(size), tokens, tokensSq) * factors / float64(size)
	}
	if m.perBatch {
		n.work *= w.draw(m)
	}
	x := &p.more[head]
	x.key, x.seq = uint64(endAt(t, n.work, rep.rate)), w.seq
	w.seq++
	w.jobs = p.push(w.jobs, head)
	w.used++
	rep.running += uint32(size)
}

func (p *Pool) batchWork(m *Model, items, tokens, tokensSq float64) float64 {
	ns, outside := m.batchTime(items, tokens, tokensSq)
	if outside {
		p.noteOutside(m, m.axis(items, tokens))
	}
	return ns
}

// draw takes the noise of one batch from the replica's stream.
func (w *wide) draw(m *Model) float64 {
	z, u := 0.0, 1.0
	if m.sigma > 0 {
		z = chance.Normal(&w.noise)
	}
	if m.prob > 0 {
		u = chance.Float(&w.noise)
	}
	return m.factor(z, u)
}

// flip changes the sticky straggler's state and draws how long it lasts.
func (w *wide) flip(m *Model) {
	mean := m.spec.Straggler.SlowFor
	if w.slow {
		mean = m.spec.Straggler.FastFor
	}
	w.slow = !w.slow
	w.turn = after(w.turn, max(1, round(float64(mean)*chance.Exp(&w.sojourn))))
}

// batchDone ends a batch by its first member and frees its slot.
func (p *Pool) batchDone(t time.Duration, head int32, rep *replica, w *wide, ev *Events) {
	for i := head; i != none; {
		n, x := &p.nodes[i], &p.more[i]
		mate := x.mate
		if n.flags&gone == 0 {
			rep.running--
			ev.List = append(ev.List, Event{
				Kind: Finished, ID: n.id, At: t, First: t,
				Queue: x.began - n.at - x.mark, Batch: x.mark, Service: t - x.began,
			})
		}
		p.unlink(&w.in, i)
		p.give(i)
		i = mate
	}
	w.used--
}
