package flow

import (
	"fmt"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
)

// internal is the level of wakes that the flow core asks for itself.
const internal = 255

// kinds of internal wakes, in bits 48…55 of the token.
const (
	wakeProbe uint64 = iota << 48
	wakeUp
	wakeRound
	wakeHold
	wakeKinds uint64 = 0xff << 48
)

// instance is one balancer of one service at one front end. It implements
// balance.Host: what the policy asks of its Env arrives here.
type instance struct {
	fe     *FrontEnd
	index  uint16
	name   string
	subs   balance.Subs
	inners []*balance.Inner // level 1 and deeper: decorated balancers
	env    *balance.Env
	book   *balance.Book
	dice   *chance.Dice
	detect Detect
	period time.Duration
	timed  bool  // the policy is told of attempts
	hold   *hold // nil: no hold stage
	change balance.Change
	sent   Counters
	wakes  int      // wakes of the policy that are out
	live   int      // probes out
	gone   ids      // requests that left while waiting
	downs  []uint16 // by replica: how often it was marked down
	tried  []policies.Ref

	probes   []probe
	probeIDs ids
	freeP    uint32
	lastID   uint32
	rounds   []*round
	spare    []*round
	lastRnd  uint32
}

type probe struct {
	id    balance.ProbeID
	ref   policies.Ref
	round uint32 // 0 = a probe of its own
	next  uint32
}

// round is one ProbeAll under way.
type round struct {
	id   uint32
	left int
	rows []balance.BoardRow
	ids  []balance.ProbeID // by row
	row  []uint32          // by replica: row + 1
}

func (in *instance) init(f *FrontEnd, index uint16, s *Service) {
	*in = instance{fe: f, index: index, name: s.Name, subs: balance.Subscribe(s.Balancer),
		dice: s.Dice, detect: s.Detect, period: s.Period}
	if s.Hold != nil {
		in.hold = &hold{cfg: *s.Hold, slots: -1}
	}
	in.book = balance.NewBook(s.Table)
	in.book.KeepLoads(in.subs.Loads || s.Loads || f.tape != nil) // digests of tapes hold them
	r := newRand(s.Dice)
	in.env = balance.NewEnv(r, in, f.index, f.cfg.Count, 0)
	in.env.Fleet = &in.book.Fleet
	if what := peeks(s.Balancer); what != "" {
		if s.Truth == nil {
			panic(fmt.Sprintf("flow: service %s: the balancer %T reads %s, which this host does not give", s.Name, s.Balancer, what))
		}
		in.env.Truth = s.Truth
		if f.tape != nil {
			in.env.Truth = f.tape.watch(s.Truth)
		}
	}
	b, up := s.Balancer, in.env
	for level := uint8(1); ; level++ {
		w, ok := b.(balance.Wrapper)
		if !ok {
			break
		}
		inner := w.Unwrap()
		e := balance.NewEnv(r, in, f.index, f.cfg.Count, level)
		inner.Bind(b, up, e)
		in.inners = append(in.inners, inner)
		b, up = inner.Bal, e
	}
	in.timed = in.subs.Attempts != nil || in.subs.FirstByter != nil
}

// peeks tells what truth a balancer or one that it decorates needs, "" for none.
func peeks(b balance.Balancer) string {
	if o, ok := balance.Inside[balance.Oracle](b); ok {
		return o.NeedsTruth()
	}
	return ""
}

// at returns the persistent Env at this time.
func (in *instance) at(now time.Duration) *balance.Env {
	in.env.Now = now
	return in.env
}

// WakeAt implements policies.Waker.
func (in *instance) WakeAt(at time.Duration, level uint8, token uint64) {
	in.wakes++
	in.wake(at, uint64(level)<<56|token)
}

func (in *instance) wake(at time.Duration, token uint64) {
	f := in.fe
	f.out.List = append(f.out.List, Action{Kind: ActWake, Service: in.index, At: at, Arg: token})
}

func (in *instance) woke(now time.Duration, token uint64) {
	level, token := token>>56, token&(1<<56-1)
	if level == internal {
		in.internal(now, token)
		return
	}
	in.wakes--
	if level == 0 {
		if in.subs.Waker != nil {
			in.subs.Waker.Woke(in.at(now), token)
		}
		return
	}
	if int(level) > len(in.inners) || in.inners[level-1].Waker == nil {
		return
	}
	env := in.at(now)
	for _, inner := range in.inners[:level] { // each level sees what the one above shows it
		env = inner.Lend(env)
	}
	in.inners[level-1].Waker.Woke(env, token)
}

