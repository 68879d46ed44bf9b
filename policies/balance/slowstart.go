package balance

import (
	"math"
	"time"

	"taillab/policies"
)

// SlowStart gives a replica that has just been added, or has just become healthy, a
// part of its weight, which grows over a window: an empty replica is a magnet for
// whoever looks at loads, and a cold one is slow. It helps only around balancers that
// honour weights. When all replicas are new, the ratio cancels.
type SlowStart struct {
	Inner      `yaml:"inner" about:"the balancer that picks; it must honour weights"`
	Window     time.Duration `yaml:"window" about:"time until the whole weight; 0 = off" min:"0"`
	Aggression float64       `yaml:"aggression" about:"1 = linear; above 1 the weight grows faster at first" above:"0"`
	MinWeight  float64       `yaml:"min_weight" about:"least share of the weight" min:"0" max:"1"`

	since  []time.Duration // by ID: added or healthy
	well   []bool          // by ID: it was eligible at the last change
	latest time.Duration   // of since; −1: all replicas are of one age
}

// newSlowStart is the prototype.
func newSlowStart() *SlowStart {
	return &SlowStart{Inner: Around("random", &Random{Weighted: true}), Window: time.Minute, Aggression: 1, MinWeight: .1}
}

// Rank implements Decorator.
func (*SlowStart) Rank() int { return rankSlowStart }

// Wants implements Wanter.
func (p *SlowStart) Wants() Mask { return p.Inner.Wants() | WantMembers }

// Changed implements Members.
func (p *SlowStart) Changed(env *Env, c *Change) {
	f := env.Fleet
	p.since, p.well = extend(p.since, f.span()), extend(p.well, f.span())
	switch {
	case c.Kind == ChangeReset:
		p.latest = -1
		for id := range p.since {
			p.since[id], p.well[id] = env.Now, f.index(uint32(id)) >= 0
		}
	case c.Kind == ChangeAdded:
		p.begin(env.Now, c.Ref)
	default:
		well := f.Index(c.Ref) >= 0
		if well && !p.well[c.Ref.ID] {
			p.begin(env.Now, c.Ref)
		}
		p.well[c.Ref.ID] = well
	}
	p.Inner.Changed(env, c)
}

func (p *SlowStart) begin(now time.Duration, r policies.Ref) {
	p.since[r.ID], p.well[r.ID], p.latest = now, true, now
}

// View implements Viewer: the fleet as it is, unless some replica is new.
func (p *SlowStart) View(env *Env) *Fleet {
	if p.Window <= 0 || p.latest < 0 || env.Now-p.latest >= p.Window {
		return env.Fleet
	}
	f := env.Fleet
	return f.Reweigh(func(i int) float64 { return f.Weight(i) * p.share(env.Now-p.since[f.id(i)]) })
}

// share of the weight at an age: max(min_weight, (t/window)^(1/aggression)).
func (p *SlowStart) share(age time.Duration) float64 {
	if age >= p.Window {
		return 1
	}
	t := float64(max(age, time.Millisecond)) / float64(p.Window)
	if p.Aggression != 1 {
		t = math.Pow(t, 1/p.Aggression)
	}
	return min(1, max(p.MinWeight, t))
}
