package fit

import (
	"errors"
	"fmt"
	"math"

	"taillab/sim/gpu"
)

// Loop is one measurement of text generation in a closed loop: so many requests are
// inside all the time, each of them as long as the others.
type Loop struct {
	Concurrency, Input, Output float64 // requests, tokens, tokens
	TPOT                       float64 // mean time per output token after the first, ms
	TTFT                       float64 // mean time to the first token, ms; 0 where it was not measured
}

// context is the mean number of tokens that a request holds while it steps.
func (l *Loop) context() float64 { return l.Input + l.Output/2 }

// FitLoops finds the parameters of a tokens model from closed loops. A full loop of C
// requests steps every a + b·C + c·C·(I + O/2), and while a request makes its O steps,
// the C − 1 others put their prompts between them: (C − 1)·s·I/O for each. That is
// linear in a, b, c and s. Floor and knee of prompts come from the time to the first
// token where nothing else is inside, less one step.
func FitLoops(rows []Loop, opt Options) (gpu.Spec, Report, error) {
	r := Report{N: len(rows), LOO: math.NaN()}
	for i, l := range rows {
		if !(l.Concurrency >= 1 && l.Input >= 0 && l.Output >= 2 && l.TPOT > 0 && l.TTFT >= 0) || math.IsInf(l.TPOT+l.TTFT, 1) {
			return gpu.Spec{}, r, fmt.Errorf("row %d: concurrency %g, input %g, output %g, TPOT %g ms, TTFT %g ms: a loop has 1 or more requests of 2 or more output tokens, and times above 0",
				i+1, l.Concurrency, l.Input, l.Output, l.TPOT, l.TTFT)
		}
	}
	c, err := loopRates(rows, opt.Weight)
	if err != nil {
		return gpu.Spec{}, r, err
	}
	at := func(l Loop, c []float64) float64 { return dot(loopColumns(l), c) }
	for _, l := range rows {
		r.add(l.TPOT, at(l, c))
	}
	if len(rows) > len(c) {
		r.LOO = leaveOut(rows, func(l Loop) float64 { return l.TPOT },
			func(others []Loop) ([]float64, error) { return loopRates(others, opt.Weight) }, at)
	}
	s := tokensSpec(c)
	idle := r.prompts(&s, rows, opt.Weight)
	r.warnLoops(c, rows, idle)
	return s, r, nil
}

func loopColumns(l Loop) []float64 {
	return []float64{1, l.Concurrency, l.Concurrency * l.context(), (l.Concurrency - 1) * l.Input / l.Output}
}

// loopRates fits base, per_seq and per_kv of the step and per_token of prompts, in ms.
func loopRates(rows []Loop, w Weight) ([]float64, error) {
	a, y, weights := make([][]float64, len(rows)), make([]float64, len(rows)), make([]float64, len(rows))
	for i, l := range rows {
		a[i], y[i], weights[i] = loopColumns(l), l.TPOT, w.of(l.TPOT)
	}
	c, err := weighted(a, y, weights)
	if err == nil && c[0] == 0 {
		err = errors.New("the base of a step comes out as 0: measure loops of few requests, too")
	}
	return c, err
}

// tokensSpec is the model of base, per_seq, per_kv and per_token.
func tokensSpec(c []float64) gpu.Spec {
	s := gpu.Defaults(gpu.Tokens)
	s.Step = gpu.Step{Base: nanos(c[0]), PerSeq: nanos(c[1]), PerKV: nanos(c[2])}
	s.Prefill.PerToken = nanos(c[3])
	return s
}

// prompts finds floor and knee of the prefill, and its slope where the loops did not
// show it, from loops of one request that tell their TTFT. It returns how many there are.
func (r *Report) prompts(s *gpu.Spec, rows []Loop, w Weight) int {
	var alone []Point
	for _, l := range rows {
		step := float64(s.Step.Base+s.Step.PerSeq) + float64(s.Step.PerKV)*l.context()
		if y := l.TTFT - step/ms; l.Concurrency == 1 && y > 0 && l.Input > 0 {
			alone = append(alone, Point{Tokens: l.Input, MS: y})
		}
	}
	if len(alone) == 0 {
		return 0
	}
	sizes := make([]float64, len(alone))
	for i, p := range alone {
		sizes[i] = p.Tokens
	}
	sizes = distinct(sizes)
	knees := []float64{0}
	if len(sizes) > 2 {
		knees = append(knees, sizes[:len(sizes)-1]...)
	}
	slope := float64(s.Prefill.PerToken) / ms
	least := math.Inf(1)
	for _, k := range knees {
		f, per, ok := promptAt(alone, k, slope, w)
		if e := promptError(alone, f, per, k); ok && e < least {
			least = e
			s.Prefill = gpu.Prefill{Floor: nanos(f), PerToken: nanos(per), Knee: k}
		}
	}
	return len(alone)
}

// promptAt fits the floor before a given knee, and the slope behind it where it is 0,
// that is not known.
func promptAt(alone []Point, knee, slope float64, w Weight) (floor, per float64, ok bool) {
	if slope == 0 {
		c, err := hinge().given(alone, knee, w)
		if err != nil {
			return 0, 0, false
		}
		return c[0], c[1], true
	}
	sum, weight := 0.0, 0.0
	for _, p := range alone {
		v := w.of(p.MS) * w.of(p.MS)
		sum, weight = sum+v*(p.MS-slope*max(0, p.Tokens-knee)), weight+v
	}
	return max(0, sum/weight), slope, true
}

func promptError(alone []Point, floor, per, knee float64) (sum float64) {
	for _, p := range alone {
		sum += math.Abs((floor+per*max(0, p.Tokens-knee))/p.MS - 1)
	}
	return sum / float64(len(alone))
}

// warnLoops lists what makes the parameters doubtful.
func (r *Report) warnLoops(c []float64, rows []Loop, idle int) {
	if len(rows) < 8 {
		r.Warnings = append(r.Warnings, fmt.Sprintf("%d loops for 4 parameters: take 8 or more", len(rows)))
	}
	r.zeros([]string{"step.base", "step.per_seq", "step.per_kv", "prefill.per_token"}, c)
	least, most := math.Inf(1), 0.0
	for _, l := range rows {
		least, most = min(least, l.Concurrency), max(most, l.Concurrency)
	}
	if most < 4*least {
		r.Warnings = append(r.Warnings, fmt.Sprintf("concurrency from %g to %g: measure over a factor of 4 or more", least, most))
	}
	if idle == 0 {
		r.Warnings = append(r.Warnings, "no loop of one request tells its TTFT: prefill.floor and prefill.knee stay 0")
	}
}
