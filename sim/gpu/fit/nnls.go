package fit

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/mat"
)

// nnls finds x ≥ 0 that minimises |Ax − y|² by the active-set method of Lawson and
// Hanson (Solving Least Squares Problems, 1974, chapter 23): coefficients enter the
// passive set, where they are free, in order of their gradient, and leave it where
// the free solution would make them negative. a holds the rows of A.
func nnls(a [][]float64, y []float64) ([]float64, error) {
	n := len(a[0])
	x, passive := make([]float64, n), make([]bool, n)
	w := gradient(a, y, x)
	largest := 0.0
	for _, v := range w {
		largest = max(largest, math.Abs(v))
	}
	tolerance := 1e-10 * largest
	for range 3 * n {
		enter := -1
		for j := range n {
			if !passive[j] && w[j] > tolerance && (enter < 0 || w[j] > w[enter]) {
				enter = j
			}
		}
		if enter < 0 {
			return x, nil
		}
		passive[enter] = true
		if err := settle(a, y, x, passive); err != nil {
			return nil, err
		}
		w = gradient(a, y, x)
	}
	return nil, fmt.Errorf("no fit after %d steps: the measured points determine less than %d parameters", 3*n, n)
}

// settle makes x the free solution over the passive set, taking out of it what would
// be negative, the first to reach zero first.
func settle(a [][]float64, y, x []float64, passive []bool) error {
	for {
		z, err := free(a, y, passive)
		if err != nil {
			return err
		}
		step, out := 1.0, -1
		for j := range x {
			if passive[j] && z[j] <= 0 {
				if s := x[j] / (x[j] - z[j]); s < step || out < 0 {
					step, out = s, j
				}
			}
		}
		if out < 0 {
			copy(x, z)
			return nil
		}
		for j := range x {
			x[j] += step * (z[j] - x[j])
			if passive[j] && (j == out || x[j] <= 0) {
				x[j], passive[j] = 0, false
			}
		}
	}
}

// gradient is Aᵀ(y − Ax).
func gradient(a [][]float64, y, x []float64) []float64 {
	w := make([]float64, len(x))
	for i, row := range a {
		r := y[i]
		for j, v := range row {
			r -= v * x[j]
		}
		for j, v := range row {
			w[j] += v * r
		}
	}
	return w
}

// free solves the least-squares problem over the passive columns by QR; the others
// are 0.
func free(a [][]float64, y []float64, passive []bool) ([]float64, error) {
	var columns []int
	for j, p := range passive {
		if p {
			columns = append(columns, j)
		}
	}
	z := make([]float64, len(passive))
	if len(columns) == 0 {
		return z, nil
	}
	if len(a) < len(columns) {
		return nil, fmt.Errorf("%d measured points for %d parameters", len(a), len(columns))
	}
	m := mat.NewDense(len(a), len(columns), nil)
	for i, row := range a {
		for k, j := range columns {
			m.Set(i, k, row[j])
		}
	}
	var qr mat.QR
	qr.Factorize(m)
	var s mat.VecDense
	if err := qr.SolveVecTo(&s, false, mat.NewVecDense(len(y), y)); err != nil {
		return nil, fmt.Errorf("the measured points leave a parameter open: %w", err)
	}
	for k, j := range columns {
		z[j] = s.AtVec(k)
	}
	return z, nil
}
