package theory

import (
	"math"

	"gonum.org/v1/gonum/mat"
)

// farApart bounds the difference of the two queues: larger ones are rarer than 1e-11.
const farApart = 100

// Two is two replicas with exponential service where a request joins the shorter queue
// with chance p, else the longer one, and either of equal ones: p = 1 is the shorter
// queue, p = ¾ the shorter of two choices drawn with replacement.
//
// The chain of (total N, difference d) is solved by levels of N: x_{N+1} = x_N·R_N,
// from the top, where no request comes any more (finite level-dependent
// quasi-birth-death process; Gaver, Jacobs, Latouche 1984).
func Two(rho, p float64) Law {
	top := int(math.Log(negligible)/math.Log(rho)) + 4
	rates := make([]*mat.Dense, top)
	for n := top - 1; n >= 0; n-- {
		rates[n] = upTo(rho, p, n, top, rates)
	}
	joins := make([]float64, top+farApart+1)
	x := mat.NewDense(1, 1, []float64{1})
	total := 0.0
	for n := range top {
		for i := range differences(n) {
			v, d := x.At(0, i), 2*i+n%2
			total += v
			short := (n - d) / 2
			if d == 0 {
				joins[short] += v
				continue
			}
			joins[short] += v * p
			joins[short+d] += v * (1 - p)
		}
		var next mat.Dense
		next.Mul(x, rates[n])
		x = &next
	}
	for i := range joins {
		joins[i] /= total
	}
	return erlangs(joins)
}

// differences is the number of states of level n: d = n mod 2, … in steps of 2.
func differences(n int) int { return min(n, farApart)/2 + 1 }

// upTo is R_n = U_n·(out_{n+1} − R_{n+1}·L_{n+2})⁻¹, U up one level and L down.
func upTo(rho, p float64, n, top int, rates []*mat.Dense) *mat.Dense {
	rows, cols := differences(n), differences(n+1)
	up := mat.NewDense(rows, cols, nil)
	for i := range rows {
		d := 2*i + n%2
		add(up, i, n+1, d-1, 2*rho*p)
		add(up, i, n+1, d+1, 2*rho*(1-p))
	}
	leave := mat.NewDense(cols, cols, nil)
	for i := range cols {
		d := 2*i + (n+1)%2
		out := 1.0
		if d < n+1 {
			out = 2
		}
		if n+1 < top {
			out += 2 * rho
		}
		leave.Set(i, i, out)
	}
	if n+1 < top {
		var back mat.Dense
		back.Mul(rates[n+1], down(n+2))
		leave.Sub(leave, &back)
	}
	var r mat.Dense
	var lu mat.LU
	lu.Factorize(leave.T())
	if err := lu.SolveTo(&r, false, up.T()); err != nil {
		panic("theory: the chain of two queues has a singular level: " + err.Error())
	}
	return mat.DenseCopyOf(r.T())
}

// down are the rates of ends from level n to n−1: the longer queue's brings the two
// together, the shorter one's, if it is not empty, drives them apart.
func down(n int) *mat.Dense {
	m := mat.NewDense(differences(n), differences(n-1), nil)
	for i := range differences(n) {
		d := 2*i + n%2
		add(m, i, n-1, d-1, 1)
		if d < n {
			add(m, i, n-1, d+1, 1)
		}
	}
	return m
}

// add adds a rate into difference d of level n: −1 is 1, and beyond the bound the
// step goes the other way.
func add(m *mat.Dense, row, n, d int, rate float64) {
	if d < 0 {
		d = 1
	}
	if d > min(n, farApart+n%2) || d/2 >= differences(n) {
		d -= 2
	}
	m.Set(row, d/2, m.At(row, d/2)+rate)
}
