package quota

import (
	"time"

	"taillab/policies"
	"taillab/policies/share"
)

// waiting is a request that waits for the store.
type waiting struct {
	id     uint64
	tenant uint32
	group  uint32
	cost   float64
}

func waitingFor(req *policies.Request, cost float64) waiting {
	return waiting{req.ID, req.Tenant, req.Group, cost}
}

// fallback decides while the store does not answer, as Env.OnLoss says.
type fallback struct {
	static   Static
	admitted map[uint64]bool // by it, and not settled yet; true: its part was charged
	decided  uint64
}

// share hands the part of a front end a divider.
func (f *fallback) share(divider func() share.Divider) { f.static.Share(divider) }

// decide gives the verdict that the store owes.
func (f *fallback) decide(env *Env, w waiting) Verdict {
	f.decided++
	if f.admitted == nil {
		f.admitted = map[uint64]bool{}
	}
	var v Verdict
	switch env.OnLoss {
	case LossOpen:
		v = Verdict{Outcome: Admitted}
	case LossClosed:
		v = Verdict{Denied, again(&env.Groups[w.group], w.cost)}
	default:
		req := policies.Request{ID: w.id, Tenant: w.tenant, Group: w.group}
		if v = f.static.Admit(env, &req, w.cost); v.Outcome == Never { // of its part, not of the limit
			v = Verdict{Denied, again(&env.Groups[w.group], w.cost)}
		}
	}
	if v.Outcome == Admitted {
		f.admitted[w.id] = env.OnLoss == LossStatic
	}
	return v
}

// again is when a request may ask again of a store that is silent: in the time in which
// the limit gives its cost, but not at once.
func again(g *Group, cost float64) time.Duration {
	if g.Rate == 0 {
		return poll
	}
	return max(nanos(cost, g.Rate), time.Millisecond)
}

// settle books the end of a request that the fallback admitted; false: it did not.
func (f *fallback) settle(env *Env, ev *Event) bool {
	charged, ok := f.admitted[ev.Req]
	if !ok {
		return false
	}
	delete(f.admitted, ev.Req)
	if charged {
		f.static.Observe(env, ev)
	}
	return true
}
