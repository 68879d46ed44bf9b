package quota

import (
	"cmp"
	"math"
	"slices"
	"time"

	"taillab/policies/share"
)

// holds is the concurrency quota of one group: units that requests hold until they are
// released or their term ends.
type holds struct {
	units   float64
	tenants []uint32
	list    []hold         // in order of taking
	at      map[uint64]int // by request: place in list
	held    float64
	next    time.Duration // the earliest end of a term; Never without one
	divide  share.Divider // nil: undivided
	window  time.Duration
	claims  []share.Claim
	part    []float64 // held by tenant
	waiting []demand  // denied by tenant
	whole   []float64 // reused: shares in whole units
	order   []int
}

type hold struct {
	req     uint64
	units   float64
	tenant  int // place
	expires time.Duration
}

// forever is the term of a hold that ends by release alone.
const forever = time.Duration(math.MaxInt64)

// denials is how long a denied request counts as waiting where the divider does not say.
const denials = 5 * time.Second

func newHolds(g *Group, units float64, divider func() share.Divider) *holds {
	h := &holds{units: units, tenants: g.Tenants, at: map[uint64]int{}, next: forever, divide: made(divider, g), window: denials}
	if h.divide == nil {
		return h
	}
	if w, ok := h.divide.(share.Windowed); ok {
		h.window = w.Window()
	}
	for i := range g.Tenants {
		h.claims = append(h.claims, share.Claim{Weight: weight(g, i)})
	}
	h.part, h.waiting = make([]float64, len(g.Tenants)), make([]demand, len(g.Tenants))
	return h
}

// take holds n units for a request until its term ends, expire having been called. There is no preemption: who is
// above its share gets nothing new until it is below.
func (h *holds) take(now time.Duration, tenant uint32, req uint64, n float64, term time.Duration) bool {
	i := 0
	if h.divide != nil {
		i = place(h.tenants, tenant)
	}
	if h.held+n > h.units+tiny || h.divide != nil && h.part[i]+n > h.share(now, i, n)+tiny {
		if h.divide != nil {
			h.waiting[i].ask(now, h.window, n)
		}
		return false
	}
	h.release(req) // one hold per request
	h.at[req] = len(h.list)
	h.list = append(h.list, hold{req, n, i, until(now, term)})
	h.next = min(h.next, until(now, term))
	h.book(i, n)
	return true
}

func until(now, term time.Duration) time.Duration {
	if term >= forever-now {
		return forever
	}
	return now + term
}

func (h *holds) book(i int, n float64) {
	if h.held += n; len(h.at) == 0 {
		h.held = 0 // rounding ends with the last hold
	}
	if h.divide != nil {
		h.part[i] = max(0, h.part[i]+n)
	}
}

// renew begins a hold's term anew; false: it has ended.
func (h *holds) renew(now time.Duration, req uint64, term time.Duration) bool {
	k, ok := h.at[req]
	if ok {
		h.list[k].expires = until(now, term)
	}
	return ok
}

// release ends a hold; a second time it does nothing.
func (h *holds) release(req uint64) {
	k, ok := h.at[req]
	if !ok {
		return
	}
	x := h.list[k]
	delete(h.at, req)
	last := len(h.list) - 1
	if k != last {
		h.list[k] = h.list[last]
		h.at[h.list[k].req] = k
	}
	h.list = h.list[:last]
	h.book(x.tenant, -x.units)
}

// expire drops the holds whose term is over.
func (h *holds) expire(now time.Duration) {
	if now < h.next {
		return
	}
	h.next = forever
	for k := 0; k < len(h.list); {
		if x := &h.list[k]; x.expires <= now {
			h.release(x.req)
			continue
		}
		h.next = min(h.next, h.list[k].expires)
		k++
	}
}

// wait is how long until the earliest term ends: what a denied request can count on.
func (h *holds) wait(now time.Duration) time.Duration {
	if h.next == forever {
		return forever
	}
	return max(h.next-now, 0)
}

// share is what tenant i may hold in all when it asks for n more: its share of the
// units by what everybody holds and waits for, in whole units.
func (h *holds) share(now time.Duration, i int, n float64) float64 {
	for k := range h.claims {
		h.claims[k].Demand = h.part[k] + h.waiting[k].sum(now, h.window)
	}
	h.claims[i].Demand += n
	h.whole = append(h.whole[:0], h.divide.Divide(h.units, h.claims)...)
	h.order = wholes(h.whole, h.order)
	return h.whole[i]
}

// wholes rounds shares down to whole units and gives what that leaves to the largest
// remainders, the first of equals first. The sum stays below the sum of the shares.
func wholes(x []float64, order []int) []int {
	spare := 0.0
	order = order[:0]
	for k := range x {
		order = append(order, k)
		spare += x[k] - math.Floor(x[k]+tiny)
	}
	rest := func(k int) float64 { return x[k] - math.Floor(x[k]+tiny) }
	slices.SortFunc(order, func(a, b int) int {
		return cmp.Or(cmp.Compare(math.Round(rest(b)/tiny), math.Round(rest(a)/tiny)), cmp.Compare(a, b))
	})
	for _, k := range order {
		more := 0.0
		if spare >= 1-tiny && rest(k) > tiny {
			more = 1
			spare--
		}
		x[k] = math.Floor(x[k]+tiny) + more
	}
	return order
}
