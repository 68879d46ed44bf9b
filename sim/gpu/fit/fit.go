// Package fit finds the parameters of latency models from measured points: affine and
// affine-tokens by non-negative least squares, hinge by a scan of its knee. Errors are
// relative, since a batch of one must be as well foretold as a full one.
//
// It is no part of a simulation: what it finds is written into a profile. Start with
// Fit.
package fit

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"taillab/sim/gpu"
)

// Point is one measurement: the time of a batch.
type Point struct {
	Items    float64 // requests in the batch
	Tokens   float64 // in all of them; 0 where the model does not ask
	TokensSq float64 // sum over the requests of tokens squared
	MS       float64 // above 0
}

// Report says how well a fit tells the points again. Errors are shares of the
// measured time, in percent.
type Report struct {
	N        int
	MAPE     float64 // mean absolute error of the points
	LOO      float64 // the same with each point foretold by a fit of the others; NaN with too few
	Worst    int     // the point with the largest error
	WorstErr float64 // predicted/measured − 1 of it
	Warnings []string
}

// Fit finds the parameters of a model of a kind; all others of the spec are the
// defaults.
func Fit(kind gpu.Kind, points []Point) (gpu.Spec, Report, error) {
	r := Report{N: len(points), LOO: math.NaN()}
	m, err := modelOf(kind)
	if err != nil {
		return gpu.Spec{}, r, err
	}
	for i, p := range points {
		if !(p.MS > 0) || math.IsInf(p.MS, 1) || !(m.x(p) > 0) {
			return gpu.Spec{}, r, fmt.Errorf("point %d: %v ms for %v items and %v tokens: all must be above 0", i+1, p.MS, p.Items, p.Tokens)
		}
	}
	c, err := m.solve(points)
	if err != nil {
		return gpu.Spec{}, r, err
	}
	r.score(m, points, c)
	r.warn(m, points, c)
	s := gpu.Defaults(kind)
	m.fill(&s, c)
	return s, r, nil
}

// model is a kind as a fit sees it: y = Σ c·columns, perhaps with a knee before them.
type model struct {
	names   []string // of the parameters, in the order of coefficients
	x       func(Point) float64
	columns func(p Point, knee float64) []float64
	knee    bool // the last coefficient is a knee of x, scanned
	fill    func(s *gpu.Spec, c []float64)
}

const ms = 1e6 // ns

func modelOf(kind gpu.Kind) (*model, error) {
	items, tokens := func(p Point) float64 { return p.Items }, func(p Point) float64 { return p.Tokens }
	switch kind {
	case gpu.Affine:
		return &model{names: []string{"a", "b"}, x: items,
			columns: func(p Point, _ float64) []float64 { return []float64{1, p.Items} },
			fill:    func(s *gpu.Spec, c []float64) { s.A, s.B = gpu.Nanos(c[0]*ms), gpu.Nanos(c[1]*ms) }}, nil
	case gpu.AffineTokens:
		return &model{names: []string{"a", "b", "c"}, x: tokens,
			columns: func(p Point, _ float64) []float64 { return []float64{1, p.Tokens, p.TokensSq} },
			fill: func(s *gpu.Spec, c []float64) {
				s.A, s.B, s.C = gpu.Nanos(c[0]*ms), gpu.Nanos(c[1]*ms), gpu.Nanos(c[2]*ms)
			}}, nil
	case gpu.Hinge:
		return &model{names: []string{"f", "s", "k"}, x: tokens, knee: true,
			columns: func(p Point, knee float64) []float64 { return []float64{1, max(0, p.Tokens-knee)} },
			fill: func(s *gpu.Spec, c []float64) {
				s.F, s.S, s.K = gpu.Nanos(c[0]*ms), gpu.Nanos(c[1]*ms), c[2]
			}}, nil
	}
	return nil, fmt.Errorf("no fit for models of kind %q: affine, affine-tokens and hinge are known", kind)
}

