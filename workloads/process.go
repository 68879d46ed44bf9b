package workloads

import (
	"math"
	"math/rand/v2"
	"time"

	"taillab/policies/chance"
)

// process yields the gaps of an arrival process in ns, as floats; +Inf = no more.
type process interface{ gap() float64 }

// clock adds gaps to an absolute time held as whole ns and a remainder in
// [0, 1), and rounds the absolute time, never a gap: truncated gaps of 10.5 ns
// would raise the load by 5 %.
type clock struct {
	whole int64
	rest  float64
}

// horizon is where a schedule ends for lack of numbers (146 years).
const horizon = 1 << 62

// add returns the instant, rounded half up; false beyond the horizon. Carry and
// rounding take no branch: half of either would be mispredicted.
func (c *clock) add(gap float64) (time.Duration, bool) {
	if !(gap < horizon) {
		return 0, false
	}
	w := int64(gap) // the floor: gaps are not negative
	rest := c.rest + (gap - float64(w))
	carry := int64(rest)
	c.rest = rest - float64(carry)
	c.whole += w + carry
	if c.whole >= horizon {
		return 0, false
	}
	return time.Duration(c.whole + int64(2*c.rest)), true
}

type poisson struct {
	dice rand.PCG
	mean float64 // ns
}

func (p *poisson) gap() float64 { return chance.Exp(&p.dice) * p.mean }

// constant carries the fraction of its gap apart: 10⁹/rate as a float loses up to
// 1e-7 ns per gap, and the losses all point the same way. Its gaps are whole, the
// differences of absolute times rounded half up: hence rest begins at one half.
type constant struct {
	whole, part float64 // gap = whole + part ns
	rest        float64
	phase       float64 // before the first
}

func newConstant(rate float64, phase time.Duration) *constant {
	w := math.Floor(1e9 / rate)
	part := -math.FMA(w, rate, -1e9) / rate // (10⁹ − w·rate)/rate without cancellation
	return &constant{whole: w, part: part, rest: 0.5, phase: float64(phase)}
}

func (c *constant) gap() float64 {
	g := c.whole + c.phase
	c.phase = 0
	if c.rest += c.part; c.rest >= 1 {
		c.rest--
		g++
	}
	return g
}

type gammaGaps struct {
	dice         rand.PCG
	shape, scale float64
}

func (g *gammaGaps) gap() float64 { return chance.Gamma(&g.dice, g.shape) * g.scale }

type weibullGaps struct {
	dice           rand.PCG
	inverse, scale float64 // 1/shape
}

func (w *weibullGaps) gap() float64 { return math.Pow(chance.Exp(&w.dice), w.inverse) * w.scale }

// The shapes within which the shape of a cv is looked for.
const weibullShapeMin, weibullShapeMax = 0.05, 50.0

// weibullCV is the coefficient of variation of a Weibull law of shape k.
func weibullCV(k float64) float64 {
	a, _ := math.Lgamma(1 + 2/k)
	b, _ := math.Lgamma(1 + 1/k)
	return math.Sqrt(math.Expm1(a - 2*b))
}

// weibullShape inverts weibullCV by bisection; the cv falls with the shape.
func weibullShape(cv float64) float64 {
	lo, hi := weibullShapeMin, weibullShapeMax
	for range 100 {
		if mid := (lo + hi) / 2; weibullCV(mid) > cv {
			lo = mid
		} else {
			hi = mid
		}
	}
	return (lo + hi) / 2
}

// mmpp is a Poisson process whose rate follows a Markov chain.
type mmpp struct {
	dice    rand.PCG
	rate    []float64 // per ns
	sojourn []float64 // mean ns
	next    []*alias  // jumps; nil = uniform over the others
	state   int
	left    float64 // ns until the next jump
}

func newMMPP(dice rand.PCG, states []State, jumps [][]float64) *mmpp {
	m := &mmpp{dice: dice}
	for _, s := range states {
		m.rate = append(m.rate, s.Rate/1e9)
		m.sojourn = append(m.sojourn, float64(s.MeanSojourn))
	}
	for _, row := range jumps {
		m.next = append(m.next, newAlias(row))
	}
	m.state = int(newAlias(stationary(states, jumps)).draw(&m.dice))
	m.left = chance.Exp(&m.dice) * m.sojourn[m.state] // no memory: the residual has the same law
	return m
}

func (m *mmpp) gap() float64 {
	t := 0.0
	for {
		if r := m.rate[m.state]; r > 0 {
			if g := chance.Exp(&m.dice) / r; g < m.left {
				m.left -= g
				return t + g
			}
		}
		t += m.left
		if t >= horizon {
			return math.Inf(1)
		}
		m.jump()
		m.left = chance.Exp(&m.dice) * m.sojourn[m.state]
	}
}

func (m *mmpp) jump() {
	if m.next != nil {
		m.state = int(m.next[m.state].draw(&m.dice))
		return
	}
	j := int(chance.Below(&m.dice, uint64(len(m.rate)-1)))
	if j >= m.state {
		j++
	}
	m.state = j
}

