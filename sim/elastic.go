package sim

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"time"

	"taillab/policies"
	"taillab/policies/autoscale"
	"taillab/policies/chance"
	"taillab/scenarios"
)

// elastic is what the host keeps of a service whose fleet changes its size: its pods,
// one per replica number in use, and the autoscaler with what it is shown.
type elastic struct {
	l    *lab
	svc  int
	s    *service
	cfg  *scenarios.Elastic
	pods []pod
	next int // number of the next pod
	spec int
	hold bool

	settling bool // in reconcile

	policy autoscale.Autoscaler
	env    policies.Env
	dice   *chance.Dice
	m      autoscale.Metrics
	call   Timer
	taped  bool
	tape   []byte // JSON, one autoscale.Call after another
	poked  bool

	books   *autoscale.Books
	scrapes []time.Duration
	started []bool // by request: it was in a slot
	came    int    // requests since the last row of the timeline
	ahead   foresight

	loading loader
	taken   reclaimer
	nodes   autoscale.Area // replicas that hold a GPU
	idle    autoscale.Area // of these, without anything running
}

// pod is one life of a replica.
type pod struct {
	phase      autoscale.Phase
	number     int
	used       bool // the replica number had an earlier life
	everReady  bool
	condemned  bool // its node is under notice
	holds      bool // a GPU
	quiet      bool // and runs nothing on it
	cause      cause
	past       cause // of the earlier life
	start      time.Duration
	bound      time.Duration
	transition time.Duration
	epoch      uint32          // of the life's own events
	notices    int             // of its draining, on the way to front ends
	wire       int             // requests on the way to it
	told       []time.Duration // by front end: when the last notice arrives
}

// cause says why a replica was killed.
type cause uint8

const (
	alive cause = iota
	scaledDown
	reclaimed
)

// addElastic makes the fleet of service i one that changes its size. A scenario that
// names no autoscaler keeps the count of the start, and lost replicas are replaced.
func (l *lab) addElastic(i int) error {
	s := &l.svcs[i]
	if s.cfg.Elastic == nil {
		return nil
	}
	e := &elastic{l: l, svc: i, s: s, cfg: s.cfg.Elastic, pods: make([]pod, s.pool.Len())}
	e.books = autoscale.NewBooks(s.pool.Len(), s.pool.Model(0).Slots(), s.pool.BusySlotTime)
	l.faulty, s.pool.SkipBegan = true, false
	s.changeable()
	s.elastic, e.spec, e.taped = e, e.cfg.Start, l.rep.Cell.Setup.Measure.Tape
	e.policy = &autoscale.Fixed{}
	if a := l.rep.Cell.Autoscalers; i < len(a) && a[i].Make != nil {
		e.policy = a[i].Make()
	}
	e.dice = chance.NewDice(l.rep.Seed, "autoscale/"+s.name)
	e.env = policies.NewEnv(rand.New(e.dice), noWakes{}, 0)
	e.m = autoscale.Metrics{Min: e.cfg.Min, Max: e.cfg.Max, Reachable: true, Lead: e.cfg.Lifecycle.Lead()}
	e.call = l.eng.Timer(l.id.desire, uint64(i))
	e.taken.timer = l.eng.Timer(l.id.reclaim, uint64(i))
	e.loading.timer = l.eng.Timer(l.id.loaded, uint64(i))
	for r := range e.pods {
		p := &e.pods[r]
		if r >= e.cfg.Start {
			p.phase, s.state[r].down = autoscale.Gone, 1
			continue
		}
		e.pods[r] = pod{phase: autoscale.Ready, number: r, used: true, everReady: true, holds: true, quiet: true}
		e.books.Begin(uint32(r), r, 0)
	}
	e.next = e.cfg.Start
	e.nodes.N, e.idle.N = e.cfg.Start, e.cfg.Start
	e.books.Read(e.policy)
	e.scrapes = e.books.Scrapes()
	if _, ok := e.policy.(autoscale.Oracle); ok {
		return e.ahead.init(e)
	}
	return nil
}

// noWakes refuses wake-ups: autoscalers are called by Decision.Next.
type noWakes struct{}

// WakeAt implements policies.Waker.
func (noWakes) WakeAt(time.Duration, uint8, uint64) {
	panic("autoscalers are called again by Decision.Next, not by Env.Wake")
}

// start asks for the first decision and lets the nodes begin to age.
func (e *elastic) start() {
	for k, period := range e.scrapes {
		e.l.eng.Schedule(At(period), e.l.id.scrape, uint64(e.svc)<<32|uint64(k))
	}
	e.age()
	e.desire()
}

