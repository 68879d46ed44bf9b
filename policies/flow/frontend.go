package flow

import (
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
)

// Detect says how a front end notices by itself that a replica is gone.
type Detect uint8

// The ways of detection. DetectHealth is carried out by the host, which sends the
// checks and reports Removed and Added; the front end does nothing by itself.
const (
	DetectReset Detect = iota // an own attempt ending reset or refused marks it down for Period
	DetectNever
	DetectHealth
)

// Service configures one service of a front end.
type Service struct {
	Name     string
	Balancer balance.Balancer // this front end's own instance; nil: not served here
	Table    *balance.Table
	Dice     *chance.Dice // stream balance/<service>/<frontend>
	Detect   Detect
	Period   time.Duration // how long a replica stays down after a reset
	Truth    balance.Truth // nil unless the host can serve oracles
	Hold     *Hold         // nil: requests without a replica end at once
	Loads    bool          // keep the loads told even if the balancer does not read them: the host does
}

// Config configures a front end.
type Config struct {
	Index, Count int // this front end; how many there are
	Room         int // requests that are expected to be open at a time; a hint
	Services     []Service
	Quota        *Quota // nil: every request is admitted
	Tape         *Tape  // nil: not taped
	Cold         Cold   // nil: no request has prefix blocks
}

// Cold is the host's store of what few requests have.
type Cold interface {
	Prefix(cold uint32) []uint64
}

// FrontEnd is one front end: pure and single-threaded. Its methods are the inputs.
type FrontEnd struct {
	index    int
	services []instance
	slots    []slot
	free     uint32          // head of the free list, +1; 0 = none
	sent     []time.Duration // by slot, where a policy is told of attempts and the request is not kept
	cold     []cold
	freeCold uint32 // +1
	ids      ids
	open     int
	cfg      Config
	staged   bool     // there is a quota or a hold stage
	stages   []staged // by slot
	quota    *quotaStage

	now  time.Duration
	out  *Actions
	tape *Tape
}

// slot is the hot state of an open request.
type slot struct {
	req     uint64
	ref     policies.Ref // of the last attempt
	service uint16
	tries   uint8 // attempts sent
	out     uint8 // attempts not ended
	won     uint8 // attempt that answered, +1
	flags   uint8
	gone    uint8  // class given by Gone, 0 = none
	next    uint32 // free list, +1
	kept    uint32 // cold entry that holds the request, which ids finds then, +1; 0 = none
}

const (
	flagOpen   uint8 = 1 << iota
	flagParked       // answered with Later
	flagEnding       // the policy is handling the last Ended: Retry is allowed
)

// cold is what is kept of a request that waits, or whose policy may ask for it.
type cold struct {
	req    policies.Request
	tries  []try
	next   uint32             // free list, +1
	losers balance.CancelMode // what happens to the other attempts once one has answered
}

type try struct {
	ref  policies.Ref
	sent time.Duration
	out  bool
	lost balance.CancelMode // how its end was asked for
}

// New makes a front end. It panics when a service's balancer needs what the host
// does not give; hosts check that before.
func New(c Config) *FrontEnd {
	f := &FrontEnd{index: c.Index, cfg: c, tape: c.Tape, slots: make([]slot, 0, max(c.Room, 0))}
	f.services = make([]instance, len(c.Services))
	for i := range c.Services {
		if c.Services[i].Balancer != nil {
			f.services[i].init(f, uint16(i), &c.Services[i])
			f.staged = f.staged || c.Services[i].Hold != nil
		}
	}
	if c.Quota != nil {
		f.quota, f.staged = newQuotaStage(f, *c.Quota), true
	}
	return f
}

// Start tells every instance its membership. Call it once, before any other input.
func (f *FrontEnd) Start(now time.Duration, out *Actions) {
	f.begin(now, out, inStart)
	for i := range f.services {
		in := &f.services[i]
		if in.subs.Members != nil {
			in.change = balance.Change{Kind: balance.ChangeReset}
			in.subs.Members.Changed(in.at(now), &in.change)
		}
	}
	f.end()
}

