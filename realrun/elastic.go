package realrun

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"taillab/policies"
	"taillab/policies/autoscale"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/realrun/actuator"
	"taillab/scenarios"
)

// elastic is a service of a live run whose fleet changes its size: the autoscaler, what
// it is shown, and the pods that its actuator has. A pod has the replica ID of its slot;
// each of its lives is an incarnation. Its lock is taken inside those of front ends, so
// nothing under it calls one.
type elastic struct {
	d    *drive
	svc  int
	name string
	cfg  *scenarios.Elastic
	act  actuator.Actuator
	dial func(url string) (Transport, func(), error) // reaches a pod; the function closes it

	slots int           // requests that a replica serves at a time
	ask   chan struct{} // holds a token when the count has changed
	spec  int           // wanted; under mu, as all that follows
	ready int

	mu     sync.Mutex
	policy autoscale.Autoscaler
	env    policies.Env
	dice   *chance.Dice
	m      autoscale.Metrics
	books  *autoscale.Books
	draw   rand.PCG      // which pods are read
	last   time.Duration // now never goes back
	hold   bool
	poked  bool
	calls  uint64
	tape   []byte // JSON, one autoscale.Call after another; empty when nothing is taped

	pods  []pod // by slot
	next  int   // number of the next pod
	over  map[policies.Ref]time.Duration
	nodes autoscale.Area  // pods that hold a GPU
	idle  autoscale.Area  // of these, without anything running
	done  []time.Duration // latencies since the last row of the timeline
	came  int             // requests since then
}

// noWakes refuses wake-ups: autoscalers are called by Decision.Next.
type noWakes struct{}

// WakeAt implements policies.Waker.
func (noWakes) WakeAt(time.Duration, uint8, uint64) {
	panic("autoscalers are called again by Decision.Next, not by Env.Wake")
}

// newElastic prepares a service; its pods come with adopt. A scenario that names no
// autoscaler keeps the count of the start.
func newElastic(d *drive, i int) *elastic {
	s := &d.run.Cell.Setup.Services[i]
	e := &elastic{d: d, svc: i, name: s.Name, cfg: s.Elastic, slots: 1, ask: make(chan struct{}, 1), spec: s.Elastic.Start,
		policy: &autoscale.Fixed{}, pods: make([]pod, s.Slots()), over: map[policies.Ref]time.Duration{}}
	if t := d.services[i].table; len(t.Slots) > 0 {
		e.slots = int(t.Slots[0])
	}
	if a := d.run.Cell.Autoscalers; i < len(a) && a[i].Make != nil {
		e.policy = a[i].Make()
	}
	e.dice = chance.NewDice(d.run.Seed, "autoscale/"+s.Name)
	e.draw = chance.Stream(d.run.Seed, "autoscale/"+s.Name+"/scrape")
	e.env = policies.NewEnv(rand.New(e.dice), noWakes{}, 0)
	e.m = autoscale.Metrics{Min: e.cfg.Min, Max: e.cfg.Max, Reachable: true, Lead: e.cfg.Lifecycle.Lead()}
	e.books = autoscale.NewBooks(len(e.pods), e.slots, nil)
	e.books.Read(e.policy)
	for r := range e.pods {
		e.pods[r] = pod{phase: autoscale.Gone, told: make([]time.Duration, len(d.fronts))}
	}
	return e
}

// holdStage is where requests of service i wait while it has no replica; nil where the
// fleet keeps its size.
func (d *drive) holdStage(i int) *flow.Hold {
	if !d.emulated {
		return nil
	}
	return d.run.Cell.Setup.Services[i].HoldStage()
}

// now is the run's time, which never goes back. mu is held.
func (e *elastic) now() time.Duration {
	e.last = max(e.last, e.d.clock.now(), 0)
	return e.last
}

// start begins the run: the first decision, the readings, and whoever carries counts
// out and follows the pods.
func (e *elastic) start() {
	e.d.wg.Go(e.apply)
	e.d.wg.Go(e.follow)
	for k, period := range e.books.Scrapes() {
		e.scrapeAt(period, period, k)
	}
	e.d.agenda.Set(0, e.desire)
}

// apply asks the actuator for what is wanted, once at a time: the newest count is the
// one that matters.
func (e *elastic) apply() {
	for {
		select {
		case <-e.d.ctx.Done():
			return
		case <-e.ask:
		}
		e.mu.Lock()
		n := e.spec
		e.mu.Unlock()
		if err := e.act.Apply(e.d.ctx, n); err != nil && e.d.ctx.Err() == nil {
			e.d.note(fmt.Sprintf("service %s was not scaled to %d: %v", e.name, n, err))
		}
	}
}

