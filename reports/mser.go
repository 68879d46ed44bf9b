package reports

import "time"

// mserBatch is the number of points in one batch mean: the 5 of MSER-5.
const mserBatch = 5

// MSER5 returns how many points at the start of a series are warm-up, by the
// marginal standard error rule on means of 5 points (White 1997; Spratt 1998; White,
// Cobb and Spratt 2000): with the batch means ȳ_1…ȳ_m the cut is the d that
// minimises Σ_{i>d}(ȳ_i − mean_{>d})²/(m−d)², 0 ≤ d ≤ m − 5, ties to the smaller
// one. Settled is false if the best cut leaves less than half of the series, or the
// series is too short to tell: then nothing in it may be called steady state.
func MSER5(points []float64) (cut int, settled bool) {
	m := len(points) / mserBatch
	means := make([]float64, m)
	for i := range means {
		for _, y := range points[i*mserBatch : (i+1)*mserBatch] {
			means[i] += y / mserBatch
		}
	}
	best, at := 0.0, -1
	var sum welford
	for d := m - 1; d >= 0; d-- { // from the end: each step adds one value
		sum.add(means[d])
		if n := float64(m - d); d <= m-mserBatch {
			if score := sum.m2 / (n * n); at < 0 || score <= best {
				best, at = score, d
			}
		}
	}
	return mserBatch * max(at, 0), at >= 0 && 2*at <= m
}

// WarmUp finds the warm-up of runs that were recorded from their first request on:
// MSER-5 on the number of measured requests in the system, averaged over the runs
// (closed, one per seed of a cell). The cut is a time since the run began, a multiple
// of 1/100 of the run or so.
func WarmUp(runs []*Collector) (cut time.Duration, settled bool) {
	shift := uint(0)
	for _, r := range runs {
		shift = max(shift, r.pace.shift)
	}
	var sum []float64
	for i, r := range runs {
		in := r.pace.inSystem(shift)
		if i == 0 {
			sum = in
		}
		sum = sum[:min(len(sum), len(in))] // seeds end at different times
		for k := range sum {
			if i > 0 {
				sum[k] += in[k]
			}
		}
	}
	d, settled := MSER5(sum)
	return time.Duration(d) << shift, settled
}

// inSystem is the number of requests that have come and not ended, at the end of
// each cell of 2^shift ns up to the last arrival; shift is at least the pace's own.
func (p *pace) inSystem(shift uint) []float64 {
	if p.last < 0 {
		return nil
	}
	out := make([]float64, 0, paceCells)
	per := 1 << (shift - p.shift)
	n := int64(0)
	for i := 0; i <= int(p.last>>p.shift); i++ {
		n += p.arrived[i] - p.ended[i]
		if (i+1)%per == 0 {
			out = append(out, float64(n))
		}
	}
	return out
}