// Arrive hands a request over and returns the slot that names it in further inputs
// and actions until its ActClose. Its service must be one that this front end serves.
func (f *FrontEnd) Arrive(now time.Duration, r *policies.Request, out *Actions) uint32 {
	f.begin(now, out, inArrive)
	if f.tape != nil {
		f.tape.request(r)
	}
	in := &f.services[r.Service]
	s := f.alloc(r, in)
	if f.staged {
		f.stage(s, in, r)
	} else {
		f.settle(s, in, in.subs.Bal.Pick(in.at(now), r), r)
	}
	f.end()
	return s
}

// FirstByte tells that the answer to an attempt has begun.
func (f *FrontEnd) FirstByte(now time.Duration, slot uint32, n uint8, out *Actions) {
	f.begin(now, out, inFirstByte)
	if f.tape != nil {
		f.tape.uints(uint64(slot), uint64(n))
	}
	s := &f.slots[slot]
	if in := &f.services[s.service]; in.subs.FirstByter != nil {
		in.subs.FirstByter.FirstByte(in.at(now), f.attempt(slot, n))
	}
	f.end()
}

// End is the end of an attempt as the host saw it.
type End struct {
	Slot       uint32
	N          uint8
	Outcome    policies.Outcome
	Told       bool   // Load was carried by the reply
	Output     uint32 // tokens produced, where a quota settles by them
	ServerTime time.Duration
	Load       balance.Load
}

// Ended tells that an attempt has ended at this front end; e is lent for the call.
func (f *FrontEnd) Ended(now time.Duration, e *End, out *Actions) {
	f.begin(now, out, inEnded)
	if f.tape != nil {
		f.tape.ended(e)
	}
	s := &f.slots[e.Slot]
	in := &f.services[s.service]
	req, ref := s.req, f.target(e.Slot, e.N)
	in.book.Ended(ref)
	if e.Told {
		in.book.Learn(now, ref, e.Load)
	}
	if in.detect == DetectReset && (e.Outcome == policies.Reset || e.Outcome == policies.Refused) {
		in.markDown(ref)
	}
	s.out--
	if f.staged {
		f.stages[e.Slot].output = max(f.stages[e.Slot].output, e.Output)
	}
	first := e.Outcome == policies.OK && s.won == 0
	if first {
		s.won = e.N + 1
	}
	if s.kept != 0 {
		f.of(e.Slot).tries[e.N].out = false
	}
	if first && s.out > 0 {
		f.cancelLosers(in, e.Slot)
	}
	if in.subs.Attempts != nil {
		if s.out == 0 && s.won == 0 {
			s.flags |= flagEnding
		}
		in.subs.Attempts.Ended(in.at(now), balance.Done{Attempt: f.attempt(e.Slot, e.N), ServerTime: e.ServerTime, Outcome: e.Outcome, Told: e.Told})
		s = &f.slots[e.Slot]
		s.flags &^= flagEnding
	}
	if s.out == 0 && s.flags&(flagParked|flagOpen) == flagOpen && s.req == req {
		f.close(e.Slot, e.Outcome)
	}
	if in.hold != nil {
		in.hold.release(in)
	}
	f.end()
}

// cancelLosers gives up the other attempts of a request that has been answered.
func (f *FrontEnd) cancelLosers(in *instance, slot uint32) {
	for n := range f.slots[slot].tries {
		in.cancel(slot, n, f.of(slot).losers)
	}
}

// Gone tells that the client left or the deadline passed (class says which).
// A waiting request closes; attempts that are out are cancelled.
func (f *FrontEnd) Gone(now time.Duration, slot uint32, class policies.Outcome, out *Actions) {
	f.begin(now, out, inGone)
	if f.tape != nil {
		f.tape.uints(uint64(slot), uint64(class))
	}
	s := &f.slots[slot]
	in := &f.services[s.service]
	s.gone = uint8(class)
	if f.staged && f.stages[slot].phase != phasePast {
		f.leave(slot, class)
	} else if s.flags&flagParked != 0 {
		s.flags &^= flagParked
		in.gone.put(s.req, 0)
		if in.subs.Leaver != nil {
			in.subs.Leaver.Gone(in.at(now), s.req)
		}
		if f.slots[slot].out == 0 {
			f.close(slot, class)
		}
	}
	if s := &f.slots[slot]; s.flags&flagOpen != 0 {
		for n := range s.tries {
			in.cancel(slot, n, balance.CancelRunning)
		}
	}
	f.end()
}

