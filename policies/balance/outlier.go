package balance

import (
	"math"
	"time"

	"taillab/policies"
)

// Outlier ejects replicas that fail more than the others, for a time that grows with
// each ejection (grpc/grpc-go and the Envoy documentation). A replica that answers
// errors at once looks idle: without this, whoever looks at loads prefers it.
//
// What it knows is what this front end has seen itself. Expiry is lazy: intervals
// and ejections end at the first pick or answer after their time.
type Outlier struct {
	Inner       `yaml:"inner" about:"the balancer that picks"`
	Consecutive int           `yaml:"consecutive" about:"errors in a row that eject a replica; 0 = off" min:"0"`
	Interval    time.Duration `yaml:"interval" about:"time between two looks at the shares of success" above:"0"`
	Sigmas      float64       `yaml:"sigmas" about:"standard deviations below the mean share of success that eject; 0 = off" min:"0"`
	SigmaHosts  int           `yaml:"sigma_hosts" about:"replicas with enough requests that the deviation needs" min:"1"`
	SigmaVolume int           `yaml:"sigma_volume" about:"requests per interval that make a replica count for it" min:"1"`
	Failure     float64       `yaml:"failure" about:"share of failures in an interval that ejects; 0 = off" min:"0" max:"1"`
	FailVolume  int           `yaml:"failure_volume" about:"requests per interval that failure needs" min:"1"`
	Ejection    time.Duration `yaml:"ejection" about:"time of the first ejection; the k-th lasts k times as long" above:"0"`
	EjectionCap time.Duration `yaml:"ejection_cap" about:"longest ejection" above:"0"`
	MaxEjected  float64       `yaml:"max_ejected" about:"share of the replicas that may be ejected at once; one always may" min:"0" max:"1"`

	rows    []suspect // by ID
	ejected []policies.Ref
	next    time.Duration // end of the interval under way; 0 = none yet
	expiry  time.Duration // of the first ejection to end
	change  Change
	stats   struct{ ejections uint64 }
}

// suspect is what is known of one life of a replica.
type suspect struct {
	inc      uint32
	row      int // errors in a row
	ok, bad  int // in this interval
	times    int // ejections, less one for each quiet interval
	until    time.Duration
	ejected  bool
	selected bool // by the look under way
}

// newOutlier is the prototype.
func newOutlier() *Outlier {
	return &Outlier{Inner: Around("random", &Random{}), Consecutive: 5, Interval: 10 * time.Second, Sigmas: 1.9, SigmaHosts: 5,
		SigmaVolume: 100, Failure: .85, FailVolume: 50, Ejection: 30 * time.Second, EjectionCap: 300 * time.Second, MaxEjected: .1}
}

// Rank implements Decorator.
func (*Outlier) Rank() int { return rankOutlier }

// Wants implements Wanter.
func (p *Outlier) Wants() Mask { return p.Inner.Wants() | WantAttempts | WantMembers }

// View implements Viewer.
func (p *Outlier) View(env *Env) *Fleet {
	if len(p.ejected) == 0 {
		return env.Fleet
	}
	return env.Fleet.Eject(p.ejected)
}

// Pick implements Balancer.
func (p *Outlier) Pick(env *Env, req *policies.Request) Choice {
	p.tend(env)
	return p.Inner.Pick(env, req)
}

// Ended implements Attempts.
func (p *Outlier) Ended(env *Env, d Done) {
	p.Inner.Ended(env, d)
	p.tend(env)
	s := p.suspect(env, d.Ref)
	switch {
	case s == nil || s.ejected: // what was sent before the ejection counts no more
	case !failed(d.Outcome):
		s.row = 0
		if d.Outcome == policies.OK {
			s.ok++
		}
	default:
		s.bad++
		if s.row++; p.Consecutive > 0 && s.row >= p.Consecutive {
			p.eject(env, d.Ref)
		}
	}
}

// suspect returns the row of a replica's present life, nil for an earlier one.
func (p *Outlier) suspect(env *Env, r policies.Ref) *suspect {
	if env.Fleet.c.Inc(r.ID) != r.Inc {
		return nil
	}
	p.rows = extend(p.rows, env.Fleet.span())
	s := &p.rows[r.ID]
	if s.inc != r.Inc {
		*s = suspect{inc: r.Inc}
	}
	return s
}

// Changed implements Members: a removed or restarted replica starts afresh.
func (p *Outlier) Changed(env *Env, c *Change) {
	if (c.Kind == ChangeRemoved || c.Kind == ChangeAdded) && int(c.Ref.ID) < len(p.rows) {
		s := &p.rows[c.Ref.ID]
		again := c.Kind == ChangeAdded && s.inc == c.Ref.Inc // the same life is back: its record stays
		if !again {
			if s.ejected {
				p.drop(c.Ref.ID)
			}
			*s = suspect{inc: c.Ref.Inc}
		}
	}
	p.Inner.Changed(env, c)
}

