package quota

import (
	"slices"

	"taillab/policies/share"
)

// cells numbers what a front end keeps between two asks: one per group, or one per
// tenant of a group that is divided.
type cells struct {
	divider func() share.Divider
	first   []int // by group: number of its first cell
	divided []bool
	total   int
}

// init counts the cells of all groups.
func (c *cells) init(env *Env) {
	if c.first != nil {
		return
	}
	c.first = make([]int, len(env.Groups))
	c.divided = make([]bool, len(env.Groups))
	for i := range env.Groups {
		g := &env.Groups[i]
		c.first[i] = c.total
		c.divided[i] = made(c.divider, g) != nil
		if c.divided[i] {
			c.total += len(g.Tenants)
			continue
		}
		c.total++
	}
}

// of is the cell of a tenant in a group.
func (c *cells) of(env *Env, group, tenant uint32) int {
	k := c.first[group]
	if c.divided[group] {
		k += place(env.Groups[group].Tenants, tenant)
	}
	return k
}

// home is the group and the tenant of a cell.
func (c *cells) home(env *Env, k int) (group, tenant uint32) {
	i, ok := slices.BinarySearch(c.first, k)
	if !ok {
		i--
	}
	if c.divided[i] {
		tenant = env.Groups[i].Tenants[k-c.first[i]]
	}
	return uint32(i), tenant
}

// flows tells for every cell what it may count on by itself, in units/s and units: of a
// divided group the part that a tenant gets when everybody wants everything.
func (c *cells) flows(env *Env, tell func(k int, rate, burst float64)) {
	for i := range env.Groups {
		g := &env.Groups[i]
		if !c.divided[i] {
			tell(c.first[i], g.Rate, max(g.Burst, 1))
			continue
		}
		b := newBank(g, g.Rate, g.Burst, false, c.divider)
		for t := range b.members {
			tell(c.first[i]+t, b.members[t].reserve.rate, b.members[t].reserve.burst)
		}
	}
}
