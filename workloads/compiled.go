package workloads

import (
	"errors"
	"math"
	"slices"
)

var errNoRate = errors.New("the workload has no rate: give arrivals a rate, or a load")

// Rate is the workload's own mean rate per second before modulation; 0 when
// neither a rate nor a trace says it and the load has to.
func (c *Compiled) Rate() float64 { return c.rate }

// Rated says whether the user gave a rate, so that a load would be one too many.
func (c *Compiled) Rated() bool { return c.spec.rated() }

// Trace returns the prepared rows; nil for a drawn process.
func (c *Compiled) Trace() *Trace { return c.trace }

// TimeScale is the factor on the trace's time that gives the rate (0 = its own);
// 0 without a trace.
func (c *Compiled) TimeScale(rate float64) float64 {
	switch {
	case c.trace == nil:
		return 0
	case rate == 0 || c.rate == 0:
		return c.arrivals.Trace.TimeScale
	}
	return c.arrivals.Trace.TimeScale * rate / c.rate
}

// Rotates says whether the seeds of a trace start at different rows. A trace
// that does not rotate gives every seed the same arrivals.
func (c *Compiled) Rotates() bool { return c.trace != nil && c.arrivals.Trace.Rotate }

// Tenants returns the names of the tenants, indexed by Request.Tenant.
func (c *Compiled) Tenants() []string {
	out := make([]string, len(c.tenants))
	for i, t := range c.tenants {
		out[i] = t.name
	}
	return out
}

// Shares returns each tenant's share of the requests.
func (c *Compiled) Shares() []float64 { return slices.Clone(c.shares) }

// Classes returns the names behind Request.Class; the first is the workload's
// own, possibly "".
func (c *Compiled) Classes() []string { return slices.Clone(c.classes) }

// Groups returns the names of the quota groups behind Request.Group; the first
// is "default".
func (c *Compiled) Groups() []string { return slices.Clone(c.groups) }

// TenantGroups returns the group of each tenant, as an index of Groups.
func (c *Compiled) TenantGroups() []uint32 {
	out := make([]uint32, len(c.tenants))
	for i, t := range c.tenants {
		out[i] = t.group
	}
	return out
}

// Models returns the names behind Request.Model.
func (c *Compiled) Models() []string { return slices.Clone(c.models) }

// Warnings returns what the user should know about the workload.
func (c *Compiled) Warnings() []Warning { return slices.Clone(c.warn) }

// HasDemand says whether requests bring a service demand of their own.
func (c *Compiled) HasDemand() bool {
	return c.spec.Demand.Kind != "" || c.trace != nil && c.trace.Demand != nil
}

// ServiceShares returns the share of the requests that each of n services gets
// by the model mix; without one, service 0 gets all.
func (c *Compiled) ServiceShares(n int) []float64 {
	out := make([]float64, n)
	if c.modelBy == nil {
		out[0] = 1
		return out
	}
	var w []float64
	for _, m := range c.spec.Models {
		w = append(w, m.Weight)
	}
	for i, p := range normalise(w) {
		out[c.modelSvc[i]] += p
	}
	return out
}

// Requests returns how many requests a run of this workload measures by default
// and at most, at a rate (0 = its own). Both are 0 for a drawn process: the
// scenario's default counts, and there is no end; most is 0 for an endless loop.
func (c *Compiled) Requests(rate float64) (standard, most int) {
	if c.trace == nil {
		return 0, 0
	}
	n, l := c.trace.Len(), c.arrivals.Trace.Loop
	switch {
	case l.Until > 0:
		n = c.rowsUntil(float64(l.Until) * c.TimeScale(rate))
		return n, n
	case l.Times > 1:
		return n * l.Times, n * l.Times
	case l.Forever:
		return n, 0
	}
	return n, n
}

// rowsUntil counts the rows before an instant of trace time, going round.
func (c *Compiled) rowsUntil(t float64) int {
	cycle := float64(c.trace.Span() + c.trace.meanGap())
	rounds := math.Floor(t / cycle)
	n := int(min(rounds, 1e6)) * c.trace.Len()
	first := c.trace.At[0]
	for _, at := range c.trace.At {
		if float64(at-first) < t-rounds*cycle {
			n++
		}
	}
	return max(n, 1)
}
