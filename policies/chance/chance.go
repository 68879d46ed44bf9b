// Package chance holds the seeding formula and the samplers that everything
// random in a run is drawn from. Streams are named by their role; a name never
// holds a policy's label, so renaming a policy changes nothing and adding a
// stream shifts no other.
//
// It is not for policies: they are lent a *rand.Rand in their Env.
package chance

import (
	"math"
	"math/bits"
	"math/rand/v2"

	"github.com/cespare/xxhash/v2"
)

// Mix is one SplitMix64 step: add the golden gamma, then finalise (Steele, Lea, Flood 2014).
func Mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// RunSeed derives the seed of replication i (from 0) of a base seed.
func RunSeed(base uint64, i int) uint64 { return Mix(Mix(base) ^ uint64(i)) }

// Stream returns the generator of one named purpose of a run. Both words depend
// on the name: streams that shared the low word would share half their state.
func Stream(runSeed uint64, name string) rand.PCG {
	hi := Mix(runSeed ^ xxhash.Sum64String(name))
	return *rand.NewPCG(hi, Mix(hi))
}

// Dice is a stream that counts its draws, so that a tape can record how many
// an instance has used. It implements rand.Source.
type Dice struct {
	PCG   rand.PCG
	Drawn uint64
}

// Uint64 draws one word.
func (d *Dice) Uint64() uint64 { d.Drawn++; return d.PCG.Uint64() }

// NewDice returns the counting stream of one named purpose.
func NewDice(runSeed uint64, name string) *Dice { return &Dice{PCG: Stream(runSeed, name)} }

// Float draws uniformly from [0, 1) with 53 bits.
func Float(p *rand.PCG) float64 { return float64(p.Uint64()>>11) * 0x1p-53 }

// Below draws uniformly from 0 … n−1 (Lemire's multiplication; the bias of at
// most n/2⁶⁴ is far below anything a run could show). n must be at least 1.
func Below(p *rand.PCG, n uint64) uint64 {
	hi, _ := bits.Mul64(p.Uint64(), n)
	return hi
}

// Exp draws from the exponential law of mean 1 by a 256-layer ziggurat with 53
// bits (Marsaglia, Tsang 2000).
func Exp(p *rand.PCG) float64 {
	u := p.Uint64()
	i, j := u&255, u>>11
	if j < expK[i] {
		return float64(j) * expW[i]
	}
	return expSlow(p, u)
}

func expSlow(p *rand.PCG, u uint64) float64 {
	add := 0.0
	for {
		i, j := u&255, u>>11
		x := float64(j) * expW[i]
		switch {
		case j < expK[i]:
			return x + add
		case i == 255: // beyond the last layer: the law has no memory, start again from there
			add += expR
		case expF[i+1]+Float(p)*(expF[i]-expF[i+1]) < math.Exp(-x):
			return x + add
		}
		u = p.Uint64()
	}
}

// Normal draws from the standard normal law by a 256-layer ziggurat with 53 bits
// (Marsaglia, Tsang 2000).
func Normal(p *rand.PCG) float64 {
	for {
		u := p.Uint64()
		i, j := u&255, u>>11
		sign := 1.0
		if u&256 != 0 {
			sign = -1
		}
		x := float64(j) * normW[i]
		if j < normK[i] {
			return sign * x
		}
		if i == 255 {
			return sign * normTail(p)
		}
		if normF[i+1]+Float(p)*(normF[i]-normF[i+1]) < math.Exp(-0.5*x*x) {
			return sign * x
		}
	}
}

// normTail draws |x| beyond the last layer (Marsaglia 1964).
func normTail(p *rand.PCG) float64 {
	for {
		x, y := Exp(p)/normR, Exp(p)
		if y+y > x*x {
			return normR + x
		}
	}
}

// Gamma draws from the gamma law of the given shape (> 0) and scale 1
// (Marsaglia, Tsang 2000; shapes below 1 by the boost U^(1/shape)).
func Gamma(p *rand.PCG, shape float64) float64 {
	if shape < 1 {
		u := Float(p)
		for u == 0 {
			u = Float(p)
		}
		return Gamma(p, shape+1) * math.Pow(u, 1/shape)
	}
	d := shape - 1.0/3
	c := 1 / math.Sqrt(9*d)
	for {
		x := Normal(p)
		v := 1 + c*x
		if v <= 0 {
			continue
		}
		v = v * v * v
		u := Float(p)
		if u < 1-0.0331*x*x*x*x {
			return d * v
		}
		if u > 0 && math.Log(u) < 0.5*x*x+d*(1-v+math.Log(v)) {
			return d * v
		}
	}
}

// Lognormal draws exp(mu + sigma·Z).
func Lognormal(p *rand.PCG, mu, sigma float64) float64 { return math.Exp(mu + sigma*Normal(p)) }