// desire calls the autoscaler and carries its decision out.
func (e *elastic) desire() {
	now := e.l.now()
	e.show(now)
	e.env.Now = now
	d := e.policy.Desire(&e.env, &e.m)
	if e.taped {
		e.record(now, d)
	}
	if d.Next <= 0 {
		panic(fmt.Sprintf("service %s: the autoscaler %T asked to be called again after %v: that must be above 0", e.s.name, e.policy, d.Next))
	}
	e.l.eng.Reset(e.call, At(now+d.Next))
	if d.Hold != e.hold {
		e.hold = d.Hold
		e.l.tellHold(e.svc, d.Hold)
	}
	e.spec = e.cfg.Clamp(d.Count)
	e.poked = e.poked && e.spec == 0
	e.l.scaled(now)
	e.reconcile()
}

// record puts a call on the tape. What it holds are plain numbers, so encoding them
// cannot fail; if it did, the replay would show it.
func (e *elastic) record(now time.Duration, d autoscale.Decision) {
	b, _ := json.Marshal(autoscale.Call{Now: now, Metrics: e.m, Drawn: e.dice.Drawn, Decision: d})
	e.tape = append(append(e.tape, b...), '\n')
}

// poke calls the autoscaler at once when the first request is held while there is to
// be no replica.
func (e *elastic) poke() {
	if e.poked || e.spec > 0 || e.l.held(e.svc) == 0 {
		return
	}
	e.poked = true
	e.books.Note(e.l.now(), e.l.held(e.svc))
	e.l.eng.Reset(e.call, At(e.l.now()))
}

// reconcile makes as many pods as are wanted, those that drain or are under notice not
// counted, or removes what is too much: those that are not ready first, then the one
// that became ready last, as a ReplicaSet does.
func (e *elastic) reconcile() {
	if e.settling { // a pod that goes at once asks for the same
		return
	}
	e.settling = true
	for {
		n := 0
		for r := range e.pods {
			if e.pods[r].counts() {
				n++
			}
		}
		r := e.free()
		if n == e.spec || n < e.spec && r < 0 { // the rest follows as soon as a number is free
			break
		}
		if n < e.spec {
			e.create(uint32(r))
		} else {
			e.remove(e.victim())
		}
	}
	e.settling = false
}

// counts tells whether a pod is one of those wanted.
func (p *pod) counts() bool { return p.phase < autoscale.Draining && !p.condemned }

// free is a replica number that no pod has; −1 when all are taken.
func (e *elastic) free() int {
	for r := range e.pods {
		if e.pods[r].phase == autoscale.Gone {
			return r
		}
	}
	return -1
}

func (e *elastic) victim() uint32 {
	best, least := -1, autoscale.Pod{}
	for r := range e.pods {
		if p := e.pods[r].shown(); e.pods[r].counts() && (best < 0 || p.Before(&least)) {
			best, least = r, p
		}
	}
	return uint32(best)
}

// shown is a pod as its autoscaler sees it.
func (p *pod) shown() autoscale.Pod {
	return autoscale.Pod{ID: p.number, Phase: p.phase, Ready: p.phase == autoscale.Ready, EverReady: p.everReady,
		Start: p.start, LastTransition: p.transition, Deleted: p.phase == autoscale.Draining || p.condemned}
}

// ready counts the pods that take requests.
func (e *elastic) ready() int {
	n := 0
	for r := range e.pods {
		if e.pods[r].phase == autoscale.Ready {
			n++
		}
	}
	return n
}

// created counts the pods there are.
func (e *elastic) created() int {
	n := 0
	for r := range e.pods {
		if e.pods[r].phase != autoscale.Gone {
			n++
		}
	}
	return n
}

// held is how many requests wait in the hold stages of a service.
func (l *lab) held(svc int) int {
	n := 0
	for k := range l.fronts {
		if l.fronts[k].fe != nil && !l.fronts[k].down {
			n += l.fronts[k].fe.Held(svc)
		}
	}
	return n
}

// tellHold sends the autoscaler's wish to all front ends, as any planned change.
func (l *lab) tellHold(svc int, on bool) {
	var arg uint64
	if on {
		arg = 1
	}
	for k := range l.fronts {
		if l.fronts[k].fe.Fleet(svc) != nil {
			l.post(l.now()+l.noticeDelay(svc), l.id.hold, envelope{service: uint16(svc), front: uint32(k), arg: arg})
		}
	}
}

// holdTold delivers the wish: of several on the way, the one that counts is the last.
func (l *lab) holdTold(e envelope) {
	f := &l.fronts[e.front]
	if f.down {
		return
	}
	f.fe.SetHold(l.now(), int(e.service), l.svcs[e.service].elastic.hold && e.arg == 1, &l.out)
	l.act(int(e.front))
}

// scaled books the counts wanted and ready of all services.
func (l *lab) scaled(now time.Duration) {
	if l.scale == nil {
		return
	}
	desired, ready := 0, 0
	for i := range l.svcs {
		if e := l.svcs[i].elastic; e != nil {
			desired, ready = desired+e.spec, ready+e.ready()
		}
	}
	l.scale.Desired(now, desired)
	l.scale.Ready(now, ready)
}

// addScaling prepares what a run with fleets that change their size is judged by.
func (l *lab) addScaling() { l.scale = l.rep.Cell.Setup.Scaling() }
