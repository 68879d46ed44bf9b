package fit

import (
	"errors"
	"fmt"
	"math"

	"gonum.org/v1/gonum/optimize"

	"taillab/sim/gpu"
)

// Bounds of a search for the four parameters of smooth-max.
const (
	bendSteps = 2000  // at most
	bendStart = 4.0   // exponent to start from
	bendLeast = 1.0   // least exponent
	bendMost  = 64.0  // largest: as sharp as a hinge
	bendFloor = 1e-3  // of the hinge's floor, where a logarithm needs more than 0
	bendClose = 1e-10 // relative change of the squares that ends the search
)

// smoothMax fits (f^p + (o + s·n)^p)^(1/p) by the method of Nelder and Mead (1965) on
// the logarithms of f, o, s and p, which keeps all of them above 0. It starts from the
// hinge: the same floor and slope, and the offset of its rising side.
func smoothMax() method {
	return method{names: []string{"f", "o", "s", "p"}, x: tokens, solve: solveBend, at: bendAt,
		fill: func(s *gpu.Spec, c []float64) { s.F, s.O, s.S, s.P = nanos(c[0]), nanos(c[1]), nanos(c[2]), c[3] }}
}

func bendAt(p Point, c []float64) float64 {
	return gpu.SmoothMaximum(c[0], c[1]+c[2]*p.Tokens, c[3])
}

func solveBend(points []Point, w Weight) ([]float64, error) {
	if len(points) < 4 {
		return nil, fmt.Errorf("%d measured points for 4 parameters", len(points))
	}
	h, err := hinge().solve(points, w)
	if err != nil {
		return nil, err
	}
	if h[0] == 0 || h[1] == 0 {
		return nil, errors.New("the measured points show no bend between a floor and a slope: fit affine-tokens")
	}
	at := func(x []float64) []float64 {
		return []float64{math.Exp(x[0]), math.Exp(x[1]), math.Exp(x[2]), min(max(math.Exp(x[3]), bendLeast), bendMost)}
	}
	start := []float64{math.Log(h[0]), math.Log(max(h[0]-h[1]*h[2], bendFloor*h[0])), math.Log(h[1]), math.Log(bendStart)}
	squares := func(x []float64) (sum float64) {
		c := at(x)
		for _, p := range points {
			d := (bendAt(p, c) - p.MS) * w.of(p.MS)
			sum += d * d
		}
		return sum
	}
	res, err := optimize.Minimize(optimize.Problem{Func: squares}, start, &optimize.Settings{MajorIterations: bendSteps,
		Converger: &optimize.FunctionConverge{Absolute: 1e-20, Relative: bendClose, Iterations: 100}}, &optimize.NelderMead{})
	if err != nil {
		return nil, fmt.Errorf("the search for a bend: %w", err)
	}
	return at(res.X), nil
}