func (in *instance) internal(now time.Duration, token uint64) {
	arg := uint32(token)
	switch token & wakeKinds {
	case wakeUp:
		// the upper 16 bits tell which marking this ends: a later one lasts longer
		if int(arg) < len(in.downs) && in.downs[arg] == uint16(token>>32) {
			in.health(now, arg, balance.Healthy)
		}
	case wakeProbe:
		if p, ok := in.takeProbe(balance.ProbeID(arg)); ok && in.subs.Prober != nil {
			in.subs.Prober.Lost(in.at(now), p.id)
		}
	case wakeHold:
		in.hold.expire(in, token&(1<<48-1))
	case wakeRound:
		for i, r := range in.rounds {
			if r.id == arg {
				in.finish(now, i)
				return
			}
		}
	}
}

// markDown makes a replica ineligible here for the detection period, from the last
// sign on.
func (in *instance) markDown(r policies.Ref) {
	if in.book.Inc(r.ID) != r.Inc {
		return
	}
	if in.downs == nil {
		in.downs = make([]uint16, in.book.N())
	}
	in.downs[r.ID]++
	in.wake(in.fe.now+in.period, internal<<56|wakeUp|uint64(in.downs[r.ID])<<32|uint64(r.ID))
	in.health(in.fe.now, r.ID, balance.Down)
}

// health changes what the front end holds of a replica, and tells the policy.
func (in *instance) health(now time.Duration, id uint32, h balance.Health) {
	if !in.book.SetHealth(id, h) {
		return
	}
	if in.subs.Members != nil {
		in.change = balance.Change{Kind: balance.ChangeChanged, Ref: policies.Ref{ID: id, Inc: in.book.Inc(id)}}
		in.subs.Members.Changed(in.at(now), &in.change)
	}
	in.refill()
}

// refill lets held requests go after the eligible replicas have changed.
func (in *instance) refill() {
	if in.hold != nil {
		in.hold.slots = -1
		in.hold.release(in)
	}
}

// Probe implements balance.Host.
func (in *instance) Probe(r policies.Ref, giveUp time.Duration) balance.ProbeID {
	id := in.probe(r, 0)
	in.wake(in.fe.now+giveUp, internal<<56|wakeProbe|uint64(id))
	return id
}

func (in *instance) probe(r policies.Ref, rnd uint32) balance.ProbeID {
	in.lastID++
	id := balance.ProbeID(in.lastID)
	var i uint32
	if in.freeP != 0 {
		i = in.freeP - 1
		in.freeP = in.probes[i].next
	} else {
		i = uint32(len(in.probes))
		in.probes = append(in.probes, probe{})
	}
	in.probes[i] = probe{id: id, ref: r, round: rnd}
	in.probeIDs.put(uint64(id), i)
	in.live++
	in.sent.Probe += 2
	f := in.fe
	f.out.List = append(f.out.List, Action{Kind: ActProbe, Service: in.index, Ref: r, Arg: uint64(id)})
	return id
}

func (in *instance) takeProbe(id balance.ProbeID) (probe, bool) {
	i, ok := in.probeIDs.get(uint64(id))
	if !ok {
		return probe{}, false
	}
	p := in.probes[i]
	in.probeIDs.del(uint64(id))
	in.probes[i].next = in.freeP
	in.freeP = i + 1
	in.live--
	return p, true
}

func (in *instance) replied(now time.Duration, id balance.ProbeID, from policies.Ref, l balance.Load) {
	p, ok := in.takeProbe(id)
	if !ok { // given up before
		return
	}
	in.book.Learn(now, from, l)
	if p.round == 0 {
		if in.subs.Prober != nil {
			in.subs.Prober.Replied(in.at(now), balance.Reply{Probe: id, Ref: from, Load: l})
		}
		return
	}
	for i, r := range in.rounds {
		if r.id != p.round {
			continue
		}
		row := &r.rows[r.row[from.ID]-1]
		row.Load, row.OK = l, true
		if r.left--; r.left == 0 {
			in.finish(now, i)
		}
		return
	}
}

// ProbeAll implements balance.Host.
func (in *instance) ProbeAll(giveUp time.Duration) {
	r := in.newRound()
	for id := range uint32(in.book.N()) {
		ref := policies.Ref{ID: id, Inc: in.book.Inc(id)}
		if !in.book.Eligible(ref) {
			continue
		}
		r.rows = append(r.rows, balance.BoardRow{Ref: ref})
		r.row[id] = uint32(len(r.rows))
	}
	r.left = len(r.rows)
	in.rounds = append(in.rounds, r)
	for _, row := range r.rows {
		r.ids = append(r.ids, in.probe(row.Ref, r.id))
	}
	in.wake(in.fe.now+giveUp, internal<<56|wakeRound|uint64(r.id))
}

