package gpu

import (
	"math"
	"time"
)

// The fluid: requests that progress side by side, all at the same pace. Under ps
// a unit of progress is 1 ns of work, for tokens it is one step. Who is in it
// changes at whole nanoseconds only; between changes nothing is computed.

// progress reads a key of the heap of sequences. Bits of floats ≥ 0 sort as the
// floats do.
func progress(key uint64) float64 { return math.Float64frombits(key) }

// reach is the instant at which the fluid will have progressed so far.
func (w *wide) reach(v float64) time.Duration {
	return after(w.vAt, nearest((v-w.v)*w.pace))
}

// together is how close in ns two ends are one. Sums of floats leave equal ends a
// millionth of a ns apart; if half a ns lay between, one would round up and stand
// still for the prompt that takes the other's slot.
const together = 1.0 / 64

// popEnded takes out the sequences that end until t. The slice is good until the
// next call.
func (p *Pool) popEnded(t time.Duration, w *wide) []int32 {
	out := p.scratch[:0]
	last := math.Inf(-1)
	for w.seqs != none && w.pace > 0 {
		v := progress(p.more[w.seqs].key)
		if w.reach(v) > t && (v-last)*w.pace > together {
			break
		}
		last = v
		out = append(out, w.seqs)
		w.seqs = p.pop(w.seqs)
	}
	p.scratch = out
	return out
}

// cut brings the clocks and the fluid up to t, before anything changes there.
func (p *Pool) cut(t time.Duration, rep *replica, w *wide, m *Model, ev *Events) {
	p.tick(t, rep, w, m)
	if w.pace > 0 && t > w.vAt {
		p.yield(t, w, ev)
		w.v += float64(t-w.vAt) / w.pace
	}
	w.vAt = t
}

// yield notes the first tokens that came out until t.
func (p *Pool) yield(t time.Duration, w *wide, ev *Events) {
	for i := w.first.head; i != none; i = w.first.head {
		x := &p.more[i]
		at := w.reach(x.yields)
		if at > t {
			return
		}
		x.first = at
		x.place &^= unyielded
		p.unlinkFore(&w.first, i)
		if p.WatchFirst {
			ev.List = append(ev.List, Event{Kind: FirstToken, ID: p.nodes[i].id, At: at, First: at})
		}
	}
}

// retime sets the pace after the fluid, its context, the rate or the engine's
// prompt has changed.
func (p *Pool) retime(rep *replica, w *wide, m *Model) {
	if w.n == 0 {
		w.v, w.kv, w.pace = 0, 0, 0 // an empty fluid forgets, and rounding with it
		return
	}
	switch {
	case rep.rate == 0 || m.inline && w.jobs != none:
		w.pace = 0
	case m.kind == kindTokens:
		w.pace = m.stepTime(float64(w.n), w.kv) / rep.rate
	default:
		w.pace = max(1, float64(w.n)/float64(m.slots)) / rep.rate
	}
	if w.v > rebase {
		p.rebase(w)
	}
}

// rebase bounds the fluid's progress: floats below 2³⁰ resolve 2⁻²² of a unit.
const rebase = 1 << 30

func (p *Pool) rebase(w *wide) {
	all := p.scratch[:0]
	for w.seqs != none {
		all = append(all, w.seqs)
		w.seqs = p.pop(w.seqs)
	}
	for _, i := range all {
		x := &p.more[i]
		x.key = math.Float64bits(max(0, progress(x.key)-w.v))
		x.yields = max(0, x.yields-w.v)
		w.seqs = p.push(w.seqs, i)
	}
	p.scratch = all
	w.v = 0
}

// admit gives request i, just taken from the queue, a slot at t.
func (p *Pool) admit(t time.Duration, i int32, rep *replica, w *wide, m *Model, ev *Events) {
	p.seat(w, i)
	w.used++
	rep.running++
	x := &p.more[i]
	x.began, x.mark = t, w.prompt
	if !p.SkipBegan {
		ev.List = append(ev.List, Event{Kind: Began, ID: p.nodes[i].id, At: t, First: t})
	}
	switch {
	case m.kind != kindTokens:
		p.enterFluid(i, p.nodes[i].work, rep, w, m)
	case m.inline && w.jobs != none:
		x.place = inTurn
		p.linkFore(&w.turns, w.turns.tail, i)
	default:
		p.startPrompt(t, i, rep, w, m)
	}
}

