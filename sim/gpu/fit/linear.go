package fit

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"taillab/sim/gpu"
)

// linear is a model y = Σ c·columns, perhaps with a knee before them.
type linear struct {
	names   []string
	x       func(Point) float64
	columns func(p Point, knee float64) []float64
	knee    bool // the last coefficient is a knee of x, scanned
	fill    func(s *gpu.Spec, c []float64)
}

func hinge() linear {
	return linear{names: []string{"f", "s", "k"}, x: tokens, knee: true,
		columns: func(p Point, knee float64) []float64 { return []float64{1, max(0, p.Tokens-knee)} },
		fill:    func(s *gpu.Spec, c []float64) { s.F, s.S, s.K = nanos(c[0]), nanos(c[1]), c[2] }}
}

func (m linear) method() method {
	return method{names: m.names, x: m.x, solve: m.solve, at: m.at, fill: m.fill}
}

// solve returns the coefficients, the knee last where there is one.
func (m linear) solve(points []Point, w Weight) ([]float64, error) {
	if !m.knee {
		return m.given(points, 0, w)
	}
	var knees []float64
	for _, p := range points {
		knees = append(knees, m.x(p))
	}
	knees = distinct(knees)
	if len(knees) < 3 {
		return nil, fmt.Errorf("%d different sizes: a knee needs at least 3", len(knees))
	}
	var best []float64
	least, failed := math.Inf(1), error(nil)
	for _, k := range knees[:len(knees)-1] { // beyond the last but one there is no slope
		c, err := m.given(points, k, w)
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

// given fits with a given knee.
func (m linear) given(points []Point, knee float64, w Weight) ([]float64, error) {
	a, y, weights := make([][]float64, len(points)), make([]float64, len(points)), make([]float64, len(points))
	for i, p := range points {
		a[i], y[i], weights[i] = m.columns(p, knee), p.MS, w.of(p.MS)
	}
	return weighted(a, y, weights)
}

// at is the time that coefficients foretell, in ms.
func (m linear) at(p Point, c []float64) float64 {
	knee := 0.0
	if m.knee {
		knee = c[len(c)-1]
	}
	return dot(m.columns(p, knee), c)
}

func (m linear) mape(points []Point, c []float64) float64 {
	sum := 0.0
	for _, p := range points {
		sum += math.Abs(m.at(p, c)/p.MS - 1)
	}
	return 100 * sum / float64(len(points))
}

var errNoPoints = errors.New("there are no measured points")

// weighted finds x ≥ 0 that minimises Σ (w·(a·x − y))², in columns of like size: a
// count and a square of tokens differ by many powers of ten.
func weighted(a [][]float64, y, w []float64) ([]float64, error) {
	if len(a) == 0 {
		return nil, errNoPoints
	}
	rows, right := make([][]float64, len(a)), make([]float64, len(a))
	scale := make([]float64, len(a[0]))
	for i := range a {
		rows[i], right[i] = make([]float64, len(scale)), y[i]*w[i]
		for j, v := range a[i] {
			rows[i][j] = v * w[i]
			scale[j] = max(scale[j], rows[i][j])
		}
	}
	for _, row := range rows {
		for j, s := range scale {
			if s > 0 {
				row[j] /= s
			}
		}
	}
	c, err := nnls(rows, right)
	if err != nil {
		return nil, err
	}
	for j, s := range scale {
		if s > 0 {
			c[j] /= s
		}
	}
	return c, nil
}

// dot multiplies as many coefficients as there are columns.
func dot(columns, c []float64) (y float64) {
	for j, v := range columns {
		y += v * c[j]
	}
	return y
}

// distinct sorts the values and drops doubles.
func distinct(x []float64) []float64 {
	slices.Sort(x)
	return slices.Compact(x)
}
