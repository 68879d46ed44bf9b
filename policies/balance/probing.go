package balance

import (
	"time"

	"taillab/policies"
)

// probeTimeout is how long a policy without a parameter of its own waits for the
// answers to its probes (our choice).
const probeTimeout = 50 * time.Millisecond

// cand is one replica that a waiting request may go to.
type cand struct {
	ref  policies.Ref
	load int64
	ok   bool // the probe was answered
}

// waiting is a request whose candidates are being probed.
type waiting struct {
	req   uint64
	left  int    // probes still out
	cands []cand // in the order of sampling
	next  uint32 // free list, +1
}

// asking is one probe under way.
type asking struct {
	id   ProbeID
	wait uint32 // +1; 0 = free
	cand uint32
}

// probing keeps the requests that wait for probes. Probe numbers of an instance
// rise, so a ring indexed by their low bits finds them; it doubles when a probe
// would meet an older one that is still out.
type probing struct {
	ring []asking
	wait []waiting
	free uint32 // head of the free list, +1
}

// open starts a wait and returns its index.
func (p *probing) open(req uint64) int {
	if p.free == 0 {
		p.wait = append(p.wait, waiting{req: req})
		return len(p.wait) - 1
	}
	i := int(p.free - 1)
	w := &p.wait[i]
	p.free = w.next
	w.req, w.left, w.cands = req, 0, w.cands[:0]
	return i
}

// add makes a replica a candidate of wait i, once.
func (p *probing) add(i int, r policies.Ref) {
	w := &p.wait[i]
	for k := range w.cands {
		if w.cands[k].ref == r {
			return
		}
	}
	w.cands = append(w.cands, cand{ref: r})
}

// ask probes the candidates of wait i.
func (p *probing) ask(env *Env, i int, timeout time.Duration) {
	w := &p.wait[i]
	w.left = len(w.cands)
	for k := range w.cands {
		p.put(asking{id: env.Probe(w.cands[k].ref, timeout), wait: uint32(i) + 1, cand: uint32(k)})
	}
}

func (p *probing) put(a asking) {
	for len(p.ring) == 0 || p.ring[int(a.id)&(len(p.ring)-1)].wait != 0 {
		old := p.ring
		p.ring = make([]asking, max(16, 2*len(old)))
		for _, b := range old {
			if b.wait != 0 {
				p.ring[int(b.id)&(len(p.ring)-1)] = b
			}
		}
	}
	p.ring[int(a.id)&(len(p.ring)-1)] = a
}

// answer books the answer to a probe, or (ok false) that it is lost. It returns
// the wait when that was its last probe: decide, then close it. Else nil.
func (p *probing) answer(id ProbeID, l Load, ok bool) *waiting {
	if len(p.ring) == 0 {
		return nil
	}
	a := &p.ring[int(id)&(len(p.ring)-1)]
	if a.wait == 0 || a.id != id {
		return nil
	}
	w := &p.wait[a.wait-1]
	w.cands[a.cand].ok, w.cands[a.cand].load = ok, int64(l.Running)+int64(l.Queued)
	at := a.wait
	a.wait = 0
	if w.left--; w.left > 0 {
		return nil
	}
	w.next, p.free = p.free, at // free already: the caller opens no wait while it decides
	return w
}

// best returns the index in f of the candidate to take: among those that answered
// the healthier first, then the smaller load (over weight), then the first sampled;
// the first sampled when none answered; −1 when none is eligible any more. With
// dice, equal ones are drawn uniformly instead.
func (w *waiting) best(f *Fleet, dice Dice) int {
	best, first, ties := -1, -1, 1
	var load float64
	for k := range w.cands {
		c := &w.cands[k]
		i := f.Index(c.ref)
		if i < 0 {
			continue
		}
		if first < 0 {
			first = i
		}
		if !c.ok {
			continue
		}
		x := float64(c.load) / f.Weight(i)
		switch {
		case best < 0 || f.Health(i) < f.Health(best) || (f.Health(i) == f.Health(best) && x < load):
			best, load, ties = i, x, 1
		case dice != nil && f.Health(i) == f.Health(best) && x == load:
			if ties++; Below(dice, ties) == 0 {
				best = i
			}
		}
	}
	if best < 0 {
		return first
	}
	return best
}

// allowed is the fleet less the replicas that a further attempt must avoid: Pick is
// shown that view, a later decision makes it.
func allowed(env *Env, req uint64) *Fleet {
	if r := env.Request(req); r != nil {
		if tried := env.Exclude(r); len(tried) > 0 {
			return env.Fleet.Without(tried)
		}
	}
	return env.Fleet
}

// resolve ends a wait: the best candidate, else a uniform other replica.
func (w *waiting) resolve(env *Env, dice Dice) {
	f := allowed(env, w.req)
	i := w.best(f, dice)
	if i < 0 {
		i = f.One(env.Rand)
	}
	if i < 0 {
		env.Resolve(w.req, None())
		return
	}
	env.Resolve(w.req, To(f.Ref(i)))
}