// Heard tells what a replica said to this front end.
func (f *FrontEnd) Heard(now time.Duration, service int, from policies.Ref, m balance.Msg, out *Actions) {
	f.begin(now, out, inHeard)
	if f.tape != nil {
		f.tape.heard(service, from, &m)
	}
	in := &f.services[service]
	if in.book.Hear(now, from, &m) && in.subs.Listener != nil {
		in.subs.Listener.Heard(in.at(now), from, m)
	}
	f.end()
}

// Replied tells the answer to a probe.
func (f *FrontEnd) Replied(now time.Duration, service int, p balance.ProbeID, from policies.Ref, l balance.Load, out *Actions) {
	f.begin(now, out, inReplied)
	if f.tape != nil {
		f.tape.replied(service, p, from, &l)
	}
	f.services[service].replied(now, p, from, l)
	f.end()
}

// Woke tells that the time of an ActWake has come, of a service or of QuotaStage.
func (f *FrontEnd) Woke(now time.Duration, service int, token uint64, out *Actions) {
	f.begin(now, out, inWoke)
	if f.tape != nil {
		f.tape.uints(uint64(service), token)
	}
	if service == QuotaStage {
		f.quota.woke(token)
	} else {
		f.services[service].woke(now, token)
	}
	f.end()
}

// Membership tells that discovery has reported a change.
func (f *FrontEnd) Membership(now time.Duration, service int, c balance.Change, out *Actions) {
	f.begin(now, out, inMembership)
	if f.tape != nil {
		f.tape.uints(uint64(service), uint64(c.Kind), uint64(c.Ref.ID), uint64(c.Ref.Inc))
	}
	in := &f.services[service]
	if in.book != nil && in.book.Apply(now, c) && in.subs.Members != nil {
		in.change = c
		in.subs.Members.Changed(in.at(now), &in.change)
	}
	in.refill()
	f.end()
}

func (f *FrontEnd) begin(now time.Duration, out *Actions, kind input) {
	f.now, f.out = now, out
	if f.tape != nil {
		f.tape.begin(now, kind, out)
	}
}

func (f *FrontEnd) end() {
	if f.tape != nil {
		f.tape.end(f.out, f.drawn(), f.Hash)
	}
}

func (f *FrontEnd) drawn() uint64 {
	var n uint64
	for i := range f.services {
		if d := f.services[i].dice; d != nil {
			n += d.Drawn
		}
	}
	if f.quota != nil {
		n += f.quota.cfg.Dice.Drawn
	}
	return n
}

// Hash digests the views of all services.
func (f *FrontEnd) Hash() uint64 {
	h := uint64(f.open)
	for i := range f.services {
		if b := f.services[i].book; b != nil {
			h = h*1099511628211 ^ b.Hash()
		}
	}
	return h
}

// Open is the number of open requests.
func (f *FrontEnd) Open() int { return f.open }

// Stuck tells whether the request in slot waits for a decision that nothing
// pending can bring: no attempt, probe or wake of its instance is out.
func (f *FrontEnd) Stuck(slot uint32) bool {
	s := &f.slots[slot]
	in := &f.services[s.service]
	if f.staged && f.stages[slot].phase == phasePending {
		return f.quota.wakes == 0 && f.quota.asks.n == 0
	}
	return s.flags&flagParked != 0 && in.wakes == 0 && in.live == 0 && in.book.Fleet.OutstandingSum() == 0
}

// Counters returns the messages this front end has sent so far.
func (f *FrontEnd) Counters() Counters {
	var c Counters
	for i := range f.services {
		c = c.Add(f.services[i].sent)
	}
	if f.quota != nil {
		c.Ask += f.quota.sent
	}
	return c
}

// Fleet returns the view of a service that its policy sees, nil if none is served.
func (f *FrontEnd) Fleet(service int) *balance.Fleet {
	if f.services[service].env == nil {
		return nil
	}
	return f.services[service].env.Fleet
}

// Subscribed tells what the balancer of a service wants to be told.
func (f *FrontEnd) Subscribed(service int) balance.Mask { return f.services[service].subs.Mask() }

// Balancer returns the instance that serves a service, nil if none does.
func (f *FrontEnd) Balancer(service int) balance.Balancer { return f.services[service].subs.Bal }
