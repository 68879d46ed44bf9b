package gpu

import "math"

// SmoothMaximum is (x^p + y^p)^(1/p) of two times ≥ 0: near the larger one where they
// differ, 2^(1/p) of them where they are equal. The larger one is taken out first, so
// that no power overflows.
func SmoothMaximum(x, y, p float64) float64 {
	lo, hi := min(x, y), max(x, y)
	if hi == 0 {
		return 0
	}
	return hi * math.Pow(1+math.Pow(lo/hi, p), 1/p)
}
