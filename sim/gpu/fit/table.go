package fit

import (
	"slices"

	"taillab/sim/gpu"
)

// table fits a curve through the points: repeated measurements of one size are averaged,
// and falling neighbours pooled, both by their weight. x counts tokens where the points
// tell them, else items. Coefficients are the sizes, then their times.
func table(points []Point) method {
	m := method{x: items}
	axis := gpu.AxisItems
	if len(points) > 0 && points[0].Tokens > 0 {
		m.x, axis = tokens, gpu.AxisTokens
	}
	m.solve = func(points []Point, w Weight) ([]float64, error) { return knots(points, w, m.x) }
	m.fill = func(s *gpu.Spec, c []float64) { s.Table = tableOf(c, axis) }
	m.at = func(p Point, c []float64) float64 {
		t := tableOf(c, axis)
		y, _ := t.At(m.x(p))
		return float64(y) / ms
	}
	return m
}

func tableOf(c []float64, axis string) gpu.Table {
	t := gpu.Table{X: c[:len(c)/2], Axis: axis}
	for _, y := range c[len(c)/2:] {
		t.Y = append(t.Y, nanos(y))
	}
	return t
}

// knots lists the different sizes and their pooled times.
func knots(points []Point, w Weight, x func(Point) float64) ([]float64, error) {
	if len(points) == 0 {
		return nil, errNoPoints
	}
	var xs []float64
	for _, p := range points {
		xs = append(xs, x(p))
	}
	xs = distinct(xs)
	ys, weights := make([]float64, len(xs)), make([]float64, len(xs))
	for _, p := range points {
		i, _ := slices.BinarySearch(xs, x(p))
		v := w.of(p.MS) * w.of(p.MS) // squares are what is summed
		ys[i] += v * p.MS
		weights[i] += v
	}
	for i := range ys {
		ys[i] /= weights[i]
	}
	return append(xs, gpu.Monotone(ys, weights)...), nil
}
