package balance

import "taillab/policies"

// maxViews bounds how many views may be alive in one call: each level of decorators
// makes a few, and what they send makes the levels look again.
const maxViews = 16

// view takes the next scratch Fleet, with room for every known replica.
func (f *Fleet) view() *Fleet {
	b := f.c
	v := &b.views[b.nextView%maxViews]
	b.nextView++
	v.c, v.n, v.sick, v.sumW, v.ejected = b, 0, 0, 0, f.ejected
	v.weights, v.maxW = f.weights, f.maxW
	v.dense = grow(v.dense, b.t.N)
	v.pos = grow(v.pos, b.t.N)
	clear(v.pos)
	if words := (b.t.N + 63) / 64; len(v.bits) < words {
		v.bits = make([]uint64, words)
	} else {
		clear(v.bits)
	}
	return v
}

// put appends a replica to a fleet with columns of its own.
func (f *Fleet) put(id uint32) {
	f.dense[f.n] = id
	f.n++
	f.pos[id] = uint32(f.n)
	f.mark(id)
	if f.weights != nil {
		f.sumW += f.weights[id]
	}
	if f.c.health != nil && f.c.health[id] != Healthy {
		f.sick++
	}
}

// Without is the fleet less the given replicas.
func (f *Fleet) Without(refs []policies.Ref) *Fleet {
	return f.Keep(func(i int) bool {
		r := f.Ref(i)
		for _, x := range refs {
			if x == r {
				return false
			}
		}
		return true
	})
}

// Eject is Without, for replicas that a decorator holds to be outliers: panic counts
// them as not available, unlike those that a request has merely tried. The refs must
// be distinct.
func (f *Fleet) Eject(refs []policies.Ref) *Fleet {
	v := f.Without(refs)
	for _, r := range refs {
		if f.c.Fleet.Index(r) >= 0 {
			v.ejected++
		}
	}
	return v
}

// Widen is every known replica that is not draining, ejected and down ones too.
func (f *Fleet) Widen() *Fleet {
	v := f.view()
	v.ejected = 0
	for id := range uint32(f.c.t.N) {
		if (f.c.state == nil || f.c.state[id] == stateUp) && v.weightOf(id) > 0 {
			v.put(id)
		}
	}
	return v
}

// Keep is the replicas for which ok holds.
func (f *Fleet) Keep(ok func(i int) bool) *Fleet {
	v := f.view()
	for i := range f.n {
		if ok(i) {
			v.put(f.id(i))
		}
	}
	return v
}

// Reweigh is the fleet with other weights; whoever gets none is left out.
func (f *Fleet) Reweigh(w func(i int) float64) *Fleet {
	v := f.view()
	b := f.c
	k := b.nextView % maxViews
	if len(b.viewWeights[k]) < b.t.N {
		b.viewWeights[k] = make([]float64, b.t.N)
	}
	v.weights, v.maxW = b.viewWeights[k], 0
	for i := range f.n {
		id := f.id(i)
		if x := w(i); x > 0 {
			v.weights[id] = x
			v.maxW = max(v.maxW, x)
			v.put(id)
		}
	}
	return v
}
