package fit

import (
	"fmt"

	"taillab/sim/gpu"
)

// Bounds of the one factor on all times of a model, and how finely it is found.
const (
	scaleLeast, scaleMost = 0.5, 2.0
	scaleSteps            = 40 // halvings: 1.5·2⁻⁴⁰
)

// Calibrated is a model whose times were all multiplied by one factor.
type Calibrated struct {
	Spec          gpu.Spec
	Scale         float64
	From          int    // requests, the first ones, that the factor was found on
	Before, After Scores // of the others: by the model as it was, and times the factor
}

// Calibrate finds the factor in [.5, 2] on all times of a model at which the mean time
// from arrival to last token of the first third of a run is the measured one, by
// bisection. It is scored on the other requests.
func Calibrate(s gpu.Spec, run []Served) (*Calibrated, error) {
	c := &Calibrated{From: len(run) / 3}
	if c.From < 1 {
		return nil, fmt.Errorf("%d requests: a factor is found on the first third of three or more", len(run))
	}
	first := byArrival(run)[:c.From]
	whole := func(r *Served) float64 { return r.Last - r.Arrival }
	want := spread(run, first, whole)[0]
	mean := func(scale float64) (float64, error) {
		played, err := Play(Scaled(s, scale), run)
		if err != nil {
			return 0, err
		}
		return spread(played, first, whole)[0], nil
	}
	lo, hi := scaleLeast, scaleMost
	atLo, err := mean(lo)
	if err != nil {
		return nil, err
	}
	atHi, err := mean(hi)
	if err != nil {
		return nil, err
	}
	if want < atLo || want > atHi {
		return nil, fmt.Errorf("the first %d requests took %.4g ms on average; the model gives %.4g ms at half of its times and %.4g ms at twice: it is not a model of this run", c.From, want, atLo, atHi)
	}
	for range scaleSteps {
		middle := (lo + hi) / 2
		at, err := mean(middle)
		if err != nil {
			return nil, err
		}
		if at < want {
			lo = middle
		} else {
			hi = middle
		}
	}
	c.Scale = (lo + hi) / 2
	c.Spec = Scaled(s, c.Scale)
	for spec, scores := range map[*gpu.Spec]*Scores{&s: &c.Before, &c.Spec: &c.After} {
		played, err := Play(*spec, run)
		if err != nil {
			return nil, err
		}
		*scores = Compare(run, played, c.From)
	}
	return c, nil
}

// Scaled multiplies all times of a model.
func Scaled(s gpu.Spec, by float64) gpu.Spec {
	x := gpu.Nanos(by)
	for _, t := range []*gpu.Nanos{&s.A, &s.B, &s.C, &s.F, &s.S, &s.O, &s.Prefill.Floor, &s.Prefill.PerToken,
		&s.Step.Base, &s.Step.PerSeq, &s.Step.PerKV} {
		*t *= x
	}
	for _, t := range []*gpu.Table{&s.Table, &s.Prefill.Table} {
		y := make([]gpu.Nanos, len(t.Y))
		for i := range y {
			y[i] = t.Y[i] * x
		}
		t.Y = y
	}
	return s
}
