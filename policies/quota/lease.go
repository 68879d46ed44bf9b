package quota

import (
	"fmt"
	"time"

	"taillab/policies"
	"taillab/policies/share"
)

// Lease takes units from the store ahead, a few at a time: most requests are decided
// at once, and no unit is given twice. What a front end does not use within the term of
// the lease is lost, or returned.
type Lease struct {
	Size   float64       `yaml:"size" about:"units taken ahead" min:"1" max:"1e9"`
	TTL    time.Duration `yaml:"ttl" about:"term of a lease" above:"0" max:"1h"`
	Return bool          `yaml:"return_unspent" about:"give back what is left at the end of the term"`

	cells            cells
	list             []lease
	out              map[AskID]int // cell by ask
	fallback         fallback
	leases, returned uint64
}

// lease is what a front end holds ahead for one group, or tenant of it.
type lease struct {
	units     float64 // below 0: debt
	owed      float64 // settled after the term: booked with the next lease
	until     time.Duration
	denyUntil time.Duration
	asking    float64 // units of the ask that is out; 0: none
	queue     queue   // for the answer, in order
}

// Share implements Sharing.
func (p *Lease) Share(divider func() share.Divider) {
	p.cells.divider = divider
	p.fallback.share(divider)
}

// Store implements Stored.
func (p *Lease) Store(groups []Group) Store { return newRates(groups, false, p.cells.divider) }

// Fit implements Fitted.
func (p *Lease) Fit(s Setting) (problems, warnings []policies.Problem) {
	if problems = fitRate(s, nil); problems != nil {
		return problems, nil
	}
	if p.TTL <= s.RTT {
		problems = append(problems, policies.Problem{Path: "ttl", Msg: fmt.Sprintf("ttl is %v: a lease must outlive the round trip to the store, %v", p.TTL, s.RTT)})
	}
	for i := range s.Groups {
		g := &s.Groups[i]
		switch {
		case p.Size > g.Burst:
			return append(problems, policies.Problem{Path: "size", Msg: fmt.Sprintf("size is %v: it is above the burst of the group, %v units, and could never be granted whole", p.Size, g.Burst)}), warnings
		case p.Size*float64(s.FrontEnds) > g.Burst && len(warnings) == 0:
			warnings = append(warnings, policies.Problem{Path: "size", Msg: fmt.Sprintf("leases of %v units for %d front ends are %v: more than the burst of %v, so leases alone can drain the group", p.Size, s.FrontEnds, p.Size*float64(s.FrontEnds), g.Burst)})
		}
	}
	return problems, warnings
}

// cell is the number of a tenant's lease.
func (p *Lease) cell(env *Env, group, tenant uint32) int {
	if p.list == nil {
		p.cells.init(env)
		p.list, p.out = make([]lease, p.cells.total), map[AskID]int{}
	}
	return p.cells.of(env, group, tenant)
}

// Admit implements Limiter.
func (p *Lease) Admit(env *Env, req *policies.Request, cost float64) Verdict {
	if cost > max(env.Groups[req.Group].Burst, 1)+tiny {
		return Verdict{Outcome: Never}
	}
	k := p.cell(env, req.Group, req.Tenant)
	l := &p.list[k]
	p.lapse(env.Now, l)
	switch {
	case l.queue.len() > 0: // behind those that wait
	case l.units >= cost-tiny:
		l.units -= cost
		return Verdict{Outcome: Admitted}
	case env.Now < l.denyUntil:
		return Verdict{Denied, l.denyUntil - env.Now}
	}
	l.queue.push(waitingFor(req, cost))
	p.ask(env, k)
	return Verdict{Outcome: Pending}
}

// lapse drops what is left of a lease whose term is over; a debt stays. With
// return_unspent the wake at the end of the term has given it back.
func (p *Lease) lapse(now time.Duration, l *lease) {
	if now >= l.until && !p.Return {
		l.units = min(l.units, 0)
	}
}

