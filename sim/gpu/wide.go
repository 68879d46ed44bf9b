package gpu

import (
	"math/rand/v2"
	"time"

	"taillab/policies"
)

// wide is what a replica needs beyond one plain slot. Its work is of two sorts:
// jobs end at an instant fixed when they start (batches, prompts), sequences
// share a fluid whose pace changes with who is in it (tokens in their steps, ps).
type wide struct {
	m      float64       // the host's multiplier
	v      float64       // progress of the fluid since it was last empty: steps, or ns of work under ps
	vAt    time.Duration // instant of v
	pace   float64       // ns per unit of progress; 0 = it stands still
	kv     float64       // Σ (input + output/2) over the sequences
	open   time.Duration // time with a free slot so far, until replica.start
	prompt time.Duration // inline: time spent on prompts so far, until replica.start
	turn   time.Duration // sticky straggler: next change of speed
	seq    uint64        // numbers arrivals and starts

	noise   rand.PCG // of batches
	sojourn rand.PCG // of the sticky straggler

	line  int32 // heap of the waiting, for disciplines with a key
	jobs  int32 // heap of running jobs by end
	seqs  int32 // heap of sequences by the progress that ends them
	first list  // sequences before their first token, by the progress that yields it
	turns list  // inline: admitted prompts that wait for the engine
	in    list  // all requests in slots

	used int32 // slots taken; under ps the requests inside, which may be more
	n    int32 // sequences in the fluid
	slow bool  // sticky straggler: now slow
}

// list is a doubly linked list of nodes: by next and prev (in), or fore and aft
// (first, turns).
type list struct{ head, tail int32 }

// more is the cold half of a request in a wide replica, at its node's index.
type more struct {
	key              uint64 // heap order: end, progress or the discipline's key
	seq              uint64 // among equal keys
	child, sib, back int32  // heap links
	fore, aft        int32  // links of first and turns
	mate             int32  // next member of the batch

	input, output uint32
	factor        float64
	yields        float64       // progress that yields the first token
	began         time.Duration // left the queue
	asked         time.Duration // inline: own prompt's start
	own           time.Duration // inline: own prompt's time
	mark          time.Duration // open clock at arrival, then batching delay; tokens: prompt clock at admission
	first         time.Duration // instant of the first token
	place         uint8
}

// Where a request is.
const (
	waiting   = iota   // in the queue
	inTurn             // in a slot, its prompt waits for the engine
	inJob              // in a slot, its batch or prompt runs
	inFluid            // in a slot, stepping
	unyielded = 1 << 7 // flag: in the list of those before their first token
)

func (p *Pool) addWide(m *Model, noise rand.PCG) int32 {
	empty := list{none, none}
	w := wide{m: 1, line: none, jobs: none, seqs: none, first: empty, turns: empty, in: empty, noise: noise, turn: Never}
	if m.sticky {
		w.sojourn = *rand.NewPCG(w.noise.Uint64(), w.noise.Uint64())
		w.turn = 0
		w.slow = true // the first draw makes it fast
		w.flip(m)
	}
	if p.more == nil {
		p.more = make([]more, 0, cap(p.nodes))
	}
	p.wides = append(p.wides, w)
	p.growMore()
	return int32(len(p.wides) - 1)
}

// growMore brings the cold halves to the length of the hot ones.
func (p *Pool) growMore() {
	for len(p.more) < len(p.nodes) {
		p.more = append(p.more, more{})
	}
}

func (p *Pool) slotsTaken(rep *replica) int {
	return min(int(p.wides[rep.wide].used), p.models[rep.model].slots)
}

// due finds the next instant at which something happens by itself.
func (p *Pool) due(rep *replica, w *wide, m *Model) Due {
	at, timer := Never, Never
	if w.jobs != none {
		at = time.Duration(p.more[w.jobs].key)
	}
	if w.seqs != none && w.pace > 0 {
		at = min(at, w.reach(progress(p.more[w.seqs].key)))
		if p.WatchFirst && w.first.head != none {
			at = min(at, w.reach(p.more[w.first.head].yields))
		}
	}
	if rep.queued > 0 {
		oldest := p.nodes[rep.head].at
		if m.spec.MaxDelay > 0 && m.maxBatch > 1 && int(w.used) < m.slots {
			timer = after(oldest, m.spec.MaxDelay)
		}
		if m.spec.QueueTimeout > 0 {
			timer = min(timer, after(oldest, m.spec.QueueTimeout))
		}
	}
	if w.used > 0 || rep.queued > 0 { // an idle replica turns when someone comes
		timer = min(timer, w.turn)
	}
	if timer < at {
		return Due{timer, true}
	}
	return Due{At: at}
}

