package balance

// Subs is a balancer with its optional interfaces asserted once; nil means not
// subscribed.
type Subs struct {
	Bal        Balancer
	Attempts   Attempts
	FirstByter FirstByter
	Listener   Listener
	Prober     Prober
	Members    Members
	Waker      Waker
	Leaver     Leaver
}

// Subscribe asserts what b implements, narrowed by its Wants.
func Subscribe(b Balancer) Subs {
	want := WantAll
	if w, ok := b.(Wanter); ok {
		want = w.Wants()
	}
	s := Subs{Bal: b}
	if want&WantAttempts != 0 {
		s.Attempts, _ = b.(Attempts)
	}
	if want&WantFirstByte != 0 {
		s.FirstByter, _ = b.(FirstByter)
	}
	if want&WantHeard != 0 {
		s.Listener, _ = b.(Listener)
	}
	if want&WantProbes != 0 {
		s.Prober, _ = b.(Prober)
	}
	if want&WantMembers != 0 {
		s.Members, _ = b.(Members)
	}
	if want&WantWoke != 0 {
		s.Waker, _ = b.(Waker)
	}
	if want&WantGone != 0 {
		s.Leaver, _ = b.(Leaver)
	}
	return s
}

// Mask tells which subscriptions are taken.
func (s *Subs) Mask() Mask {
	var m Mask
	for bit, on := range []bool{s.Attempts != nil, s.FirstByter != nil, s.Listener != nil,
		s.Prober != nil, s.Members != nil, s.Waker != nil, s.Leaver != nil} {
		if on {
			m |= 1 << bit
		}
	}
	return m
}

// Inner is embedded by a decorator: it holds the decorated balancer with its
// interfaces asserted once and this level's own Env. What a decorator does not
// handle it passes on as d.Inner.Pick(e, req), d.Inner.Ended(e, done) …
type Inner struct {
	Subs
	env *Env
}

// Wrap sets the decorated balancer.
func (in *Inner) Wrap(b Balancer) { in.Subs = Subscribe(b) }

// Unwrap returns the level below, for the flow core, which delivers Woke only to
// the level that asked.
func (in *Inner) Unwrap() *Inner { return in }

// Wrapper is implemented by embedding Inner.
type Wrapper interface{ Unwrap() *Inner }

// Bind gives the level below its own persistent Env; the flow core calls it.
func (in *Inner) Bind(env *Env) { in.env = env }

// With returns the level's Env for a call at the time of env, with another view.
func (in *Inner) With(env *Env, f *Fleet) *Env {
	in.env.Now, in.env.Fleet, in.env.Truth = env.Now, f, env.Truth
	return in.env
}
