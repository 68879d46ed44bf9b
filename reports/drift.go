package reports

import "math"

// drift is the evidence of one run that it does not settle (three tests on its
// measured part in 20 equal slices). A trend alone happens near capacity; all
// three together do not happen below it.
type drift struct {
	known   bool
	trend   bool // Mann–Kendall over the slice means, z > 3.09
	growth  bool // mean of the last quarter > 1.5 × that of the second
	backlog bool // in the second half arrivals outnumber ends by > 3.09·√(2·arrivals)
}

const driftZ = 3.09

func (d drift) unstable() bool { return d.known && d.trend && d.growth && d.backlog }
func (d drift) near() bool     { return d.known && (d.trend || d.growth || d.backlog) }

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
	arrivals, ends := c.pace.secondHalf()
	return drift{
		known:   true,
		trend:   mannKendall(means) > driftZ,
		growth:  quarter(c.slices, 3) > 1.5*quarter(c.slices, 1),
		backlog: float64(arrivals-ends) > driftZ*math.Sqrt(2*float64(arrivals)),
	}
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