// startPrompt lets the engine work on a prompt; one without work steps at once.
func (p *Pool) startPrompt(t time.Duration, i int32, rep *replica, w *wide, m *Model) {
	x := &p.more[i]
	ns, outside := m.prefillTime(float64(x.input))
	if outside {
		p.noteOutside(m, float64(x.input))
	}
	x.asked = t
	if ns == 0 {
		p.enterFluid(i, x.factor*float64(x.output), rep, w, m)
		return
	}
	p.nodes[i].work = ns * x.factor
	x.place = inJob
	x.key, x.seq = uint64(endAt(t, p.nodes[i].work, rep.rate)), w.seq
	w.seq++
	w.jobs = p.push(w.jobs, i)
}

// prompted moves a request from its prompt to its steps.
func (p *Pool) prompted(t time.Duration, i int32, rep *replica, w *wide, m *Model) {
	x := &p.more[i]
	x.own = t - x.asked
	p.enterFluid(i, x.factor*float64(x.output), rep, w, m)
	p.nextPrompt(t, rep, w, m)
}

// nextPrompt starts the next prompts in turn, until one has work.
func (p *Pool) nextPrompt(t time.Duration, rep *replica, w *wide, m *Model) {
	for m.inline && w.jobs == none && w.turns.head != none {
		i := w.turns.head
		p.unlinkFore(&w.turns, i)
		p.startPrompt(t, i, rep, w, m)
	}
}

// enterFluid adds a request that needs so many units of progress. The fluid has
// been brought up to the present.
func (p *Pool) enterFluid(i int32, need float64, rep *replica, w *wide, m *Model) {
	x := &p.more[i]
	w.n++
	w.kv += x.context()
	p.retime(rep, w, m)
	if w.pace > 0 && need > 0 {
		need = max(need, 1/w.pace) // no work takes less than 1 ns
	}
	x.place = inFluid
	x.key, x.seq = math.Float64bits(w.v+need), w.seq
	w.seq++
	w.seqs = p.push(w.seqs, i)
	if m.kind != kindTokens {
		return
	}
	x.place |= unyielded
	x.yields = w.v + min(need, x.factor)
	after := w.first.tail
	for after != none && p.more[after].yields > x.yields {
		after = p.more[after].aft
	}
	p.linkFore(&w.first, after, i)
}

// leaveFluid finishes a sequence that popEnded took out.
func (p *Pool) leaveFluid(t time.Duration, i int32, rep *replica, w *wide, m *Model, ev *Events) {
	n, x := &p.nodes[i], &p.more[i]
	if x.place&unyielded != 0 { // rounding put its only token a hair after its end
		x.first = t
		p.unlinkFore(&w.first, i)
	}
	first, others := t, time.Duration(0)
	if m.kind == kindTokens {
		first, others = x.first, w.prompt-x.mark-x.own
	}
	if !m.inline {
		others = 0
	}
	queue := x.began - n.at
	ev.List = append(ev.List, Event{
		Kind: Finished, ID: n.id, At: t, First: first,
		Queue: queue, Batch: others, Service: t - n.at - queue - others,
	})
	w.n--
	w.kv -= x.context()
	w.used--
	rep.running--
	p.unlink(&w.in, i)
	p.give(i)
}

// context is the mean number of tokens the sequence attends to over its steps.
func (x *more) context() float64 { return float64(x.input) + float64(x.output)/2 }

// linkFore puts node i behind node at (none = first) of a list linked by fore and aft.
func (p *Pool) linkFore(l *list, at, i int32) {
	x := &p.more[i]
	x.aft = at
	if at == none {
		x.fore, l.head = l.head, i
	} else {
		x.fore, p.more[at].fore = p.more[at].fore, i
	}
	if x.fore == none {
		l.tail = i
	} else {
		p.more[x.fore].aft = i
	}
}
