package workloads

import (
	"fmt"
	"math"
	"math/rand/v2"
)

// sizer is a compiled Dist: a law, rounding, and a clamp.
type sizer struct {
	law    law
	lo, hi float64
	whole  bool // tokens: round half up before the clamp
}

// sizing is what a Dist does not say itself: what it measures, whose table a
// preset's name means (input or output), and how a file's column is read.
type sizing struct {
	quantity Quantity
	role     string
	read     func(file, column string) ([]float64, error)
}

// newSizer compiles a checked Dist.
func newSizer(d Dist, z sizing) (sizer, error) {
	s := sizer{whole: z.quantity == Tokens}
	s.lo, s.hi = d.bounds(z.quantity)
	switch d.Kind {
	case "", "constant":
		s.law = point(d.Value)
	case "exponential":
		s.law = exponential(d.Mean)
	case "lognormal":
		if d.Mean > 0 {
			s.law = lognormalOf(d.Mean, d.CV)
		} else {
			s.law = logNormal{mu: d.Mu, sigma: d.Sigma}
			if z.quantity == Durations { // mu is of seconds
				s.law = logNormal{mu: d.Mu + math.Log(1e9), sigma: d.Sigma}
			}
		}
	case "pareto":
		c := d.Cap
		if c == 0 {
			c = math.Inf(1)
		}
		s.law = paretoLaw{xm: d.xm(), alpha: d.Alpha, cap: c}
	case "bimodal":
		err := s.mix(d, z)
		return s, err
	case "quantiles":
		points := d.Points
		if d.Preset != "" {
			points, _ = quantileTable(d.Preset, z.role)
		}
		s.law = newTable(points)
	case "empirical":
		err := s.empirical(d, z)
		return s, err
	default:
		return s, fmt.Errorf("no distribution called %q", d.Kind)
	}
	return s, nil
}

func (s *sizer) mix(d Dist, z sizing) error {
	m := mixture{}
	for _, p := range d.Parts {
		inner := Constant(p.Value)
		if p.Dist != nil {
			inner = *p.Dist
		}
		part, err := newSizer(inner, z)
		if err != nil {
			return err
		}
		m.parts, m.share = append(m.parts, part), append(m.share, p.P)
	}
	m.pick = newAlias(m.share)
	s.law, s.whole = m, false // the parts round themselves
	return nil
}

func (s *sizer) empirical(d Dist, z sizing) error {
	bars := d.Histogram
	if d.File != "" {
		if z.read == nil {
			return fmt.Errorf("a file (%s) cannot be read here: give a histogram", d.File)
		}
		values, err := z.read(d.File, d.Column)
		if err != nil {
			return err
		}
		unit := 1.0
		if z.quantity == Durations { // a file's durations are in seconds
			unit = 1e9
		}
		for _, v := range values {
			bars = append(bars, Bar{Value: v * unit, Weight: 1})
		}
	}
	s.law = newSample(bars)
	return nil
}

// value draws one size.
func (s sizer) value(p *rand.PCG) float64 { return s.shape(s.law.draw(p)) }

// shape rounds and clamps.
func (s sizer) shape(x float64) float64 {
	if s.whole {
		x = math.Floor(x + 0.5)
	}
	switch { // cheaper than min and max, which look for NaN and −0
	case x < s.lo:
		return s.lo
	case x > s.hi:
		return s.hi
	}
	return x
}

// free says that draws are used as they are.
func (s sizer) free() bool { return !s.whole && s.lo <= 0 && math.IsInf(s.hi, 1) }

// fixed reports a size that is always the same.
func (s sizer) fixed() (float64, bool) {
	c, ok := s.law.(point)
	return s.shape(float64(c)), ok
}

// Whole values up to exactUpTo are summed one by one; beyond, rounding moves the
// mean by less than 1 in 10⁶ and only its variance of 1/12 is added.
const exactUpTo = 2048

// upTo is law.upTo for the rounded and clamped value.
func (s sizer) upTo(x float64) (p, m1, m2 float64) {
	if x < s.lo {
		return 0, 0, 0
	}
	if !s.whole {
		return s.clampedUpTo(x, s.lo, s.hi)
	}
	edge := func(k float64) float64 { return math.Nextafter(k+0.5, 0) } // values below round to k
	x = min(x, s.hi)
	lo := math.Ceil(s.lo)
	p, _, _ = s.law.upTo(edge(lo))
	m1, m2 = p*lo, p*lo*lo
	if pt, ok := s.law.(point); ok {
		v := s.shape(float64(pt))
		if v > x {
			return 0, 0, 0
		}
		return 1, v, v * v
	}
	k := lo
	for last := p; k < exactUpTo && k < math.Floor(x); {
		k++
		q, _, _ := s.law.upTo(edge(k))
		m1, m2 = m1+k*(q-last), m2+k*k*(q-last)
		p, last = q, q
	}
	if k < math.Floor(x) {
		top := math.Floor(x)
		p0, a0, b0 := s.law.upTo(edge(k))
		p1, a1, b1 := s.law.upTo(edge(top))
		p, m1, m2 = p1, m1+a1-a0, m2+b1-b0+(p1-p0)/12
	}
	if x >= s.hi { // what lies above sits on the maximum
		m1, m2 = m1+(1-p)*s.hi, m2+(1-p)*s.hi*s.hi
		p = 1
	}
	return p, m1, m2
}

func (s sizer) clampedUpTo(x, lo, hi float64) (p, m1, m2 float64) {
	p0, a0, b0 := s.law.upTo(math.Nextafter(lo, math.Inf(-1)))
	p1, a1, b1 := s.law.upTo(min(x, hi))
	p, m1, m2 = p1, p0*lo+a1-a0, p0*lo*lo+b1-b0
	if x >= hi && !math.IsInf(hi, 1) {
		return 1, m1 + (1-p1)*hi, m2 + (1-p1)*hi*hi
	}
	return p, m1, m2
}

// moments returns the mean and the mean square of the drawn value.
func (s sizer) moments() (mean, square float64) {
	_, m1, m2 := s.upTo(math.Inf(1))
	return m1, m2
}

// excess is E[max(0, X − k)].
func (s sizer) excess(k float64) float64 {
	mean, _ := s.moments()
	p, m1, _ := s.upTo(k)
	return max(0, (mean-m1)-float64(k*(1-p)))
}

// clamped is the share of draws that the bounds change, apart from the default
// minimum of 1 where it only lifts a rounded 0.
func (s sizer) clamped() float64 {
	if _, fixed := s.fixed(); fixed {
		return 0
	}
	half := 0.0
	if s.whole {
		half = 0.5
	}
	below, _, _ := s.law.upTo(math.Nextafter(s.lo-half, math.Inf(-1)))
	above := 0.0
	if !math.IsInf(s.hi, 1) {
		p, _, _ := s.law.upTo(math.Nextafter(s.hi+half, math.Inf(-1)))
		above = 1 - p
	}
	return below + above
}