// run makes everything happen that is due before now, and at now too: the
// completions, and the timers where expire. It returns what is due next.
func (p *Pool) run(now time.Duration, rep *replica, expire bool, ev *Events) Due {
	w, m := &p.wides[rep.wide], p.models[rep.model]
	for {
		d := p.due(rep, w, m)
		switch {
		case d.At > now || d.At == Never || d.At == now && d.Timer && !expire:
			return d
		case d.Timer:
			p.timers(d.At, rep, w, m, ev)
		default:
			p.complete(d.At, rep, w, m, ev)
		}
	}
}

// tick brings the clocks up to t: busy slot time, time with a free slot, time
// spent on prompts. It is called before any of the three changes.
func (p *Pool) tick(t time.Duration, rep *replica, w *wide, m *Model) {
	dt := t - rep.start
	if dt <= 0 {
		return
	}
	rep.start = t
	rep.busy += dt * time.Duration(min(int(w.used), m.slots))
	if int(w.used) < m.slots {
		w.open += dt
	}
	if m.inline && w.jobs != none {
		w.prompt += dt
	}
}

// complete settles the completions of instant t, then starts what can start.
func (p *Pool) complete(t time.Duration, rep *replica, w *wide, m *Model, ev *Events) {
	ended := p.popEnded(t, w)
	p.cut(t, rep, w, m, ev)
	for _, i := range ended {
		p.leaveFluid(t, i, rep, w, m, ev)
	}
	for w.jobs != none && time.Duration(p.more[w.jobs].key) <= t {
		i := w.jobs
		w.jobs = p.pop(i)
		if m.kind == kindTokens {
			p.prompted(t, i, rep, w, m)
		} else {
			p.batchDone(t, i, rep, w, ev)
		}
	}
	p.fill(t, false, rep, w, m, ev)
	p.retime(rep, w, m)
}

// timers handles the batching delays, queue timeouts and turns of speed of
// instant t. A batch that is due takes its requests before they time out.
func (p *Pool) timers(t time.Duration, rep *replica, w *wide, m *Model, ev *Events) {
	if w.turn <= t {
		p.cut(t, rep, w, m, ev)
		w.flip(m)
		p.setRate(t, rep, w, m)
	}
	p.fill(t, true, rep, w, m, ev)
	for m.spec.QueueTimeout > 0 && rep.queued > 0 {
		i := rep.head
		if after(p.nodes[i].at, m.spec.QueueTimeout) > t {
			break
		}
		p.unqueue(i, rep, w, m)
		reject(ev, t, p.nodes[i].id, policies.DeadlineHit)
		p.give(i)
	}
	p.retime(rep, w, m)
}

// fill starts whatever a free slot can take at t; aged says that a batching delay
// that ends exactly now counts as over.
func (p *Pool) fill(t time.Duration, aged bool, rep *replica, w *wide, m *Model, ev *Events) {
	fluid := m.kind == kindTokens || m.queue == queuePS
	for rep.queued > 0 && (int(w.used) < m.slots || m.queue == queuePS) {
		if fluid {
			p.cut(t, rep, w, m, ev)
			p.admit(t, p.next(rep, w, m), rep, w, m, ev)
			continue
		}
		if int(rep.queued) < m.maxBatch && m.spec.MaxDelay > 0 {
			ripe := after(p.nodes[rep.head].at, m.spec.MaxDelay)
			if ripe > t || ripe == t && !aged {
				return
			}
		}
		p.tick(t, rep, w, m)
		p.dispatch(t, rep, w, m, ev)
	}
}

func (p *Pool) acceptWide(now time.Duration, rep *replica, it *Item, ev *Events) Due {
	d := p.run(now, rep, false, ev)
	w, m := &p.wides[rep.wide], p.models[rep.model]
	if m.maxLen > 0 && uint64(it.Input)+uint64(max(it.Output, 1)) > m.maxLen {
		reject(ev, now, it.ID, policies.TooLong)
		return d
	}
	if m.queueLimit >= 0 && p.full(rep, w, m) {
		reject(ev, now, it.ID, policies.QueueFull)
		return d
	}
	for w.turn < now { // only where it was idle since
		w.flip(m)
	}
	p.setRate(now, rep, w, m)
	p.tick(now, rep, w, m)
	p.enqueue(now, it, rep, w, m)
	p.fill(now, false, rep, w, m, ev)
	p.retime(rep, w, m)
	return p.due(rep, w, m)
}

