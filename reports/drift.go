package reports

import "math"

// drift is the evidence of one run that it does not settle: three tests on its
// measured part in 20 equal slices. Each alone happens near capacity; all three
// together hardly ever do below it.
type drift struct {
	known  bool
	trend  bool // Mann–Kendall over the slice means, z > 3.09
	growth bool // mean of the last quarter > 1.5 × that of the second
	// full: the load is not surely below capacity, or a backlog grows.
	load    float64 // upper confidence bound of the load, 0 = unknown
	backlog bool
}

// driftZ is the normal quantile of 0.999.
const driftZ = 3.09

func (d drift) full() bool     { return d.load >= 1 || d.backlog }
func (d drift) unstable() bool { return d.known && d.trend && d.growth && d.full() }
func (d drift) near() bool     { return d.known && (d.trend || d.growth || d.full()) }

// drift judges the slices of the run; unknown with an empty slice.
func (c *Collector) drift() drift {
	if c.slices == nil {
		return drift{}
	}
	means := make([]float64, len(c.slices))
	for i := range c.slices {
		s := &c.slices[i]
		if s.done == 0 {
			return drift{}
		}
		means[i] = s.sum / float64(s.done)
	}
	return drift{
		known:   true,
		trend:   mannKendall(means) > driftZ,
		growth:  quarter(c.slices, 3) > 1.5*quarter(c.slices, 1),
		load:    c.loadBound(),
		backlog: c.backlog(),
	}
}

// loadBound is an upper confidence bound ρ̂ + 3.09·se of the load: slot time that the
// arrivals of the window take over the slot time there was. The standard error is
// that of a ratio, from the 20 slices, so it holds for any arrivals; requests that did
// not complete count as much as the others of their slice. 0 where slots are no
// measure of capacity.
func (c *Collector) loadBound() float64 {
	window := c.end.MeasuredTime
	if c.setup.NoCapacity || c.end.ProvisionedSlotTime <= 0 || window <= 0 {
		return 0
	}
	slots := float64(c.end.ProvisionedSlotTime) / float64(window)
	work, there := make([]float64, len(c.slices)), make([]float64, len(c.slices))
	var sumWork, sumThere float64
	for i := range c.slices {
		s := &c.slices[i]
		work[i] = float64(s.work) * float64(s.n) / float64(s.done)
		there[i] = slots * float64(c.sliceTime(i, 1))
		sumWork, sumThere = sumWork+work[i], sumThere+there[i]
	}
	if sumThere <= 0 {
		return 0
	}
	load, squares, n := sumWork/sumThere, 0.0, float64(len(work))
	for i := range work {
		d := work[i] - load*there[i]
		squares += d * d
	}
	return load + driftZ*math.Sqrt(squares*n/(n-1))/sumThere
}

// backlog says whether in the second half of the run arrivals outnumber ends by more
// than 3.09·√(2·arrivals). It sees what a load over all replicas cannot: one that is
// given more than it can serve.
func (c *Collector) backlog() bool {
	arrivals, ends := c.pace.secondHalf()
	return float64(arrivals-ends) > driftZ*math.Sqrt(2*float64(arrivals))
}

func quarter(s []slice, q int) float64 {
	sum, n := 0.0, int64(0)
	for _, x := range s[q*len(s)/4 : (q+1)*len(s)/4] {
		sum += x.sum
		n += x.done
	}
	return sum / float64(n)
}

// mannKendall returns z of the trend test (Mann 1945, Kendall 1975), without a
// correction for ties, which means of many requests do not have.
func mannKendall(xs []float64) float64 {
	s := 0
	for i := range xs {
		for _, later := range xs[i+1:] {
			switch {
			case later > xs[i]:
				s++
			case later < xs[i]:
				s--
			}
		}
	}
	return kendallZ(s, len(xs))
}

// kendallZ is (S − sign S)/√(n(n−1)(2n+5)/18).
func kendallZ(s, n int) float64 {
	switch {
	case s > 0:
		s--
	case s < 0:
		s++
	}
	if s == 0 {
		return 0
	}
	return float64(s) / math.Sqrt(float64(n*(n-1)*(2*n+5))/18)
}

// majority folds the evidence of the seeds of a cell; ties count as the worse.
func majority(runs []*Collector) (unstable, near bool) {
	known, u, n := 0, 0, 0
	for _, r := range runs {
		d := r.result.drift
		if !d.known {
			continue
		}
		known++
		if d.unstable() {
			u++
		}
		if d.near() {
			n++
		}
	}
	return known > 0 && 2*u >= known, known > 0 && 2*n >= known
}
