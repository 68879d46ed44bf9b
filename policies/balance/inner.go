package balance

import "taillab/policies"

// Inner is embedded by a decorator. It holds the decorated balancer with its
// interfaces asserted once, and that level's own Env; what the decorator does not
// define itself is forwarded as is, and Woke reaches only the level that asked.
//
// Its methods take the decorator's Env and lend the level below its own. A decorator
// that handles more than the balancer inside adds to Wants; one that shows another
// view implements Viewer.
type Inner struct {
	Subs
	name     string
	up, env  *Env // the decorator's; the level's below
	viewer   Viewer
	resolver Resolver
}

// The hooks of a decorator: what happens between it and the balancer inside.
type (
	// Wrapper is implemented by embedding Inner.
	Wrapper interface{ Unwrap() *Inner }
	// Viewer shows the balancer inside another fleet than env.Fleet, in every call.
	Viewer interface{ View(env *Env) *Fleet }
	// Resolver is handed what the balancer inside resolves, in place of the level above.
	Resolver interface {
		Resolved(env *Env, req uint64, c Choice)
	}
	// Excluder changes which replicas a request's further attempts must avoid.
	Excluder interface {
		Excluded(env *Env, req *policies.Request) []policies.Ref
	}
	// Decorator has a place in the order of decorators, outermost first: a smaller
	// rank stands outside a larger one. Decorators without a rank may stand anywhere.
	Decorator interface{ Rank() int }
)

// The ranks of the decorators here, outside-in.
const (
	rankRetry = iota + 1
	rankHedge
	rankOutlier
	rankPanic
	rankSlowStart
)

// Around returns the Inner that holds a balancer under its name in the catalogue.
func Around(name string, b Balancer) Inner {
	var in Inner
	in.Wrap(b)
	in.name = name
	return in
}

// Wrap sets the decorated balancer, configured already.
func (in *Inner) Wrap(b Balancer) { in.Subs, in.name = Subscribe(b), "" }

// Name of the decorated balancer in the catalogue, "" when it was not told.
func (in *Inner) Name() string { return in.name }

// Unwrap returns the level below.
func (in *Inner) Unwrap() *Inner { return in }

// Inside returns the outermost level of a balancer that implements T.
func Inside[T any](b Balancer) (T, bool) {
	for b != nil {
		if t, ok := b.(T); ok {
			return t, true
		}
		w, ok := b.(Wrapper)
		if !ok {
			break
		}
		b = w.Unwrap().Bal
	}
	var none T
	return none, false
}

// Bind connects the level below: up is the Env of self, the decorator, and env the
// persistent Env of what it decorates. The flow core calls it, outermost first.
func (in *Inner) Bind(self Balancer, up, env *Env) {
	in.Subs = Subscribe(in.Bal)
	in.up, in.env = up, env
	in.viewer, _ = self.(Viewer)
	in.resolver, _ = self.(Resolver)
	excluder, _ := self.(Excluder)
	env.host = &level{Host: up.host, in: in, excluder: excluder}
}

// level is the host of a decorated balancer: what it asks passes its decorator.
type level struct {
	Host
	in       *Inner
	excluder Excluder
}

// Resolve implements Host.
func (l *level) Resolve(req uint64, c Choice) {
	if l.in.resolver != nil {
		l.in.resolver.Resolved(l.in.up, req, c)
		return
	}
	l.Host.Resolve(req, c)
}

// Exclude implements Host.
func (l *level) Exclude(req *policies.Request) []policies.Ref {
	if l.excluder != nil {
		return l.excluder.Excluded(l.in.up, req)
	}
	return l.Host.Exclude(req)
}

// With returns the level's Env for a call at the time of env, with another view:
// d.Bal.Pick(d.With(env, view), req).
func (in *Inner) With(env *Env, f *Fleet) *Env {
	e := in.env
	e.Now, e.Fleet, e.Truth = env.Now, f, env.Truth
	if e.Truth != nil {
		if t, ok := e.Truth.(TruthView); ok {
			t.Look(f)
		}
	}
	return e
}

// Lend returns the level's Env with the view that the decorator shows.
func (in *Inner) Lend(env *Env) *Env {
	if in.viewer != nil {
		return in.With(env, in.viewer.View(env))
	}
	return in.With(env, env.Fleet)
}

// Wants implements Wanter: what the balancer inside wants.
func (in *Inner) Wants() Mask {
	s := Subscribe(in.Bal)
	return s.Mask()
}

// Pick implements Balancer.
func (in *Inner) Pick(env *Env, req *policies.Request) Choice {
	return in.Bal.Pick(in.Lend(env), req)
}

// Sent implements Attempts.
func (in *Inner) Sent(env *Env, a Attempt) {
	if in.Attempts != nil {
		in.Attempts.Sent(in.Lend(env), a)
	}
}

// Ended implements Attempts.
func (in *Inner) Ended(env *Env, d Done) {
	if in.Attempts != nil {
		in.Attempts.Ended(in.Lend(env), d)
	}
}

// FirstByte implements FirstByter.
func (in *Inner) FirstByte(env *Env, a Attempt) {
	if in.FirstByter != nil {
		in.FirstByter.FirstByte(in.Lend(env), a)
	}
}

// Heard implements Listener.
func (in *Inner) Heard(env *Env, from policies.Ref, m Msg) {
	if in.Listener != nil {
		in.Listener.Heard(in.Lend(env), from, m)
	}
}

// Replied implements Prober.
func (in *Inner) Replied(env *Env, p Reply) {
	if in.Prober != nil {
		in.Prober.Replied(in.Lend(env), p)
	}
}

// Lost implements Prober.
func (in *Inner) Lost(env *Env, p ProbeID) {
	if in.Prober != nil {
		in.Prober.Lost(in.Lend(env), p)
	}
}

// Board implements Prober.
func (in *Inner) Board(env *Env, rows []BoardRow) {
	if in.Prober != nil {
		in.Prober.Board(in.Lend(env), rows)
	}
}

// Changed implements Members.
func (in *Inner) Changed(env *Env, c *Change) {
	if in.Members != nil {
		in.Members.Changed(in.Lend(env), c)
	}
}

// Gone implements Leaver.
func (in *Inner) Gone(env *Env, req uint64) {
	if in.Leaver != nil {
		in.Leaver.Gone(in.Lend(env), req)
	}
}

// Stats implements Counted.
func (in *Inner) Stats(s *Stats) {
	if c, ok := in.Bal.(Counted); ok {
		c.Stats(s)
	}
}
