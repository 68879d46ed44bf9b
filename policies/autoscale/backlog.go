package autoscale

import (
	"math"
	"time"

	"taillab/policies"
)

// Backlog asks for what works the backlog off within Drain, beside the arrivals:
//
//	⌈ Σ over classes (waiting/drain + λ) · s / ρ ⌉
//
// where λ is the rate of arrivals and s the GPU time of a request, both as exponential
// averages; less than one arrival in DownWindow is none. It goes up at once, and down to the most it wanted within the last
// DownWindow. What it wants is a total: replicas that are starting count.
type Backlog struct {
	Drain      time.Duration `yaml:"drain" about:"time to work the backlog off" above:"0s"`
	Rho        float64       `yaml:"rho" about:"utilization to aim at" above:"0" max:"1"`
	HalfLife   time.Duration `yaml:"half_life" about:"of the averages of arrivals and GPU time" above:"0s"`
	DownWindow time.Duration `yaml:"down_window" about:"goes down to the most wanted within it" min:"0s"`
	Period     time.Duration `yaml:"period" about:"time between decisions" min:"100ms"`

	clock   clock
	asked   time.Duration
	began   bool
	watched bool // some time was seen
	classes []flowRate
	wants   history
}

// flowRate is what is known of one class.
type flowRate struct {
	class   uint32
	lambda  float64 // arrivals per second
	seconds float64 // GPU seconds of a request; 0 = not known yet
	rated   bool
}

// FromZero implements Waker.
func (b *Backlog) FromZero() bool { return true }

// Desire implements Autoscaler.
func (b *Backlog) Desire(env *policies.Env, m *Metrics) Decision {
	if b.clock.next > env.Now && m.Spec > 0 {
		b.absorb(env.Now, m)
		d, _ := b.clock.early(env.Now)
		return d
	}
	b.absorb(env.Now, m)
	n, known := b.want(m)
	if !known {
		n = m.Spec
	}
	if m.Held > 0 {
		n = max(n, 1)
	}
	b.wants.add(env.Now, n, b.DownWindow)
	n = b.wants.highest(env.Now, n, b.DownWindow)
	return b.clock.decide(env.Now, Decision{Count: m.clamp(n), Next: b.Period})
}

// absorb folds what happened since the last call into the averages.
func (b *Backlog) absorb(now time.Duration, m *Metrics) {
	dt := now - b.asked
	b.asked = now
	if !b.began { // the first call has no interval behind it
		b.began = true
		return
	}
	b.watched = b.watched || dt > 0
	old := math.Exp2(-float64(dt) / float64(b.HalfLife))
	for i := range m.Backlog {
		c := &m.Backlog[i]
		f := b.class(c.Class)
		if dt > 0 {
			x := float64(c.Arrivals) / dt.Seconds()
			if f.rated {
				x = float64(f.lambda*old) + float64(x*(1-old))
			}
			f.lambda, f.rated = x, true
		}
		if c.Done > 0 {
			x := c.GPUTime.Seconds() / float64(c.Done)
			if f.seconds > 0 {
				x = float64(f.seconds*old) + float64(x*(1-old))
			}
			f.seconds = x
		}
	}
}

func (b *Backlog) class(c uint32) *flowRate {
	for i := range b.classes {
		if b.classes[i].class == c {
			return &b.classes[i]
		}
	}
	b.classes = append(b.classes, flowRate{class: c})
	return &b.classes[len(b.classes)-1]
}

// want is the formula; not known while the GPU time of a class with work is not.
func (b *Backlog) want(m *Metrics) (int, bool) {
	sum, known := 0.0, true
	for i := range m.Backlog {
		c := &m.Backlog[i]
		f := b.class(c.Class)
		rate := float64(c.Waiting) / b.Drain.Seconds()
		if f.lambda*b.DownWindow.Seconds() >= 1 || b.DownWindow == 0 {
			rate += f.lambda
		}
		sum += float64(rate * f.seconds)
		known = known && (f.seconds > 0 || rate == 0)
	}
	return int(math.Ceil(sum/b.Rho - 1e-9)), known && b.watched
}
