package autoscale

import (
	"math"
	"time"

	"taillab/policies"
)

// RayServe is the autoscaler of Ray Serve: the fleet in proportion to how far the
// ongoing requests per replica are from their target, after the same direction was
// wanted for a whole delay. Code: ray-project/ray python/ray/serve/autoscaling_policy.py.
type RayServe struct {
	Target     float64       `yaml:"target" about:"ongoing requests per replica to aim at" above:"0"`
	UpDelay    time.Duration `yaml:"up_delay" about:"how long growth must be wanted" min:"0s"`
	DownDelay  time.Duration `yaml:"down_delay" about:"how long shrinking must be wanted" min:"0s"`
	ZeroDelay  time.Duration `yaml:"zero_delay" about:"the same for the last replica; 0 = down_delay" min:"0s"`
	UpFactor   float64       `yaml:"up_factor" about:"share of the missing replicas that is asked for" above:"0"`
	DownFactor float64       `yaml:"down_factor" about:"share of the surplus that is given back" above:"0"`
	LookBack   time.Duration `yaml:"look_back" about:"ongoing requests are averaged over this" min:"1s"`
	Loop       time.Duration `yaml:"loop" about:"time between decisions" min:"100ms"`

	clock  clock
	streak int // consecutive decisions in one direction: above 0 up, below 0 down
}

func newRayServe() *RayServe {
	return &RayServe{Target: 2, UpDelay: 30 * time.Second, DownDelay: 10 * time.Minute, UpFactor: 1, DownFactor: 1,
		LookBack: 30 * time.Second, Loop: time.Second}
}

// Queries implements Reader.
func (r *RayServe) Queries() []Query {
	return []Query{{Metric: Concurrency, Scrape: time.Second, Window: r.LookBack, Panic: time.Second}}
}

// FromZero implements Waker.
func (r *RayServe) FromZero() bool { return true }

// Advise implements Adviser.
func (r *RayServe) Advise(s Setting) []Advice { return flapping(s.Lead, r.DownDelay) }

// Desire implements Autoscaler.
func (r *RayServe) Desire(env *policies.Env, m *Metrics) Decision {
	if d, ok := r.clock.early(env.Now); ok && m.Spec > 0 {
		return d
	}
	d := Decision{Count: m.Spec, Next: r.Loop}
	if m.Spec == 0 {
		if r.streak = 0; m.Held > 0 { // traffic at zero is answered at once
			d.Count = int(math.Ceil(r.UpFactor))
		}
	} else if ongoing := m.reading(0).Stable; ongoing.OK {
		d.Count = r.patient(m.Spec, m.clamp(r.scaled(m.Spec, ongoing.Value)))
	}
	d.Count = m.clamp(d.Count)
	return r.clock.decide(env.Now, d)
}

// scaled is n moved towards ongoing/target by the factor of the direction. A surplus
// whose share rounds to nothing gives one replica back.
func (r *RayServe) scaled(n int, ongoing float64) int {
	delta := ongoing/r.Target - float64(n)
	if delta >= 0 {
		return up(float64(n) + float64(r.UpFactor*delta))
	}
	want := up(float64(n) + float64(r.DownFactor*delta))
	if want == n && ongoing/r.Target <= float64(n-1) {
		want--
	}
	return max(want, 0)
}

// patient carries a wish out once it has lasted for its delay.
func (r *RayServe) patient(n, want int) int {
	delay := r.UpDelay
	switch {
	case want > n:
		r.streak = max(r.streak, 0) + 1
	case want < n:
		r.streak = min(r.streak, 0) - 1
		if delay = r.DownDelay; want == 0 {
			want = 1
			if n == 1 {
				want = 0
				if r.ZeroDelay > 0 {
					delay = r.ZeroDelay
				}
			}
		}
	default:
		r.streak = 0
		return n
	}
	if time.Duration(max(r.streak, -r.streak))*r.Loop <= delay {
		return n
	}
	r.streak = 0
	return want
}
