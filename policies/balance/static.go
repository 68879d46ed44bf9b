package balance

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"taillab/policies"
)

// Static gives each replica a share in proportion to a rate that was measured off
// line and is never updated. It must go wrong when the fleet drifts: it is the
// baseline that adaptive policies are held against (DataFun 2023, plan 1).
//
// An entry of Capacity names a replica by its decimal ID, else by the value of its
// label "name", else by any label: as key=value or by the value alone. Of several
// that fit in the last way the first in alphabetical order counts.
type Static struct {
	Capacity map[string]float64 `yaml:"capacity" about:"requests per second of each replica, by ID or label" required:"true" above:"0"`
	Chooser  string             `yaml:"chooser" about:"how the shares are dealt out" enum:"smooth-wrr|random"`

	names    []string // sorted keys of Capacity
	mean     float64
	rate     []float64 // by ID
	top      float64
	seq      sequence
	unlisted uint64
	random   bool
	ready    bool
	started  bool
}

// TableChecker is implemented by a policy whose parameters must fit the fleet of
// the plan. Hosts call it before a run.
type TableChecker interface {
	CheckTable(t *Table) []policies.Problem
}

// Check implements policies.Checker.
func (p *Static) Check() []policies.Problem {
	if len(p.Capacity) == 0 {
		return []policies.Problem{{Path: "capacity", Msg: "is empty: no replica has a rate",
			Hint: "give one rate per replica or label, e.g. capacity: {a100: 10, h100: 22}"}}
	}
	var out []policies.Problem
	for _, k := range sortedKeys(p.Capacity) {
		if v := p.Capacity[k]; !(v > 0) || math.IsInf(v, 0) {
			out = append(out, policies.Problem{Path: "capacity." + k, Msg: fmt.Sprintf("%v: must be a number above 0", v)})
		}
	}
	return out
}

// CheckTable implements TableChecker: a replica without a rate is an error at the start.
func (p *Static) CheckTable(t *Table) []policies.Problem {
	var out []policies.Problem
	names := sortedKeys(p.Capacity)
	for id := range uint32(t.N) {
		if _, ok := p.lookup(names, id, t.labels(id)); !ok {
			out = append(out, policies.Problem{Path: "capacity", Msg: fmt.Sprintf("replica %d has no entry", id),
				Hint: "name its ID or one of its labels"})
		}
	}
	return out
}

func (p *Static) lookup(names []string, id uint32, labels map[string]string) (float64, bool) {
	if v, ok := p.Capacity[fmt.Sprint(id)]; ok {
		return v, true
	}
	if v, ok := p.Capacity[labels["name"]]; ok && labels["name"] != "" {
		return v, true
	}
	for _, name := range names {
		if key, value, ok := strings.Cut(name, "="); ok && value != "" && labels[key] == value {
			return p.Capacity[name], true
		}
		for _, value := range labels { //purity:ordered any match gives the same answer
			if value == name {
				return p.Capacity[name], true
			}
		}
	}
	return 0, false
}

// Changed implements Members.
func (p *Static) Changed(env *Env, c *Change) {
	if c.Kind == ChangeRemoved || c.Kind == ChangeAdded {
		p.seq.forget(c.Ref.ID)
	}
	if c.Kind == ChangeReset {
		p.ready = false
	}
	p.prepare(env.Fleet)
}

// prepare looks the rates up, once: IDs and labels of the plan do not change. A
// replica without a rate (the host has refused that at the start) gets the mean.
func (p *Static) prepare(f *Fleet) {
	if p.ready {
		return
	}
	p.ready, p.random = true, p.Chooser == chooserRandom
	p.names, p.mean = sortedKeys(p.Capacity), 0
	for _, k := range p.names {
		p.mean += p.Capacity[k] / float64(len(p.names))
	}
	p.rate, p.top, p.unlisted = extend(p.rate[:0], f.span()), 0, 0
	for id := range p.rate {
		v, ok := p.lookup(p.names, uint32(id), f.c.t.labels(uint32(id)))
		if !ok {
			v = p.mean
			p.unlisted++
		}
		p.rate[id] = v
		p.top = max(p.top, v)
	}
}

// chooserRandom is the value of Chooser that deals shares out by dice.
const chooserRandom = "random"

// Pick implements Balancer.
func (p *Static) Pick(env *Env, _ *policies.Request) Choice {
	f := env.Fleet
	if f.Len() == 0 {
		return None()
	}
	p.prepare(f)
	i := 0
	switch {
	case p.random:
		i = p.draw(f, env.Rand)
	case !p.started: // a random start, as smooth-wrr has it: several front ends in step would burst
		for range Below(env.Rand, f.Len()) {
			p.seq.next(f, p.rate)
		}
		fallthrough
	default:
		p.started = true
		i = p.seq.next(f, p.rate)
	}
	return To(f.Ref(i))
}

// draw picks in proportion to the rates: by rejection, after 64 tries by a sweep.
func (p *Static) draw(f *Fleet, r Dice) int {
	for range 64 {
		i := Below(r, f.Len())
		if unit(r)*p.top < p.rate[f.Ref(i).ID] {
			return i
		}
	}
	sum := 0.0
	for i := range f.Len() {
		sum += p.rate[f.Ref(i).ID]
	}
	x := unit(r) * sum
	for i := range f.Len() {
		if x -= p.rate[f.Ref(i).ID]; x < 0 {
			return i
		}
	}
	return f.Len() - 1
}

// Stats implements Counted: how many replicas run on the mean of the table.
func (p *Static) Stats(s *Stats) { s.Count("unlisted", p.unlisted) }

// sortedKeys lists the keys of a map in order.
func sortedKeys(m map[string]float64) []string {
	keys := make([]string, 0, len(m))
	for k := range m { //purity:ordered sorted below
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