// tend ends ejections and intervals whose time is over.
func (p *Outlier) tend(env *Env) {
	if len(p.ejected) > 0 && env.Now >= p.expiry {
		p.readmit(env)
	}
	switch {
	case p.next == 0:
		p.next = env.Now + p.Interval
	case env.Now >= p.next:
		p.next = env.Now + p.Interval
		p.look(env)
	}
}

// readmit takes back whose ejection is over.
func (p *Outlier) readmit(env *Env) {
	p.expiry = math.MaxInt64
	for k := 0; k < len(p.ejected); {
		r := p.ejected[k]
		s := &p.rows[r.ID]
		if env.Now < s.until {
			p.expiry = min(p.expiry, s.until)
			k++
			continue
		}
		s.ejected, s.row = false, 0
		p.drop(r.ID)
		p.tell(env, ChangeAdded, r)
	}
}

// drop takes a replica off the list.
func (p *Outlier) drop(id uint32) {
	for k, r := range p.ejected {
		if r.ID == id {
			last := len(p.ejected) - 1
			p.ejected[k] = p.ejected[last]
			p.ejected = p.ejected[:last]
			return
		}
	}
}

// eject takes a replica out, unless too many are out already.
func (p *Outlier) eject(env *Env, r policies.Ref) {
	if len(p.ejected)+1 > max(1, int(p.MaxEjected*float64(env.Fleet.Known()))) {
		return
	}
	s := &p.rows[r.ID]
	s.times++
	s.ejected, s.row = true, 0
	s.until = env.Now + min(p.EjectionCap, time.Duration(s.times)*p.Ejection)
	if len(p.ejected) == 0 {
		p.expiry = s.until
	}
	p.expiry = min(p.expiry, s.until)
	p.ejected = append(p.ejected, r)
	p.stats.ejections++
	p.tell(env, ChangeRemoved, r)
}

// tell makes the balancer inside forget what it holds of a replica (its idle report,
// probes, averages), or take it up again. One that is no member is not announced.
func (p *Outlier) tell(env *Env, k ChangeKind, r policies.Ref) {
	if k == ChangeAdded && env.Fleet.c.Fleet.Index(r) < 0 {
		return
	}
	p.change = Change{Kind: k, Ref: r}
	p.Inner.Changed(env, &p.change)
}

// look ends an interval: it selects who failed too often and ejects the worst first,
// since only some of them may go.
func (p *Outlier) look(env *Env) {
	floor := p.floor()
	for id := range p.rows {
		s := &p.rows[id]
		n := s.ok + s.bad
		share := s.share()
		s.selected = !s.ejected && (n >= p.SigmaVolume && share < floor ||
			p.Failure > 0 && n >= p.FailVolume && 1-share >= p.Failure)
		if !s.ejected && !s.selected && s.times > 0 {
			s.times--
		}
	}
	for {
		id := p.worst(env.Rand)
		if id < 0 {
			break
		}
		p.rows[id].selected = false
		if r := (policies.Ref{ID: uint32(id), Inc: p.rows[id].inc}); env.Fleet.c.Inc(r.ID) == r.Inc {
			p.eject(env, r)
		}
	}
	for id := range p.rows {
		p.rows[id].ok, p.rows[id].bad = 0, 0
	}
}

// share of success in the interval.
func (s *suspect) share() float64 {
	if s.ok+s.bad == 0 {
		return 1
	}
	return float64(s.ok) / float64(s.ok+s.bad)
}

// floor is mean − sigmas·σ of the shares of success; −1 where too few replicas count.
func (p *Outlier) floor() float64 {
	n, sum := 0, 0.0
	counts := func(s *suspect) bool { return !s.ejected && s.ok+s.bad >= p.SigmaVolume }
	for i := range p.rows {
		if s := &p.rows[i]; counts(s) {
			n++
			sum += s.share()
		}
	}
	if p.Sigmas <= 0 || n < p.SigmaHosts {
		return -1
	}
	mean, square := sum/float64(n), 0.0
	for i := range p.rows {
		if s := &p.rows[i]; counts(s) {
			square += (s.share() - mean) * (s.share() - mean)
		}
	}
	return mean - p.Sigmas*math.Sqrt(square/float64(n))
}

// worst draws a uniform one among the selected with the least success; −1 for none.
func (p *Outlier) worst(r Dice) int {
	best, ties := -1, 0
	for id := range p.rows {
		s := &p.rows[id]
		switch {
		case !s.selected || best >= 0 && s.share() > p.rows[best].share():
		case best < 0 || s.share() < p.rows[best].share():
			best, ties = id, 1
		default:
			if ties++; Below(r, ties) == 0 {
				best = id
			}
		}
	}
	return best
}

// Stats implements Counted.
func (p *Outlier) Stats(s *Stats) {
	s.Count("ejections", p.stats.ejections)
	p.Inner.Stats(s)
}