// ask asks for what the head of the queue needs, if no ask is out.
func (p *Lease) ask(env *Env, k int) {
	l := &p.list[k]
	if l.asking > 0 {
		return
	}
	w := l.queue.head()
	need := max(w.cost-l.units-l.owed, tiny)
	l.asking = max(p.Size, need)
	p.leases++
	p.out[env.Ask(w.group, Ask{Kind: AskLease, Tenant: w.tenant, Req: w.id, Units: l.asking, Need: need, Window: p.TTL})] = k
}

// Observe implements Limiter.
func (p *Lease) Observe(env *Env, ev *Event) {
	switch ev.Kind {
	case Granted:
		if k, ok := p.out[ev.Ask]; ok {
			delete(p.out, ev.Ask)
			p.granted(env, k, &ev.Grant)
		}
	case AskLost:
		if k, ok := p.out[ev.Ask]; ok {
			delete(p.out, ev.Ask)
			l := &p.list[k]
			for l.asking = 0; l.queue.len() > 0; {
				w := l.queue.pop()
				env.Resolve(w.id, p.fallback.decide(env, w))
			}
		}
	case Woke:
		p.giveBack(env, int(ev.Token))
	case Settled:
		if !p.fallback.settle(env, ev) && ev.Charged != ev.Actual {
			p.settled(env.Now, &p.list[p.cell(env, ev.Group, ev.Tenant)], ev.Charged-ev.Actual)
		}
	}
}

// settled books d units back: now, or with the next lease when the term is over.
func (p *Lease) settled(now time.Duration, l *lease, d float64) {
	if now < l.until {
		l.units += d
		return
	}
	l.owed += d
}

// granted books what the store gave and decides the queue in order. When the store gave
// less than asked it has no more: those that it does not help are denied.
func (p *Lease) granted(env *Env, k int, g *Grant) {
	l := &p.list[k]
	full := g.Units >= l.asking-tiny
	l.asking = 0
	if g.Units > 0 {
		p.lapse(env.Now, l)
		l.units += g.Units + l.owed
		l.owed, l.until = 0, env.Now+p.TTL
		if p.Return {
			env.Wake(l.until, uint64(k))
		}
	}
	for l.queue.len() > 0 && l.units >= l.queue.head().cost-tiny {
		w := l.queue.pop()
		l.units -= w.cost
		env.Resolve(w.id, Verdict{Outcome: Admitted})
	}
	switch {
	case l.queue.len() == 0:
		return
	case full:
		p.ask(env, k)
		return
	}
	wait := max(g.RetryIn, nanos(p.Size, env.Groups[l.queue.head().group].Rate))
	l.denyUntil = env.Now + wait
	for l.queue.len() > 0 {
		env.Resolve(l.queue.pop().id, Verdict{Denied, wait})
	}
}

// giveBack returns what is left at the end of a term.
func (p *Lease) giveBack(env *Env, k int) {
	l := &p.list[k]
	if env.Now < l.until || l.units <= 0 { // a later lease holds it
		return
	}
	group, tenant := p.cells.home(env, k)
	env.Ask(group, Ask{Kind: AskReturn, Tenant: tenant, Units: l.units})
	p.returned++
	l.units = 0
}

// Counts implements Counted.
func (p *Lease) Counts(add func(name string, n uint64)) {
	add("decisions_without_store", p.fallback.decided)
	add("leases", p.leases)
	add("returns", p.returned)
}

// queue is requests in order of arrival.
type queue struct {
	list []waiting
	gone int // popped
}

func (q *queue) len() int       { return len(q.list) - q.gone }
func (q *queue) head() *waiting { return &q.list[q.gone] }
func (q *queue) push(w waiting) { q.list = append(q.list, w) }

func (q *queue) pop() waiting {
	w := q.list[q.gone]
	if q.gone++; q.gone == len(q.list) {
		q.list, q.gone = q.list[:0], 0
	}
	return w
}
