package quota

import (
	"slices"
	"time"

	"taillab/policies/share"
)

// bank is the counters of one group with a rate limit.
//
// Undivided it is one counter. Divided, every tenant has a reserve inside it that fills
// at the rate it gets when everybody wants everything, and a roof that fills at the rate
// it would get if it alone wanted everything, the others what they want now. A tenant
// takes its reserve, or borrows below its roof what no other tenant's reserve holds. So
// the group's limit is exact whatever the divider, a tenant that comes back finds its
// part at once, and what is idle is lent.
type bank struct {
	group   counter
	tenants []uint32
	window  time.Duration // of demand; 0: the divider does not look at it
	divide  share.Divider // nil: undivided
	claims  []share.Claim
	members []member
}

// member is one tenant of a divided bank.
type member struct {
	reserve counter
	roof    counter
	lends   bool // the roof is above the reserve
	until   time.Duration
	demand  demand
}

// roofs is how often per window a tenant's roof is computed anew.
const roofs = 50

// newBank makes the counters of a group at a part of its limit; the burst is at least
// one unit, so that one request can go.
func newBank(g *Group, rate, burst float64, gcra bool, divider func() share.Divider) *bank {
	b := &bank{group: newCounter(rate, max(burst, 1), gcra), tenants: g.Tenants}
	if b.divide = made(divider, g); b.divide == nil {
		return b
	}
	if w, ok := b.divide.(share.Windowed); ok {
		b.window = w.Window()
	}
	b.members = make([]member, len(g.Tenants))
	for i := range g.Tenants {
		b.claims = append(b.claims, share.Claim{Demand: rate, Weight: weight(g, i)})
	}
	floors := b.divide.Divide(rate, b.claims)
	for i := range b.members {
		b.members[i].reserve = newCounter(floors[i], max(1, b.group.burst*floors[i]/rate), false)
		b.members[i].roof = b.members[i].reserve
	}
	for i := range b.claims {
		b.claims[i].Demand = 0
	}
	return b
}

// made returns a divider for a group that has something to divide, else nil.
func made(divider func() share.Divider, g *Group) share.Divider {
	if divider == nil || len(g.Tenants) < 2 {
		return nil
	}
	d := divider()
	if _, ok := d.(share.Undivided); ok {
		return nil
	}
	return d
}

func weight(g *Group, i int) float64 {
	if i < len(g.Weights) {
		return g.Weights[i]
	}
	return 1
}

// place is a tenant's position in the group; one that is no member stands first.
func place(tenants []uint32, tenant uint32) int {
	i, ok := slices.BinarySearch(tenants, tenant)
	if !ok {
		return 0
	}
	return i
}

// most is the cost above which nothing can ever be admitted.
func (b *bank) most(tenant uint32) float64 {
	if b.divide != nil {
		if m := &b.members[place(b.tenants, tenant)]; b.window == 0 { // nothing is ever lent
			return min(b.group.burst, m.reserve.burst)
		}
	}
	return b.group.burst
}

// wants books demand of a tenant, admitted or not.
func (b *bank) wants(now time.Duration, tenant uint32, n float64) {
	if b.divide != nil && b.window > 0 {
		b.members[place(b.tenants, tenant)].demand.ask(now, b.window, n)
	}
}

// take books n units of a tenant if they are there; else it says when they will be, as
// far as the counters know.
func (b *bank) take(now time.Duration, tenant uint32, n float64) (bool, time.Duration) {
	b.wants(now, tenant, n)
	if ok, wait := b.has(now, tenant, n); !ok {
		return false, wait
	}
	b.book(now, tenant, n)
	return true, 0
}

// has tells whether a tenant may take n units.
func (b *bank) has(now time.Duration, tenant uint32, n float64) (bool, time.Duration) {
	ok, wait := b.group.has(now, n)
	if b.divide == nil {
		return ok, wait
	}
	i := place(b.tenants, tenant)
	own, later := b.members[i].reserve.has(now, n)
	if ok && (own || b.lendable(now, i) >= n-tiny) {
		return true, 0
	}
	return false, max(wait, later)
}

// left is how many units a tenant could take now; negative: debt of the group.
func (b *bank) left(now time.Duration, tenant uint32) float64 {
	all := b.group.left(now)
	if b.divide == nil {
		return all
	}
	i := place(b.tenants, tenant)
	return min(all, max(b.members[i].reserve.left(now), b.lendable(now, i)))
}

// lendable is what member i may take where its own reserve is not enough: what the
// reserves of the others leave, up to its roof.
func (b *bank) lendable(now time.Duration, i int) float64 {
	m := &b.members[i]
	if b.window == 0 {
		return 0
	}
	if now >= m.until {
		b.raise(now, i)
	}
	if !m.lends {
		return 0
	}
	free := b.group.left(now)
	for k := range b.members {
		if k != i {
			free -= max(0, b.members[k].reserve.left(now))
		}
	}
	return min(free, m.roof.left(now))
}

// raise computes the roof of member i.
func (b *bank) raise(now time.Duration, i int) {
	for k := range b.members {
		b.claims[k].Demand = b.members[k].demand.sum(now, b.window) / b.window.Seconds()
	}
	b.claims[i].Demand = b.group.rate
	m := &b.members[i]
	rate := b.divide.Divide(b.group.rate, b.claims)[i]
	m.lends = rate > m.reserve.rate*(1+tiny)
	m.roof.rerate(now, rate, max(1, b.group.burst*rate/b.group.rate))
	m.until = now + b.window/roofs
}

// book takes n units of a tenant, whatever there is.
func (b *bank) book(now time.Duration, tenant uint32, n float64) {
	b.group.take(now, n)
	if b.divide == nil {
		return
	}
	m := &b.members[place(b.tenants, tenant)]
	m.roof.take(now, n)
	m.reserve.take(now, min(n, max(0, m.reserve.left(now)))) // the rest is borrowed
}

// give books d units of a tenant back; a negative d is a further charge.
func (b *bank) give(now time.Duration, tenant uint32, d float64) {
	if d < 0 {
		b.book(now, tenant, -d)
		return
	}
	b.group.give(now, d)
	if b.divide != nil {
		m := &b.members[place(b.tenants, tenant)]
		m.roof.give(now, d)
		m.reserve.give(now, d)
	}
}
