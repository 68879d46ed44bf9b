package theory

import (
	"math"

	"gonum.org/v1/gonum/dsp/fourier"
)

// MG1Wait are the mean and the variance of the wait in one queue (Pollaczek 1930,
// Khinchine 1932): W̄ = ρE[S²]/(2(1−ρ)), Var W = W̄² + ρE[S³]/(3(1−ρ)).
func MG1Wait(rho float64, s Service) (mean, variance float64) {
	mean = rho * s.M2 / (2 * (1 - rho))
	return mean, mean*mean + rho*s.M3/(3*(1-rho))
}

// MG1 is one queue with any law of service. The wait is a geometric sum of residual
// services: with chance ρ one more, each with the CDF E[min(S, x)]. The sum is formed
// on a lattice by Fourier transform, and the service is added to it exactly.
func MG1(rho float64, s Service) Law {
	mean, _ := MG1Wait(rho, s)
	return Law{Mean: 1 + mean, Tail: mg1Tail(rho, s, mg1Cells)}
}

// mg1Cells is the number of cells that the law of the latency is computed on; as many
// again take up what lies beyond.
const mg1Cells = 1 << 16

// mg1Beyond is the chance of a wait beyond the lattice: it folds back into it.
const mg1Beyond = 1e-7

func mg1Tail(rho float64, s Service, cells int) func(t float64) float64 {
	h := 0.5 / 64
	w := mg1Lattice(rho, s, cells, h)
	for sum(w[cells/2:]) > mg1Beyond {
		h *= 2
		w = mg1Lattice(rho, s, cells, h)
	}
	// smooth[m] is the part of P(R ≤ (m+½)h) with a wait above 0. A cell's mass lies
	// evenly in [(j−½)h, (j+½)h), so with I(y) = ∫₀^y P(S ≤ x) dx = y − E[min(S, y)] it
	// adds (I((m−j+1)h) − I((m−j)h))/h; cell 0 has the right half only.
	whole := func(y float64) float64 { return y - s.Short(y) }
	steps := make([]float64, 2*cells)
	for i := range cells {
		steps[i] = (whole(float64(i+1)*h) - whole(float64(i)*h)) / h
	}
	first := w[0] - (1 - rho)
	w[0] = 0
	smooth := convolve(w, steps)
	for m := range cells {
		y := float64(m) * h
		smooth[m] += first * (whole(y+h/2) - whole(y)) / (h / 2)
	}
	return func(t float64) float64 {
		x := t/h - 0.5
		i := int(math.Floor(x))
		if i >= cells-1 {
			return 0
		}
		part := 0.0
		switch {
		case i < 0:
			part = smooth[0] * (x + 1)
		default:
			part = smooth[i] + (x-float64(i))*(smooth[i+1]-smooth[i])
		}
		return min(1, max(0, 1-(1-rho)*s.CDF(t)-part))
	}
}

// mg1Lattice is the law of the wait on 2·cells cells of width h: ŵ = (1−ρ)/(1−ρ·f̂),
// f the law of a residual.
func mg1Lattice(rho float64, s Service, cells int, h float64) []float64 {
	f := make([]float64, 2*cells)
	below := 0.0
	for j := range f {
		up := s.Short((float64(j) + 0.5) * h)
		f[j] = up - below
		below = up
	}
	fft := fourier.NewFFT(len(f))
	c := fft.Coefficients(nil, f)
	for i, x := range c {
		c[i] = complex(1-rho, 0) / (1 - complex(rho, 0)*x)
	}
	return scaled(fft.Sequence(nil, c))
}

// convolve is the circular convolution of two sequences of one length.
func convolve(a, b []float64) []float64 {
	fft := fourier.NewFFT(len(a))
	x, y := fft.Coefficients(nil, a), fft.Coefficients(nil, b)
	for i := range x {
		x[i] *= y[i]
	}
	return scaled(fft.Sequence(nil, x))
}

// scaled divides by the length: the transforms there and back multiply by it.
func scaled(x []float64) []float64 {
	for i := range x {
		x[i] /= float64(len(x))
	}
	return x
}

func sum(x []float64) (s float64) {
	for _, v := range x {
		s += v
	}
	return s
}
