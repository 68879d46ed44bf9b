package chart

import (
	"fmt"
	"math"
	"slices"
)

// axis maps values to points on the chart, from p0 at lo to p1 at hi.
type axis struct {
	log    bool
	lo, hi float64
	p0, p1 float64
	unit   string // ms, share, load, rate, s or n: how a page prints a value read off
}

func (a axis) at(v float64) float64 {
	lo, hi := a.lo, a.hi
	if a.log {
		v, lo, hi = math.Log(v), math.Log(lo), math.Log(hi)
	}
	if hi == lo {
		return (a.p0 + a.p1) / 2
	}
	return a.p0 + (v-lo)/(hi-lo)*(a.p1-a.p0)
}

// clamp keeps a value on the axis.
func (a axis) clamp(v float64) float64 { return min(max(v, a.lo), a.hi) }

func (a axis) data() string {
	kind := "lin"
	if a.log {
		kind = "log"
	}
	return fmt.Sprintf("%s %g %g %s %s %s", kind, a.lo, a.hi, num(a.p0), num(a.p1), a.unit)
}

// logMantissas are the ticks within a decade, sparse first.
var logMantissas = [][]float64{{1}, {1, 3}, {1, 2, 5}, {1, 1.5, 2, 3, 5, 7}, {1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8}}

// fitting are the densest log ticks whose labels fit beside each other on a
// horizontal axis.
func (a axis) fitting(label func(float64) string) []tick {
	for most := 10; most > 2; most-- {
		ts := ticks(logTicks(a.lo, a.hi, most), label)
		if !slices.Contains(uncrowded(a, ts), false) {
			return ts
		}
	}
	return ticks(logTicks(a.lo, a.hi, 2), label)
}

// logTicks chooses the densest set of round numbers with at most most ticks. A
// span too short for round numbers of a decade gets even steps.
func logTicks(lo, hi float64, most int) []float64 {
	if !(lo > 0) || !finite(hi) || hi < lo {
		return nil
	}
	var best []float64
	for _, m := range logMantissas {
		t := decades(lo, hi, m)
		if len(t) > most {
			break
		}
		best = t
	}
	if len(best) == 0 { // more decades than ticks: every second, third, …
		all := decades(lo, hi, []float64{1})
		if len(all) > most {
			step := (len(all) + most - 1) / most
			for i := 0; i < len(all); i += step {
				best = append(best, all[i])
			}
		}
	}
	if len(best) < 3 {
		if even := linTicks(lo, hi, most); len(even) > len(best) {
			return even
		}
	}
	return best
}

func decades(lo, hi float64, mantissas []float64) []float64 {
	var out []float64
	for e := math.Floor(math.Log10(lo)) - 1; e <= math.Ceil(math.Log10(hi)); e++ {
		for _, m := range mantissas {
			// The slop keeps a tick that stands exactly on the end of the axis.
			if v := round(m*math.Pow(10, e), 3); v >= lo*(1-1e-9) && v <= hi*(1+1e-9) {
				out = append(out, v)
			}
		}
	}
	return out
}

// linTicks are at most most multiples of 1, 2 or 5 times a power of ten.
func linTicks(lo, hi float64, most int) []float64 {
	if !finite(lo) || !finite(hi) || hi <= lo || most < 2 {
		return nil
	}
	step := math.Pow(10, math.Floor(math.Log10((hi-lo)/float64(most))))
	for _, m := range []float64{1, 2, 5, 10, 20} {
		n := math.Floor(hi/(step*m)+1e-9) - math.Ceil(lo/(step*m)-1e-9) + 1
		if n <= float64(most) {
			step *= m
			break
		}
	}
	var out []float64
	for i := math.Ceil(lo/step-1e-9) + 0; i*step <= hi+step*1e-9; i++ { // + 0 turns −0 into 0
		out = append(out, round(i*step, 9))
	}
	return out
}

// logRange widens a span of values so that lines do not touch the frame, and is
// never empty.
func logRange(lo, hi float64) (float64, float64) {
	if !(lo > 0) || !(hi >= lo) {
		return 1, 10
	}
	pad := max(math.Pow(hi/lo, 0.06), 1.04)
	lo, hi = lo/pad, hi*pad
	if hi/lo < 1.5 {
		mid := math.Sqrt(lo * hi)
		lo, hi = mid/math.Sqrt(1.5), mid*math.Sqrt(1.5)
	}
	return lo, hi
}

// tickLatency prints a tick of a latency axis without needless zeros: "200 ms".
func tickLatency(ms float64) string {
	switch {
	case ms == 0:
		return "0"
	case ms < 1:
		return short(ms*1e3) + " µs"
	case ms < 1e3:
		return short(ms) + " ms"
	default:
		return short(ms/1e3) + " s"
	}
}

// short prints a round number without trailing zeros.
func short(v float64) string { return minus(fmt.Sprintf("%.6g", v)) }

// tickNumber prints a count compactly: 1200 is "1.2k".
func tickNumber(v float64) string {
	switch a := math.Abs(v); {
	case a >= 1e6:
		return short(v/1e6) + "M"
	case a >= 1e4:
		return short(v/1e3) + "k"
	}
	return short(v)
}
