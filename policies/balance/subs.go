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
	Requests   bool // it reads Env.Request of requests that do not wait for it
	Loads      bool // it reads Fleet.Heard
}

// Subscribe asserts what b implements, narrowed by its Wants.
func Subscribe(b Balancer) Subs {
	want := WantAll
	if w, ok := b.(Wanter); ok {
		want = w.Wants()
	}
	s := Subs{Bal: b, Loads: want&WantLoads != 0}
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
	called := s.Attempts != nil || s.FirstByter != nil || s.Listener != nil || s.Prober != nil || s.Waker != nil || s.Leaver != nil
	s.Requests = want&WantRequests != 0 && called // whoever is only asked to pick is shown the request then
	return s
}

// Mask tells which subscriptions are taken and what is to be kept.
func (s *Subs) Mask() Mask {
	var m Mask
	for bit, on := range []bool{s.Attempts != nil, s.FirstByter != nil, s.Listener != nil,
		s.Prober != nil, s.Members != nil, s.Waker != nil, s.Leaver != nil, s.Requests, s.Loads} {
		if on {
			m |= 1 << bit
		}
	}
	return m
}
