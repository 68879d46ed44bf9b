package workloads

import (
	"cmp"
	"math"
	"slices"
)

// Moments are the means that the offered load and a GPU model's best batch need.
// Tokens are counts, demands ns. Clamps and rounding are included.
type Moments struct {
	Input, Output, Demand       float64 // E[input], E[output], E[demand]
	InputSq, OutputSq, DemandSq float64 // mean squares
	InputOutput                 float64 // E[input·output]
}

// Context is E[output·(input + output/2)], the token-steps of a request's cache.
func (m Moments) Context() float64 { return m.InputOutput + m.OutputSq/2 }

// TokensSq is E[(input + output)²].
func (m Moments) TokensSq() float64 { return m.InputSq + 2*m.InputOutput + m.OutputSq }

// Moments returns the means of the schedule.
func (c *Compiled) Moments() Moments { return c.moments }

// computeMoments sets the moments of the workload and, in base, those of a
// tenant without sizes of its own.
func (c *Compiled) computeMoments() {
	c.own = slices.ContainsFunc(c.tenants, func(t tenant) bool { return t.input != nil || t.output != nil })
	c.base = c.sizeMoments(tenant{})
	c.moments = c.base
	if c.own {
		c.moments = Moments{}
		for i := range c.tenants {
			c.moments.add(c.tenantMoments(i), c.shares[i])
		}
	}
	m := &c.moments
	m.Demand, m.DemandSq = c.demand.moments()
	if c.spec.Demand.Kind == "" && c.trace != nil && c.trace.Demand != nil {
		m.Demand, m.DemandSq = 0, 0
		n := float64(c.trace.Len())
		for _, d := range c.trace.Demand {
			m.Demand += float64(d) / n
			m.DemandSq += float64(d) * float64(d) / n
		}
	}
}

// add adds the token moments of a share of the requests.
func (m *Moments) add(t Moments, share float64) {
	m.Input += share * t.Input
	m.InputSq += share * t.InputSq
	m.Output += share * t.Output
	m.OutputSq += share * t.OutputSq
	m.InputOutput += share * t.InputOutput
}

// rows returns the columns whose rows are used as they are: those of the trace
// or of the pairs file.
func (c *Compiled) rows() (in, out []uint32) {
	t := c.pairs
	if t == nil {
		t = c.trace
	}
	if t == nil {
		return nil, nil
	}
	in, out = t.Input, t.Output
	if c.spec.Input.Kind != "" || c.pairs == nil && c.spec.Pairs != "" {
		in = nil
	}
	if c.spec.Output.Kind != "" || c.pairs == nil && c.spec.Pairs != "" {
		out = nil
	}
	return in, out
}

// tenantMoments are the token moments of tenant i. Rows of a trace count for
// every tenant alike: which tenant sent them is not looked at.
func (c *Compiled) tenantMoments(i int) Moments {
	t := c.tenants[i]
	if t.input == nil && t.output == nil {
		return c.base
	}
	return c.sizeMoments(t)
}

func (c *Compiled) sizeMoments(t tenant) Moments {
	in, out := c.rows()
	a, b := c.input, c.output
	if t.input != nil {
		a, in = *t.input, nil
	}
	if t.output != nil {
		b, out = *t.output, nil
	}
	var m Moments
	if m.Input, m.InputSq = a.moments(); in != nil {
		m.Input, m.InputSq = rowMoments(in)
	}
	if m.Output, m.OutputSq = b.moments(); out != nil {
		m.Output, m.OutputSq = rowMoments(out)
	}
	m.InputOutput = m.Input * m.Output
	switch {
	case in != nil && out != nil:
		m.InputOutput = rowProduct(in, out)
	case in == nil && out == nil && c.rho != 0:
		m.InputOutput = productUnder(a, b, c.rho)
	}
	return m
}

func rowMoments(x []uint32) (mean, square float64) {
	for _, v := range x {
		mean += float64(v)
		square += float64(v) * float64(v)
	}
	return mean / float64(len(x)), square / float64(len(x))
}

func rowProduct(x, y []uint32) float64 {
	sum := 0.0
	for i := range x {
		sum += float64(x[i]) * float64(y[i])
	}
	return sum / float64(len(x))
}

// productUnder is E[XY] of two sizes joined by a normal pair of correlation rho:
// a midpoint sum over the unit square.
func productUnder(a, b sizer, rho float64) float64 {
	const n = 400
	var z [n]float64
	for i := range z {
		z[i] = normalAt((float64(i) + 0.5) / n)
	}
	sum, other := 0.0, math.Sqrt(1-rho*rho)
	for i := range z {
		x := a.shape(a.law.at(phi(z[i])))
		row := 0.0
		for j := range z {
			row += b.shape(b.law.at(phi(rho*z[i] + other*z[j])))
		}
		sum += x * row
	}
	return sum / (n * n)
}

// InputExcess is E[max(0, input − k)]: what a prefill pays for beyond its knee.
func (c *Compiled) InputExcess(k float64) float64 {
	base := c.input.excess(k)
	if in, _ := c.rows(); in != nil {
		base = 0
		for _, v := range in {
			base += max(0, float64(v)-k) / float64(len(in))
		}
	}
	if !c.own {
		return base
	}
	sum := 0.0
	for i, t := range c.tenants {
		e := base
		if t.input != nil {
			e = t.input.excess(k)
		}
		sum += c.shares[i] * e
	}
	return sum
}

// TopTenants returns the numbers of the n tenants with the largest share of the
// schedule's work (tokens, or demand), largest first. It does not depend on a
// policy or a seed.
func (c *Compiled) TopTenants(n int) []int {
	work := make([]float64, len(c.tenants))
	ids := make([]int, len(c.tenants))
	for i := range ids {
		ids[i], work[i] = i, c.shares[i]
		if c.own && !c.HasDemand() {
			m := c.tenantMoments(i)
			work[i] *= m.Input + m.Output
		}
	}
	slices.SortStableFunc(ids, func(a, b int) int { return cmp.Compare(work[b], work[a]) })
	return ids[:min(n, len(ids))]
}