// solve returns the coefficients, the knee last where there is one.
func (m *model) solve(points []Point) ([]float64, error) {
	if !m.knee {
		return m.linear(points, 0)
	}
	var knees []float64
	for _, p := range points {
		knees = append(knees, m.x(p))
	}
	slices.Sort(knees)
	knees = slices.Compact(knees)
	if len(knees) < 3 {
		return nil, fmt.Errorf("%d different sizes: a knee needs at least 3", len(knees))
	}
	var best []float64
	least, failed := math.Inf(1), error(nil)
	for _, k := range knees[:len(knees)-1] { // beyond the last but one there is no slope
		c, err := m.linear(points, k)
		if err != nil {
			failed = err
			continue
		}
		c = append(c, k)
		if e := m.mape(points, c); e < least { // of equal ones the smallest knee
			best, least = c, e
		}
	}
	if best == nil {
		return nil, failed
	}
	return best, nil
}

// linear fits with a given knee, each point weighted by the inverse of its time.
func (m *model) linear(points []Point, knee float64) ([]float64, error) {
	if len(points) == 0 {
		return nil, errors.New("there are no measured points")
	}
	a, y := make([][]float64, len(points)), make([]float64, len(points))
	for i, p := range points {
		a[i], y[i] = m.columns(p, knee), 1
		for j := range a[i] {
			a[i][j] /= p.MS
		}
	}
	// Columns of like size: a count and a square of tokens differ by many powers of ten.
	scale := make([]float64, len(a[0]))
	for j := range scale {
		for i := range a {
			scale[j] = max(scale[j], a[i][j])
		}
		for i := range a {
			if scale[j] > 0 {
				a[i][j] /= scale[j]
			}
		}
	}
	c, err := nnls(a, y)
	if err != nil {
		return nil, err
	}
	for j := range c {
		if scale[j] > 0 {
			c[j] /= scale[j]
		}
	}
	return c, nil
}

// at is the time that coefficients foretell, in ms.
func (m *model) at(p Point, c []float64) float64 {
	knee := 0.0
	if m.knee {
		knee = c[len(c)-1]
	}
	y := 0.0
	for j, v := range m.columns(p, knee) {
		y += v * c[j]
	}
	return y
}

func (m *model) mape(points []Point, c []float64) float64 {
	sum := 0.0
	for _, p := range points {
		sum += math.Abs(m.at(p, c)/p.MS - 1)
	}
	return 100 * sum / float64(len(points))
}

func (r *Report) score(m *model, points []Point, c []float64) {
	r.MAPE = m.mape(points, c)
	for i, p := range points {
		if e := 100 * (m.at(p, c)/p.MS - 1); math.Abs(e) > math.Abs(r.WorstErr) {
			r.Worst, r.WorstErr = i, e
		}
	}
	sum := 0.0
	for i, p := range points {
		others := slices.Delete(slices.Clone(points), i, i+1)
		left, err := m.solve(others)
		if err != nil || len(others) < len(m.names) {
			return
		}
		sum += math.Abs(m.at(p, left)/p.MS - 1)
	}
	r.LOO = 100 * sum / float64(len(points))
}

// warn lists what makes a fit doubtful.
func (r *Report) warn(m *model, points []Point, c []float64) {
	if n := 2 * len(m.names); len(points) < n {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d points for %d parameters: take %d or more", len(points), len(m.names), n))
	}
	for j, name := range m.names {
		if c[j] == 0 {
			r.Warnings = append(r.Warnings, name+" is 0: the points do not show it")
		}
	}
	least, most := math.Inf(1), 0.0
	for _, p := range points {
		least, most = min(least, m.x(p)), max(most, m.x(p))
	}
	if most < 4*least {
		r.Warnings = append(r.Warnings, fmt.Sprintf("sizes from %g to %g: measure over a factor of 4 or more", least, most))
	}
}