// scrapeAt files a reading and all that follow it.
func (e *elastic) scrapeAt(at, period time.Duration, k int) {
	e.d.agenda.Set(at, func() {
		held := e.held()
		e.mu.Lock()
		e.books.Scrape(k, e.now(), held, &e.draw)
		e.mu.Unlock()
		e.scrapeAt(at+period, period, k)
	})
}

// held is how many requests wait in the hold stages of the service.
func (e *elastic) held() (n int) {
	for _, f := range e.d.fronts {
		f.mu.Lock()
		if !f.down {
			n += f.fe.Held(e.svc)
		}
		f.mu.Unlock()
	}
	return n
}

// desire calls the autoscaler and carries its decision out.
func (e *elastic) desire() {
	held := e.held()
	e.mu.Lock()
	now := e.now()
	e.show(now, held)
	e.env.Now = now
	d := e.policy.Desire(&e.env, &e.m)
	if e.d.run.Cell.Setup.Live.Tape {
		b, _ := json.Marshal(autoscale.Call{Now: now, Metrics: e.m, Drawn: e.dice.Drawn, Decision: d}) // plain numbers can be encoded
		e.tape = append(append(e.tape, b...), '\n')
	}
	if d.Next <= 0 {
		e.mu.Unlock()
		e.d.fail(fmt.Errorf("service %s: the autoscaler %T asked to be called again after %v: that must be above 0", e.name, e.policy, d.Next))
		return
	}
	e.calls++
	call := e.calls
	turned := d.Hold != e.hold
	e.hold = d.Hold
	e.spec = e.cfg.Clamp(d.Count)
	e.poked = e.poked && e.spec == 0
	e.mu.Unlock()
	e.d.agenda.Set(now+d.Next, func() {
		e.mu.Lock()
		newest := call == e.calls // a call at once takes the place of the one that was filed
		e.mu.Unlock()
		if newest {
			e.desire()
		}
	})
	if turned {
		e.tellHold(now, d.Hold)
	}
	e.d.scaled()
	select {
	case e.ask <- struct{}{}:
	default:
	}
}

// poke calls the autoscaler at once when the first request is held while there is to
// be no replica.
func (e *elastic) poke() {
	e.mu.Lock()
	idle := e.poked || e.spec > 0
	e.mu.Unlock()
	if idle {
		return
	}
	held := e.held()
	if held == 0 {
		return
	}
	e.mu.Lock()
	first := !e.poked && e.spec == 0
	if first {
		e.poked = true
		e.books.Note(e.now(), held)
	}
	e.mu.Unlock()
	if first {
		e.desire()
	}
}

// tellHold sends the autoscaler's wish to all front ends, as any planned change. Of
// several on the way, the one that counts is the last.
func (e *elastic) tellHold(now time.Duration, on bool) {
	for k := range e.d.fronts {
		e.d.fmu.Lock()
		at := now + e.d.announcement(e.svc)
		e.d.fmu.Unlock()
		e.d.agenda.Set(at, func() { e.d.fronts[k].holdAll(e.svc, e.holding() && on) })
	}
}

func (e *elastic) holding() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.hold
}

// holdAll tells the front end that all requests of a service pass its hold stage, or
// need not any more.
func (f *front) holdAll(service int, on bool) {
	f.input(func(now time.Duration) {
		if f.fe.Fleet(service) != nil {
			f.fe.SetHold(now, service, on, &f.out)
		}
	})
}

// show gathers what the autoscaler sees. mu is held.
func (e *elastic) show(now time.Duration, held int) {
	m := &e.m
	m.Spec = e.spec
	m.Pods = m.Pods[:0]
	for r := range e.pods {
		if p := &e.pods[r]; p.phase != autoscale.Gone {
			m.Pods = append(m.Pods, autoscale.Pod{ID: p.number, Phase: p.phase, Ready: p.phase == autoscale.Ready, EverReady: p.everReady,
				Start: p.start, LastTransition: p.transition, Deleted: p.phase == autoscale.Draining})
		}
	}
	slices.SortFunc(m.Pods, func(a, b autoscale.Pod) int { return a.ID - b.ID })
	e.books.Show(m, now, held)
}

// catchUp is what a fresh front end has to hear, since it knows the members of the
// start: how each replica differs from them.
func (e *elastic) catchUp() (list []balance.Change, hold bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for r := range e.pods {
		p := &e.pods[r]
		ch := balance.Change{Kind: balance.ChangeRemoved, Ref: policies.Ref{ID: uint32(r), Inc: p.inc}}
		switch p.phase {
		case autoscale.Ready:
			ch.Kind = balance.ChangeAdded
		case autoscale.Draining:
			ch.Kind = balance.ChangeDraining
		}
		list = append(list, ch)
	}
	return list, e.hold
}
