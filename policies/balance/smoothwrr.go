package balance

import "taillab/policies"

// SmoothWRR is nginx's smooth weighted round-robin: a sequence in which a replica
// of weight 5 is picked five times as often as one of weight 1, but never in a row
// when it can be helped. It costs O(n) per pick.
type SmoothWRR struct {
	Start    string `yaml:"start" about:"where the sequence of a front end begins" enum:"random|zero"`
	MaxFails int    `yaml:"max_fails" about:"failures that take a replica's whole weight away; it comes back by 1 per pick" min:"1"`

	seq     sequence
	lost    []float64 // by ID: what failures have taken off the weight
	ew      []float64 // by ID: effective weights of this pick
	hurt    int       // replicas with something lost
	fresh   bool      // ew is that of the whole fleet, nothing lost
	started bool
}

// Pick implements Balancer.
func (p *SmoothWRR) Pick(env *Env, _ *policies.Request) Choice {
	f := env.Fleet
	if f.Len() == 0 {
		return None()
	}
	if !p.started {
		p.started = true
		if p.Start != startZero {
			for range Below(env.Rand, f.Len()) {
				p.weigh(f)
				p.seq.next(f, p.ew)
			}
		}
	}
	p.weigh(f)
	return To(f.Ref(p.seq.next(f, p.ew)))
}

// weigh sets the effective weights and lets what failures took come back. While
// nothing is lost they stay what they are.
func (p *SmoothWRR) weigh(f *Fleet) {
	whole := f == &f.c.Fleet
	if p.fresh && whole {
		return
	}
	p.fresh = whole && p.hurt == 0
	p.lost, p.ew = extend(p.lost, f.span()), extend(p.ew, f.span())
	for i := range f.Len() {
		id := f.Ref(i).ID
		lost := p.lost[id]
		p.ew[id] = max(0, f.Weight(i)-lost)
		if lost > 0 { // after the reading, as nginx does: the pick still sees the loss
			p.lose(id, max(0, lost-1))
		}
	}
}

// lose sets what a replica has lost.
func (p *SmoothWRR) lose(id uint32, lost float64) {
	was := p.lost[id]
	p.lost[id] = lost
	switch {
	case was == 0 && lost > 0:
		p.hurt++
		p.fresh = false
	case was > 0 && lost == 0:
		p.hurt--
	}
}

// Sent implements Attempts.
func (p *SmoothWRR) Sent(*Env, Attempt) {}

// Ended implements Attempts: a failure costs w/max_fails of the weight w.
func (p *SmoothWRR) Ended(env *Env, d Done) {
	if !failed(d.Outcome) {
		return
	}
	f := env.Fleet
	if f.c.Inc(d.Ref.ID) != d.Ref.Inc {
		return
	}
	p.lost = extend(p.lost, f.span())
	w := f.weightOf(d.Ref.ID) // by ID: the failure may have taken it off the fleet
	p.lose(d.Ref.ID, min(w, p.lost[d.Ref.ID]+w/float64(max(1, p.MaxFails))))
}

// Changed implements Members: a removed or restarted replica starts afresh, the
// others keep their place in the sequence.
func (p *SmoothWRR) Changed(_ *Env, c *Change) {
	p.fresh = false
	if c.Kind != ChangeAdded && c.Kind != ChangeRemoved {
		return
	}
	p.seq.forget(c.Ref.ID)
	if int(c.Ref.ID) < len(p.lost) {
		p.lose(c.Ref.ID, 0)
	}
}

// failed tells whether an outcome speaks against the replica rather than against
// the request or its client.
func failed(o policies.Outcome) bool {
	switch o {
	case policies.OK, policies.Cancelled, policies.TooLong, policies.HTTP4xx, policies.Unfinished:
		return false
	}
	return true
}

// sequence is the state of smooth weighted round-robin: the current weights, by ID.
type sequence struct{ cw []float64 }

// next adds each effective weight to its current weight, takes the largest (the
// lowest ID on ties: the sequence is the definition) and charges it the sum.
func (s *sequence) next(f *Fleet, ew []float64) int {
	s.cw = extend(s.cw, f.span())
	if f.dense == nil {
		return s.whole(ew[:f.n])
	}
	best, bestID, sum := -1, uint32(0), 0.0
	for i, id := range f.dense[:f.n] {
		s.cw[id] += ew[id]
		sum += ew[id]
		if best < 0 || s.cw[id] > s.cw[bestID] || (s.cw[id] == s.cw[bestID] && id < bestID) {
			best, bestID = i, id
		}
	}
	if best >= 0 {
		s.cw[bestID] -= sum
	}
	return best
}

// whole is next for a fleet in which every index is its ID.
func (s *sequence) whole(ew []float64) int {
	cw := s.cw[:len(ew)]
	best, top, sum := -1, 0.0, 0.0
	for i, w := range ew {
		x := cw[i] + w
		cw[i] = x
		sum += w
		if best < 0 || x > top {
			best, top = i, x
		}
	}
	if best >= 0 {
		cw[best] = top - sum
	}
	return best
}

func (s *sequence) forget(id uint32) {
	if int(id) < len(s.cw) {
		s.cw[id] = 0
	}
}

// extend returns s with at least n elements; new ones are zero.
func extend[T any](s []T, n int) []T {
	if n <= len(s) {
		return s
	}
	return append(s, make([]T, n-len(s))...)
}