// stationary is the share of time in each state: the jump chain's law (by
// elimination without subtraction: Grassmann, Taksar, Heyman 1985) times the sojourns.
func stationary(states []State, jumps [][]float64) []float64 {
	n := len(states)
	pi := make([]float64, n)
	if jumps == nil {
		for i := range pi {
			pi[i] = 1
		}
	} else {
		gth(jumps, pi)
	}
	sum := 0.0
	for i, s := range states {
		pi[i] *= float64(s.MeanSojourn)
		sum += pi[i]
	}
	for i := range pi {
		pi[i] /= sum
	}
	return pi
}

func gth(jumps [][]float64, pi []float64) {
	n := len(jumps)
	a := make([][]float64, n)
	for i := range a {
		a[i] = append([]float64(nil), jumps[i]...)
	}
	for k := n - 1; k > 0; k-- {
		s := 0.0
		for j := range k {
			s += a[k][j]
		}
		for i := range k {
			a[i][k] /= s
			for j := range k {
				a[i][j] += a[i][k] * a[k][j]
			}
		}
	}
	pi[0] = 1
	for k := 1; k < n; k++ {
		pi[k] = 0
		for i := range k {
			pi[k] += pi[i] * a[i][k]
		}
	}
}

// wave is a Poisson process of sinusoidal rate: base·(1 + A·sin(2π(t/period + turn))).
type wave struct {
	dice      rand.PCG
	mean      float64 // ns between arrivals at the base rate
	amplitude float64
	period    float64 // ns
	phase     float64 // of the present, in turns [0, 1)
}

func (w *wave) gap() float64 {
	need := chance.Exp(&w.dice) * w.mean // ns at the base rate
	cycles := math.Floor(need / w.period)
	rest := need - cycles*w.period // a whole period passes exactly its length of base time
	lo, hi := max(0, rest/(1+w.amplitude)), min(w.period, rest/(1-w.amplitude))
	dt := min(max(rest, lo), hi)
	k := w.amplitude * w.period / (2 * math.Pi)
	sin0, cos0 := math.Sincos(2 * math.Pi * w.phase)
	for range 60 {
		a := 2 * math.Pi * dt / w.period
		sin, cos := math.Sincos(a)
		// cos φ0 − cos(φ0+a), written so that a small a does not cancel.
		h := math.Sin(a / 2)
		f := dt + k*(2*h*h*cos0+sin*sin0) - rest
		if f > 0 {
			hi = dt
		} else {
			lo = dt
		}
		slope := 1 + w.amplitude*(sin0*cos+cos0*sin)
		step := f / slope
		if math.Abs(step) < 1e-4 || hi-lo < 1e-4 {
			dt = min(max(dt-step, lo), hi)
			break
		}
		if dt -= step; dt <= lo || dt >= hi {
			dt = (lo + hi) / 2
		}
	}
	total := cycles*w.period + dt
	_, w.phase = math.Modf(w.phase + dt/w.period)
	return total
}

// newProcess builds the arrivals of one run at the given mean rate per second.
func newProcess(a Arrivals, rate float64, runSeed uint64) process {
	dice := chance.Stream(runSeed, "arrivals")
	mean := 1e9 / rate
	switch a.Kind {
	case "poisson":
		return &poisson{dice: dice, mean: mean}
	case "constant":
		return newConstant(rate, a.Phase)
	case "gamma":
		return newGamma(dice, rate, a.CV)
	case "weibull":
		k := weibullShape(a.CV)
		return &weibullGaps{dice: dice, inverse: 1 / k, scale: mean / math.Gamma(1+1/k)}
	case "mmpp", "onoff":
		return newMMPP(dice, scaledStates(a, rate), a.Transition)
	case "diurnal":
		_, turn := math.Modf(a.Turn)
		return &wave{dice: dice, mean: mean, amplitude: a.Amplitude, period: float64(a.Period), phase: turn}
	}
	panic("workloads: arrivals of kind " + a.Kind + " were not checked")
}

func newGamma(dice rand.PCG, rate, cv float64) *gammaGaps {
	return &gammaGaps{dice: dice, shape: 1 / (cv * cv), scale: cv * cv * 1e9 / rate}
}

// states returns the states of an mmpp or of on and off.
func (a Arrivals) states() []State {
	if a.Kind == "onoff" {
		return []State{{a.OnRate, a.OnMean}, {0, a.OffMean}}
	}
	return a.States
}

// scaledStates multiplies all rates so that the mean is rate.
func scaledStates(a Arrivals, rate float64) []State {
	ss := append([]State(nil), a.states()...)
	f := rate / a.meanRate()
	for i := range ss {
		ss[i].Rate *= f
	}
	return ss
}

// meanRate is the long-run rate per second without modulation; 0 = not given.
func (a Arrivals) meanRate() float64 {
	switch a.Kind {
	case "mmpp", "onoff":
		ss, r := a.states(), 0.0
		for i, p := range stationary(ss, a.Transition) {
			r += p * ss[i].Rate
		}
		return r
	}
	return a.Rate
}
