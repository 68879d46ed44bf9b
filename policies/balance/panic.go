package balance

import "taillab/policies"

// Panic widens the candidates when too few replicas are available: when most of a
// fleet looks sick, it is the eyes that are more likely sick, and the few that look
// well would be crushed. Ejected and down replicas then become candidates, too.
type Panic struct {
	Inner         `yaml:"inner" about:"the balancer that picks"`
	Threshold     float64 `yaml:"threshold" about:"share of available replicas below which all of them are candidates" min:"0" max:"1"`
	CountDegraded bool    `yaml:"count_degraded" about:"does a degraded replica count as available?"`

	picks uint64 // made in a panic
}

// newPanic is the prototype.
func newPanic() *Panic {
	return &Panic{Inner: Around("random", &Random{}), Threshold: .5, CountDegraded: true}
}

// Rank implements Decorator.
func (*Panic) Rank() int { return rankPanic }

// Pick implements Balancer. A widened fleet still leaves out what the request has tried.
func (p *Panic) Pick(env *Env, req *policies.Request) Choice {
	f := p.View(env)
	if f != env.Fleet {
		p.picks++
		if tried := env.Exclude(req); len(tried) > 0 {
			f = f.Without(tried)
		}
	}
	return p.Bal.Pick(p.With(env, f), req)
}

// View implements Viewer.
func (p *Panic) View(env *Env) *Fleet {
	f := env.Fleet
	base := &f.c.Fleet
	if f.n == f.c.t.N && base.sick == 0 {
		return f
	}
	available := base.n - f.ejected
	if !p.CountDegraded {
		available -= base.sick
	}
	if all := f.c.serving(); float64(available) >= p.Threshold*float64(all) {
		return f
	}
	return f.Widen()
}

// Stats implements Counted.
func (p *Panic) Stats(s *Stats) {
	s.Count("picks-in-panic", p.picks)
	p.Inner.Stats(s)
}

// serving is the number of replicas that are neither removed nor draining, whatever
// their health; those of weight 0 take no part.
func (b *Book) serving() int {
	if b.state == nil {
		return b.t.N
	}
	n := 0
	for id, s := range b.state {
		if s == stateUp && b.Fleet.weightOf(uint32(id)) > 0 {
			n++
		}
	}
	return n
}
