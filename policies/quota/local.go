package quota

import (
	"math"
	"time"

	"taillab/policies/share"
)

// local is the counters that a front end keeps for itself: one bank per group it has
// met, each at a part of the group's limit.
type local struct {
	banks   []*bank
	divider func() share.Divider
}

// bank returns the counters of a group; make makes them when they are first needed.
func (l *local) bank(env *Env, group uint32, fresh func(*Group) *bank) *bank {
	for len(l.banks) < len(env.Groups) {
		l.banks = append(l.banks, nil)
	}
	if l.banks[group] == nil {
		l.banks[group] = fresh(&env.Groups[group])
	}
	return l.banks[group]
}

// part is the bank of a group at 1/n of its limit.
func (l *local) part(env *Env, group uint32) *bank {
	return l.bank(env, group, func(g *Group) *bank {
		n := float64(env.FrontEnds)
		return newBank(g, g.Rate/n, g.Burst/n, false, l.divider)
	})
}

// verdict decides by a bank at once.
func (b *bank) verdict(now time.Duration, tenant uint32, cost float64) Verdict {
	if cost > b.most(tenant)+tiny {
		return Verdict{Outcome: Never}
	}
	ok, wait := b.take(now, tenant, cost)
	if !ok {
		return Verdict{Denied, wait}
	}
	return Verdict{Outcome: Admitted}
}

// slice is front end self's whole units of a quota divided by n: they sum to it.
func slice(units float64, self, n int) float64 {
	at := func(i int) float64 { return math.Floor(units*float64(i)/float64(n) + tiny) }
	return at(self+1) - at(self)
}