func (in *instance) newRound() *round {
	var r *round
	if n := len(in.spare); n > 0 {
		r, in.spare = in.spare[n-1], in.spare[:n-1]
		clear(r.row)
		r.rows, r.ids = r.rows[:0], r.ids[:0]
	} else {
		r = &round{row: make([]uint32, in.book.N())}
	}
	in.lastRnd++
	r.id = in.lastRnd
	return r
}

// finish delivers a round's board, complete or not.
func (in *instance) finish(now time.Duration, i int) {
	r := in.rounds[i]
	in.rounds = append(in.rounds[:i], in.rounds[i+1:]...)
	for i, row := range r.rows {
		if !row.OK { // given up: a late reply finds nothing
			in.takeProbe(r.ids[i])
		}
	}
	if in.subs.Prober != nil {
		in.subs.Prober.Board(in.at(now), r.rows)
	}
	in.spare = append(in.spare, r)
}

// Tell implements balance.Host.
func (in *instance) Tell(r policies.Ref, m balance.Msg) {
	m.Inc = r.Inc
	in.sent.count(m.Kind, false)
	f := in.fe
	f.out.List = append(f.out.List, Action{Kind: ActTell, Service: in.index, Ref: r, Arg: f.out.msg(m)})
}

// Request implements balance.Host.
func (in *instance) Request(id uint64) *policies.Request {
	i, ok := in.fe.ids.get(id)
	if !ok {
		return nil
	}
	return &in.fe.of(i).req
}

// Exclude implements balance.Host: the replicas tried already.
func (in *instance) Exclude(req *policies.Request) []policies.Ref {
	i, ok := in.fe.ids.get(req.ID)
	if !ok || len(in.fe.of(i).tries) == 0 {
		return nil
	}
	in.tried = in.tried[:0]
	for _, t := range in.fe.of(i).tries {
		in.tried = append(in.tried, t.ref)
	}
	return in.tried
}

// Prefix implements balance.Host.
func (in *instance) Prefix(req *policies.Request) []uint64 {
	if req.Cold == 0 || in.fe.cfg.Cold == nil {
		return nil
	}
	return in.fe.cfg.Cold.Prefix(req.Cold)
}

// Resolve implements balance.Host.
func (in *instance) Resolve(req uint64, c balance.Choice) {
	f := in.fe
	if _, left := in.gone.get(req); left { // it left while waiting: ignored
		in.gone.del(req)
		return
	}
	i, ok := f.ids.get(req)
	if !ok {
		f.bug(in, req, "resolved a request that is not open")
	}
	s := &f.slots[i]
	if s.flags&flagParked == 0 {
		f.bug(in, req, "resolved a request a second time")
	}
	if c.Kind() == balance.KindLater {
		f.bug(in, req, "resolved a request with Later")
	}
	s.flags &^= flagParked
	f.settle(i, in, c, nil)
}

// Retry implements balance.Host.
func (in *instance) Retry(req uint64, c balance.Choice) {
	f := in.fe
	i, ok := f.ids.get(req)
	if !ok || f.slots[i].flags&flagEnding == 0 {
		f.bug(in, req, "retried a request outside its last Ended")
	}
	f.slots[i].flags &^= flagEnding
	if f.slots[i].gone != 0 { // nobody waits for the answer: it closes
		return
	}
	switch c.Kind() {
	case balance.KindTo:
		f.send(i, in, c.Ref)
	case balance.KindLater:
		f.slots[i].flags |= flagParked
	case balance.KindShed:
		f.close(i, policies.Shed)
	default:
		f.close(i, policies.NoReplica)
	}
}

// Hedge implements balance.Host.
func (in *instance) Hedge(req uint64, r policies.Ref, c balance.CancelMode) {
	f := in.fe
	i, ok := f.ids.get(req)
	if !ok || f.slots[i].out == 0 {
		f.bug(in, req, "hedged a request that has no attempt out")
	}
	if f.slots[i].gone != 0 { // nobody waits for the answer
		return
	}
	f.of(i).losers = c
	f.send(i, in, r)
}

// Cancel implements balance.Host.
func (in *instance) Cancel(req uint64, attempt int, c balance.CancelMode) {
	if i, ok := in.fe.ids.get(req); ok {
		in.cancel(i, uint8(attempt), c)
	}
}

func (in *instance) cancel(i uint32, n uint8, c balance.CancelMode) {
	f := in.fe
	s := &f.slots[i]
	if s.out == 0 || n >= s.tries || c == balance.CancelNone {
		return
	}
	ref := s.ref
	if s.kept != 0 {
		t := &f.of(i).tries[n]
		if !t.out || t.lost >= c { // it has ended, or was asked to
			return
		}
		t.lost, ref = c, t.ref
	}
	f.out.List = append(f.out.List, Action{Kind: ActCancel, N: n, Service: in.index, Slot: i, Req: s.req, Ref: ref, Arg: uint64(c)})
}
