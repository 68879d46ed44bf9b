package balance

import (
	"slices"
	"time"

	"taillab/policies"
)

// Board decides by a copy of all loads that is refreshed every now and then: the
// periodic update model of Mitzenmacher (2000). Between two refreshes all front
// ends run to the replica that was idle at the last one (the tidal effect, DataFun
// 2023), unless they sample or count what they have sent since.
type Board struct {
	Every      time.Duration `yaml:"every" about:"time between refreshes" above:"0"`
	Jitter     float64       `yaml:"jitter" about:"random share by which the time between refreshes varies" min:"0" max:"0.5"`
	Phase      string        `yaml:"phase" about:"do all front ends refresh at the same time?" enum:"common|random"`
	Mode       string        `yaml:"mode" about:"compare all replicas or a sample" enum:"full|sample"`
	Choices    int           `yaml:"choices" about:"distinct replicas sampled per pick in mode sample" min:"1"`
	Optimistic bool          `yaml:"optimistic" about:"add own requests sent since the refresh (their ends are not subtracted)"`

	load   []int32 // by ID: running + queued at the last refresh, and own sends since if optimistic
	buf    []int
	sample bool
}

// Values of parameters.
const (
	phaseRandom = "random"
	modeSample  = "sample"
)

// Changed implements Members. A restarted or removed replica leaves the copy.
func (p *Board) Changed(env *Env, c *Change) {
	p.size(env.Fleet)
	switch c.Kind {
	case ChangeReset:
		first := p.Every
		if p.Phase == phaseRandom {
			first = time.Duration(unit(env.Rand) * float64(p.Every))
		}
		env.Wake(env.Now+first, 0)
	case ChangeAdded, ChangeRemoved:
		p.load[c.Ref.ID] = 0
	}
}

// size makes room for every replica of the service.
func (p *Board) size(f *Fleet) {
	p.sample = p.Mode == modeSample
	p.load = extend(p.load, f.span())
}

// Woke implements Waker: the next refresh. A row that has not come after one
// period is given up.
func (p *Board) Woke(env *Env, _ uint64) {
	env.ProbeAll(p.Every)
	next := p.Every
	if p.Jitter > 0 {
		next = time.Duration(float64(next) * (1 + p.Jitter*(2*unit(env.Rand)-1)))
	}
	env.Wake(env.Now+max(1, next), 0)
}

// Board implements Prober. A missing replica keeps its old value.
func (p *Board) Board(env *Env, rows []BoardRow) {
	p.size(env.Fleet)
	for i := range rows {
		r := &rows[i]
		if !r.OK || env.Fleet.c.Inc(r.Ref.ID) != r.Ref.Inc {
			continue
		}
		p.load[r.Ref.ID] = r.Load.Running + r.Load.Queued
	}
}

// Replied implements Prober; Board sends no single probes.
func (p *Board) Replied(*Env, Reply) {}

// Lost implements Prober; see Replied.
func (p *Board) Lost(*Env, ProbeID) {}

// Wants implements Wanter: only an optimistic board follows its own sends.
func (p *Board) Wants() Mask {
	if p.Optimistic {
		return WantProbes | WantMembers | WantWoke | WantAttempts
	}
	return WantProbes | WantMembers | WantWoke
}

// Sent implements Attempts.
func (p *Board) Sent(env *Env, a Attempt) {
	p.size(env.Fleet)
	p.load[a.Ref.ID]++
}

// Ended implements Attempts; own ends are not subtracted.
func (p *Board) Ended(*Env, Done) {}

// Pick implements Balancer.
func (p *Board) Pick(env *Env, _ *policies.Request) Choice {
	f := env.Fleet
	if f.Len() == 0 {
		return None()
	}
	p.size(f)
	if !p.sample {
		return To(f.Ref(p.least(f, env.Rand)))
	}
	k := min(max(1, p.Choices), f.Len())
	p.buf = extend(p.buf, k)
	s := f.Sample(env.Rand, p.buf[:k])
	best := s[0]
	for _, i := range s[1:] {
		if p.compare(f, i, best) < 0 {
			best = i
		}
	}
	return To(f.Ref(best))
}

// copied is the copy's load of the replica at index i.
func (p *Board) copied(f *Fleet, i int) int32 { return p.load[f.id(i)] }

// compare orders by health, then by load over weight.
func (p *Board) compare(f *Fleet, i, j int) int {
	if f.Uniform() {
		return int(p.copied(f, i)) - int(p.copied(f, j))
	}
	if a, b := f.Health(i), f.Health(j); a != b {
		return int(a) - int(b)
	}
	switch a, b := float64(p.copied(f, i))*f.Weight(j), float64(p.copied(f, j))*f.Weight(i); {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

// least scans the copy twice and draws once among equals.
func (p *Board) least(f *Fleet, r Dice) int {
	if f.Uniform() && f.dense == nil {
		return leastOf(p.load[:f.n], r)
	}
	best, ties := 0, 1
	for i := 1; i < f.Len(); i++ {
		switch c := p.compare(f, i, best); {
		case c < 0:
			best, ties = i, 1
		case c == 0:
			ties++
		}
	}
	if ties == 1 {
		return best
	}
	k := Below(r, ties)
	for i := best; i < f.Len(); i++ {
		if p.compare(f, i, best) == 0 {
			if k == 0 {
				return i
			}
			k--
		}
	}
	return best
}

// leastOf returns a uniform one among the least of a column.
func leastOf(col []int32, r Dice) int {
	low := slices.Min(col)
	ties := 0
	for _, x := range col {
		if x == low {
			ties++
		}
	}
	k := 0
	if ties > 1 {
		k = Below(r, ties)
	}
	for i, x := range col {
		if x == low {
			if k == 0 {
				return i
			}
			k--
		}
	}
	return 0
}
