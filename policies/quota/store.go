package quota

import (
	"math"
	"time"

	"taillab/policies"
	"taillab/policies/share"
)

// rates is the Store of limits in units per second: one bank per group that the shard
// has been asked for.
type rates struct {
	groups  []Group
	banks   []*bank
	gcra    bool
	divider func() share.Divider
}

func newRates(groups []Group, gcra bool, divider func() share.Divider) *rates {
	return &rates{groups: groups, banks: make([]*bank, len(groups)), gcra: gcra, divider: divider}
}

// bank is the counters of a group, made when they are first needed: full.
func (s *rates) bank(group uint32) *bank {
	b := s.banks[group]
	if b == nil {
		g := &s.groups[group]
		b = newBank(g, g.Rate, g.Burst, s.gcra, s.divider)
		s.banks[group] = b
	}
	return b
}

// Take implements Store.
func (s *rates) Take(env *policies.Env, group uint32, a Ask) Grant {
	b, now := s.bank(group), env.Now
	g := Grant{Expiry: a.Window}
	switch a.Kind {
	case AskTake:
		ok, wait := b.take(now, a.Tenant, a.Units)
		switch {
		case ok:
			g.Units = a.Units
		case a.Units > b.most(a.Tenant):
			g.Never = true
		default:
			g.RetryIn = wait
		}
	case AskLease:
		g.Units, g.RetryIn = b.lease(now, a)
	case AskReturn:
		b.give(now, a.Tenant, a.Units)
	case AskSync:
		b.wants(now, a.Tenant, a.Need)
		b.give(now, a.Tenant, -a.Units)
	case AskHold, AskRenew, AskRelease: // of a concurrency quota
		g.Never = true
	}
	g.Left = b.left(now, a.Tenant)
	return g
}

// lease grants what there is in whole units, up to what is asked, and nothing when that
// would not help.
func (b *bank) lease(now time.Duration, a Ask) (float64, time.Duration) {
	b.wants(now, a.Tenant, a.Need)
	left := b.left(now, a.Tenant)
	units := min(a.Units, math.Floor(left+tiny))
	if units < a.Need && left >= a.Need-tiny {
		units = a.Need // less than a whole unit more
	}
	if units < a.Need || units <= 0 {
		_, wait := b.has(now, a.Tenant, a.Need)
		return 0, wait
	}
	b.book(now, a.Tenant, units)
	return units, 0
}

// slots is the Store of concurrency quotas.
type slots struct {
	groups  []Group
	holds   []*holds
	divider func() share.Divider
}

func newSlots(groups []Group, divider func() share.Divider) *slots {
	return &slots{groups: groups, holds: make([]*holds, len(groups)), divider: divider}
}

// Take implements Store.
func (s *slots) Take(env *policies.Env, group uint32, a Ask) Grant {
	h, now := s.holds[group], env.Now
	if h == nil {
		h = newHolds(&s.groups[group], s.groups[group].Units, s.divider)
		s.holds[group] = h
	}
	h.expire(now)
	g := Grant{Expiry: a.Window}
	switch a.Kind {
	case AskHold:
		switch {
		case a.Units > h.units:
			g.Never = true
		case h.take(now, a.Tenant, a.Req, a.Units, a.Window):
			g.Units = a.Units
		default:
			g.RetryIn = min(h.wait(now), a.Window)
		}
	case AskRenew:
		if h.renew(now, a.Req, a.Window) {
			g.Units = a.Units
		}
	case AskRelease:
		h.release(a.Req)
	case AskTake, AskLease, AskReturn, AskSync: // of a rate limit
		g.Never = true
	}
	g.Left = h.units - h.held
	return g
}

// Keeping says what a Store keeps of its groups, for whoever keeps the same elsewhere.
type Keeping struct {
	GCRA    bool // theoretical arrival times, not tokens
	Slots   bool // units held
	Divided bool // parts of tenants inside a group
}

// Kept is a Store that says what it keeps.
type Kept interface{ Keeps() Keeping }

// Keeps implements Kept.
func (s *rates) Keeps() Keeping {
	return Keeping{GCRA: s.gcra, Divided: divides(s.groups, s.divider)}
}

// Keeps implements Kept.
func (s *slots) Keeps() Keeping {
	return Keeping{Slots: true, Divided: divides(s.groups, s.divider)}
}

// divides tells whether a divider has anything to divide in some group.
func divides(groups []Group, divider func() share.Divider) bool {
	for i := range groups {
		if made(divider, &groups[i]) != nil {
			return true
		}
	}
	return false
}
