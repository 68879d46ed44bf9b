package gpu

import (
	"math"
	"time"
)

// Mix describes the requests that offered load is made of, by the moments that
// E[work] needs. Input and output lengths are in tokens, an output of 0 counted
// as 1.
type Mix struct {
	Demand   time.Duration // mean demand (kind service)
	Input    float64       // E[input]
	InputSq  float64       // E[input²]; 0 = Input²
	Output   float64       // E[output]
	OutputSq float64       // E[output²]; 0 = Output²
	InOut    float64       // E[input·output]; 0 = independent: Input·Output

	// MeanOver returns E[f(input)]: a prompt's time is not linear in its length
	// where there is a knee or a table. Nil takes f at the mean.
	MeanOver func(f func(input float64) float64) float64
}

func (x *Mix) inputSq() float64 {
	if x.InputSq == 0 {
		return x.Input * x.Input
	}
	return x.InputSq
}

// context is E[output·(input + output/2)]: tokens of context, times the steps
// that they are held for.
func (x *Mix) context() float64 {
	inOut, sq := x.InOut, x.OutputSq
	if inOut == 0 {
		inOut = x.Input * x.Output
	}
	if sq == 0 {
		sq = x.Output * x.Output
	}
	return inOut + sq/2
}

func (x *Mix) meanOver(f func(float64) float64) float64 {
	if x.MeanOver == nil {
		return f(x.Input)
	}
	return x.MeanOver(f)
}

// Best returns E[work]: the slot time a request of the mix costs at the model's
// best batch, the unit of offered load. load = rate · Best / Σ speed · slots.
// Noise has mean 1 and leaves it alone; stragglers count, because what they
// take is not there for others.
func (m *Model) Best(x Mix) time.Duration {
	return round(m.best(&x) * m.slowness())
}

func (m *Model) best(x *Mix) float64 {
	if m.kind == kindService {
		return float64(x.Demand)
	}
	if m.kind == kindTokens {
		return m.bestTokens(x)
	}
	b := float64(m.maxBatch)
	t, _ := m.batchTime(b, b*x.Input, b*x.inputSq())
	return t / b
}

func (m *Model) bestTokens(x *Mix) float64 {
	s, out := float64(m.slots), max(x.Output, 1)
	prefill := x.meanOver(func(input float64) float64 { t, _ := m.prefillTime(input); return t })
	steps := out * m.stepTime(s, s*x.context()/out)
	if m.inline {
		return s*prefill + steps
	}
	return prefill + steps
}

// slowness is the mean factor of stragglers: per request or batch, times the
// mean of the sticky form, where the replica's speed averages over its sojourns.
func (m *Model) slowness() float64 {
	k := m.spec.Straggler.Factor
	f := 1 + m.prob*(k-1)
	if m.sticky {
		fast, slow := float64(m.spec.Straggler.FastFor), float64(m.spec.Straggler.SlowFor)
		f *= (fast + slow) / (fast + slow/k)
	}
	return f
}

// RequestFactor is what the host multiplies a request's work by, given a
// standard normal z and a uniform u of [0, 1) drawn at its arrival. It is 1
// where the model draws per batch.
func (m *Model) RequestFactor(z, u float64) float64 {
	if m.perBatch {
		return 1
	}
	return m.factor(z, u)
}

func (m *Model) factor(z, u float64) float64 {
	f := 1.0
	if m.sigma > 0 {
		f = math.Exp(float64(m.sigma*z) - m.sigma*m.sigma/2)
	}
	if u < m.prob {
		f *= m.spec.Straggler.Factor
	}
	return f
}
