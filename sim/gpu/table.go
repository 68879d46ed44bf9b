package gpu

import (
	"math"
	"slices"
)

// Table is a measured curve y(x), interpolated between its points and continued
// along the last two beyond them.
type Table struct {
	X        []float64 `yaml:"x,omitempty" about:"items or tokens, see axis"`
	Y        []Nanos   `yaml:"y,omitempty" about:"times at x"`
	Scale    string    `yaml:"scale,omitempty" about:"how to interpolate; default linear" enum:"linear|loglog"`
	Axis     string    `yaml:"axis,omitempty" about:"what x counts; default items (in a prefill: tokens)" enum:"items|tokens"`
	Monotone *bool     `yaml:"monotone,omitempty" about:"pool falling points first; default true"`
}

// The scales and axes of a table.
const (
	Linear     = "linear"
	LogLog     = "loglog"
	AxisItems  = "items"
	AxisTokens = "tokens"
)

// curve is a checked table: sorted, monotone where asked.
type curve struct {
	x, y   []float64
	loglog bool
	moved  float64 // furthest a value was moved to make the curve monotone, ns
}

// newCurve sorts the points and pools falling ones. The table has been checked.
func newCurve(t *Table) curve {
	order := make([]int, len(t.X))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int {
		switch {
		case t.X[a] < t.X[b]:
			return -1
		case t.X[a] > t.X[b]:
			return 1
		}
		return 0
	})
	c := curve{loglog: t.Scale == LogLog}
	for _, i := range order {
		if n := len(c.x); n > 0 && c.x[n-1] == t.X[i] {
			continue // the same point twice; different y was refused
		}
		c.x, c.y = append(c.x, t.X[i]), append(c.y, float64(t.Y[i]))
	}
	if t.Monotone == nil || *t.Monotone {
		pooled := Monotone(c.y, nil)
		for i := range pooled {
			c.moved = max(c.moved, math.Abs(pooled[i]-c.y[i]))
		}
		c.y = pooled
	}
	return c
}

// Monotone returns the closest non-decreasing sequence in weighted least squares:
// pool adjacent violators (Ayer and others 1955), in one pass. Weights are above 0;
// nil weighs all alike.
func Monotone(y, weights []float64) []float64 {
	type block struct {
		sum, weight float64
		n           int
	}
	var blocks []block
	for i, v := range y {
		b := block{v, 1, 1}
		if weights != nil {
			b.sum, b.weight = v*weights[i], weights[i]
		}
		for len(blocks) > 0 {
			last := blocks[len(blocks)-1]
			if last.sum*b.weight <= b.sum*last.weight {
				break
			}
			b.sum, b.weight, b.n = b.sum+last.sum, b.weight+last.weight, b.n+last.n
			blocks = blocks[:len(blocks)-1]
		}
		blocks = append(blocks, b)
	}
	out := make([]float64, 0, len(y))
	for _, b := range blocks {
		for range b.n {
			out = append(out, b.sum/b.weight)
		}
	}
	return out
}

// At reads the table at x; outside says that x lies beyond its points.
func (t *Table) At(x float64) (y Nanos, outside bool) {
	c := newCurve(t)
	v, outside := c.at(x)
	return Nanos(v), outside
}

// at evaluates the curve in ns; outside says that x lies beyond the grid, where
// the curve goes on in a straight line, log scale or not, but never below 0. A
// curve of one point is a constant and always outside.
func (c *curve) at(x float64) (y float64, outside bool) {
	n := len(c.x)
	if n == 1 {
		return c.y[0], true
	}
	outside = x < c.x[0] || x > c.x[n-1]
	i, _ := slices.BinarySearch(c.x, x)
	i = min(max(i, 1), n-1)
	x0, x1, y0, y1 := c.x[i-1], c.x[i], c.y[i-1], c.y[i]
	switch x { // the points themselves are exact, whatever the scale's rounding
	case x0:
		return y0, outside
	case x1:
		return y1, outside
	}
	if !c.loglog || outside {
		return max(0, y0+float64((y1-y0)*((x-x0)/(x1-x0)))), outside
	}
	return y0 * math.Exp(math.Log(y1/y0)*math.Log(x/x0)/math.Log(x1/x0)), outside
}