// full tells whether the queue limit refuses one more. Requests that free slots
// can hold, waiting for their batch, do not count; under ps the limit bounds the
// requests beyond one per slot.
func (p *Pool) full(rep *replica, w *wide, m *Model) bool {
	if m.queue == queuePS {
		return int(w.used) >= m.slots+m.queueLimit
	}
	return int(rep.queued) >= m.queueLimit+(m.slots-int(w.used))*m.maxBatch
}

func (p *Pool) rateWide(now time.Duration, rep *replica, m float64, ev *Events) Due {
	p.run(now, rep, false, ev)
	w, mod := &p.wides[rep.wide], p.models[rep.model]
	p.cut(now, rep, w, mod, ev)
	w.m = m
	p.setRate(now, rep, w, mod)
	p.retime(rep, w, mod)
	return p.due(rep, w, mod)
}

// setRate applies the multipliers to the running jobs: their ends move, their
// order does not. The fluid follows by retime.
func (p *Pool) setRate(t time.Duration, rep *replica, w *wide, m *Model) {
	rate := rep.speed * w.m
	if w.slow {
		rate /= m.spec.Straggler.Factor
	}
	if rate == rep.rate {
		return // the usual case
	}
	all := p.scratch[:0]
	for w.jobs != none {
		all = append(all, w.jobs)
		w.jobs = p.pop(w.jobs)
	}
	for _, i := range all {
		n := &p.nodes[i]
		if rep.rate > 0 {
			n.work = float64(time.Duration(p.more[i].key)-t) * rep.rate
		}
		p.more[i].key = uint64(endAt(t, n.work, rate))
		w.jobs = p.push(w.jobs, i)
	}
	p.scratch = all
	rep.rate = rate
}

func (p *Pool) cancelWide(now time.Duration, rep *replica, id uint32, queuedOnly bool, ev *Events) Due {
	d := p.run(now, rep, false, ev)
	w, m := &p.wides[rep.wide], p.models[rep.model]
	if i := p.find(rep.head, id); i != none {
		p.unqueue(i, rep, w, m)
		reject(ev, now, id, policies.Cancelled)
		p.give(i)
		return p.due(rep, w, m)
	}
	i := p.find(w.in.head, id)
	if i == none || queuedOnly {
		return d
	}
	reject(ev, now, id, policies.Cancelled)
	rep.running--
	if !m.cuts {
		p.nodes[i].flags |= gone
		return d
	}
	p.cut(now, rep, w, m, ev)
	p.abandon(now, i, rep, w, m)
	p.fill(now, false, rep, w, m, ev)
	p.retime(rep, w, m)
	return p.due(rep, w, m)
}

// abandon frees the slot of a request that was cancelled in it.
func (p *Pool) abandon(t time.Duration, i int32, rep *replica, w *wide, m *Model) {
	x := &p.more[i]
	switch x.place &^ unyielded {
	case inTurn:
		p.unlinkFore(&w.turns, i)
	case inJob:
		w.jobs = p.drop(w.jobs, i)
		if m.kind == kindTokens {
			p.nextPrompt(t, rep, w, m)
		}
	case inFluid:
		if x.place&unyielded != 0 {
			p.unlinkFore(&w.first, i)
		}
		w.seqs = p.drop(w.seqs, i)
		w.n--
		w.kv -= x.context()
	}
	w.used--
	p.unlink(&w.in, i)
	p.give(i)
}

func (p *Pool) crashWide(now time.Duration, rep *replica, ev *Events) {
	w, m := &p.wides[rep.wide], p.models[rep.model]
	p.tick(now, rep, w, m)
	for _, head := range [2]int32{w.in.head, rep.head} {
		for i := head; i != none; {
			next := p.nodes[i].next
			if p.nodes[i].flags&gone == 0 {
				reject(ev, now, p.nodes[i].id, policies.Reset)
			}
			p.give(i)
			i = next
		}
	}
	empty := list{none, none}
	p.queued -= int(rep.queued)
	rep.head, rep.tail, rep.running, rep.queued = none, none, 0, 0
	w.line, w.jobs, w.seqs, w.first, w.turns, w.in = none, none, none, empty, empty, empty
	w.used, w.n, w.kv, w.m = 0, 0, 0, 1
	p.setRate(now, rep, w, m)
	p.retime(rep, w, m)
}
