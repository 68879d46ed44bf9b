// Package fit finds the parameters of latency models from measurements. Of batches and
// their times it makes affine and affine-tokens models by non-negative least squares,
// hinge by a scan of its knee, smooth-max by the method of Nelder and Mead, tables by
// pooling what falls (Fit). Of closed loops (FitLoops) and of a run that was served
// (FitServed) it makes tokens models, and one factor on all times of a model from the
// first third of such a run (Calibrate). Errors are relative, since a batch of one must
// be as well foretold as a full one.
//
// It is no part of a simulation: what it finds is written into a profile. Start with
// Fit.
package fit

import (
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

// Weight says what a residual is divided by before it is squared.
type Weight int

// The weights.
const (
	Relative Weight = iota // by the measured time y: relative errors
	Root                   // by √y, for attention terms, whose slope over long contexts the first overrates
)

// of a measured time, in ms.
func (w Weight) of(ms float64) float64 {
	if w == Root {
		return 1 / math.Sqrt(ms)
	}
	return 1 / ms
}

// Options of a fit; the zero value is the usual one.
type Options struct {
	Weight Weight
}

// Report says how well a fit tells the points again. Errors are shares of the
// measured time, in percent.
type Report struct {
	N         int
	MAPE      float64    // mean absolute error of the points
	LOO       float64    // the same with each point foretold by a fit of the others; NaN with too few
	Worst     int        // the point with the largest error
	WorstErr  float64    // predicted/measured − 1 of it
	Residuals []Residual // of the points, in their order
	Warnings  []string
}

// Residual is what the fit makes of one point.
type Residual struct{ Measured, Predicted float64 } // ms

// Kinds lists what Fit can fit.
func Kinds() []gpu.Kind {
	return []gpu.Kind{gpu.Affine, gpu.AffineTokens, gpu.Hinge, gpu.SmoothMax, gpu.TableKind}
}

// Fit finds the parameters of a model of a kind; all others of the spec are the
// defaults.
func Fit(kind gpu.Kind, points []Point, opt Options) (gpu.Spec, Report, error) {
	r := Report{N: len(points), LOO: math.NaN()}
	m, err := methodOf(kind, points)
	if err != nil {
		return gpu.Spec{}, r, err
	}
	for i, p := range points {
		if !(p.MS > 0) || math.IsInf(p.MS, 1) || !(m.x(p) > 0) {
			return gpu.Spec{}, r, fmt.Errorf("point %d: %v ms for %v items and %v tokens: all must be above 0", i+1, p.MS, p.Items, p.Tokens)
		}
	}
	c, err := m.solve(points, opt.Weight)
	if err != nil {
		return gpu.Spec{}, r, err
	}
	for _, p := range points {
		r.add(p.MS, m.at(p, c))
	}
	if len(points) > len(m.names) {
		r.LOO = leaveOut(points, func(p Point) float64 { return p.MS },
			func(others []Point) ([]float64, error) { return m.solve(others, opt.Weight) }, m.at)
	}
	r.warn(m.names, c, points, m.x)
	s := gpu.Defaults(kind)
	m.fill(&s, c)
	return s, r, nil
}

// method is a kind as a fit sees it: coefficients that solve finds and at reads.
type method struct {
	names []string // of the parameters, in the order of coefficients
	x     func(Point) float64
	solve func([]Point, Weight) ([]float64, error)
	at    func(p Point, c []float64) float64 // ms
	fill  func(s *gpu.Spec, c []float64)
}

const ms = 1e6 // ns

func items(p Point) float64  { return p.Items }
func tokens(p Point) float64 { return p.Tokens }

func nanos(ofMS float64) gpu.Nanos { return gpu.Nanos(ofMS * ms) }

func methodOf(kind gpu.Kind, points []Point) (method, error) {
	switch kind {
	case gpu.Affine:
		return linear{names: []string{"a", "b"}, x: items,
			columns: func(p Point, _ float64) []float64 { return []float64{1, p.Items} },
			fill:    func(s *gpu.Spec, c []float64) { s.A, s.B = nanos(c[0]), nanos(c[1]) }}.method(), nil
	case gpu.AffineTokens:
		return linear{names: []string{"a", "b", "c"}, x: tokens,
			columns: func(p Point, _ float64) []float64 { return []float64{1, p.Tokens, p.TokensSq} },
			fill:    func(s *gpu.Spec, c []float64) { s.A, s.B, s.C = nanos(c[0]), nanos(c[1]), nanos(c[2]) }}.method(), nil
	case gpu.Hinge:
		return hinge().method(), nil
	case gpu.SmoothMax:
		return smoothMax(), nil
	case gpu.TableKind:
		return table(points), nil
	}
	return method{}, fmt.Errorf("no fit for models of kind %q to batches and their times", kind)
}

// add takes the next row into the errors.
func (r *Report) add(measured, predicted float64) {
	r.Residuals = append(r.Residuals, Residual{measured, predicted})
	e := 100 * (predicted/measured - 1)
	if math.Abs(e) > math.Abs(r.WorstErr) {
		r.Worst, r.WorstErr = len(r.Residuals)-1, e
	}
	r.MAPE += (math.Abs(e) - r.MAPE) / float64(len(r.Residuals))
}

// mostLeftOut bounds how many rows are left out in turn; of more, as many are taken
// that lie evenly among them.
const mostLeftOut = 200

// leaveOut is the mean absolute error in percent of rows that are foretold by a fit of
// all others; NaN where one cannot be made.
func leaveOut[T any](rows []T, measured func(T) float64, solve func([]T) ([]float64, error), at func(T, []float64) float64) float64 {
	stride := (len(rows) + mostLeftOut - 1) / mostLeftOut
	sum, n := 0.0, 0
	for i := 0; i < len(rows); i += stride {
		c, err := solve(append(slices.Clone(rows[:i]), rows[i+1:]...))
		if err != nil {
			return math.NaN()
		}
		sum += math.Abs(at(rows[i], c)/measured(rows[i]) - 1)
		n++
	}
	return 100 * sum / float64(n)
}

// warn lists what makes a fit doubtful.
func (r *Report) warn(names []string, c []float64, points []Point, x func(Point) float64) {
	if n := 2 * len(names); len(points) < n {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d points for %d parameters: take %d or more", len(points), len(names), n))
	}
	r.zeros(names, c)
	least, most := math.Inf(1), 0.0
	for _, p := range points {
		least, most = min(least, x(p)), max(most, x(p))
	}
	if most < 4*least {
		r.Warnings = append(r.Warnings, fmt.Sprintf("sizes from %g to %g: measure over a factor of 4 or more", least, most))
	}
}

// zeros tells of parameters that sit on 0.
func (r *Report) zeros(names []string, c []float64) {
	for j, name := range names {
		if c[j] == 0 {
			r.Warnings = append(r.Warnings, name+" is 0: the points do not show it")
		}
	}
}
