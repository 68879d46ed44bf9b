package sim

import (
	"fmt"
	"math/rand/v2"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/policies/quota"
	"taillab/reports"
	"taillab/scenarios"
	"taillab/sim/gpu"
)

// lab is one run: engine, front ends, services, and the requests under way.
type lab struct {
	eng *Engine
	rep *scenarios.Run
	rec reports.Recorder
	num int // number of the run, for the recorder
	col *reports.Collector

	fronts  []front
	shared  int // index of the front end of Shared policies, −1 without one
	svcs    []service
	load    workload
	win     window
	quota   *limits          // nil without a limiter
	ops     *operations      // nil without operations on front ends
	scale   *reports.Scaling // nil without a fleet that changes its size
	second  []time.Duration  // latencies of this second, likewise
	killing cause            // why the replica at hand dies

	room    int // requests that are expected to be open at a time
	reqs    []request
	needs   []needs            // by request
	views   []policies.Request // by request: on the way to a shared front end
	blocks  [][]uint64         // by request: prefix blocks, where a trace has them
	extra   []time.Duration    // by request: on the way to a shared front end, where there is one
	noise   []noise            // by request, where a model has noise per request
	freeReq uint32             // +1
	atts    []attempt
	stays   []stay // by attempt, where a service needs them
	freeAtt uint32 // +1
	mail    []envelope
	freeEnv uint32 // +1
	wakes   []wake
	letters []letter

	freeWake, freeLetter uint32 // +1

	view   policies.Request // lent to a front end for one arrival
	record reports.Record   // lent to the collector for one request
	msg    balance.Msg      // lent to a replica half for one event
	item   gpu.Item         // lent to a replica for one arrival
	end    flow.End         // lent to a front end for one answer
	out    flow.Actions
	ev     gpu.Events
	id     handlers
	riders []letter // reports that ride on the response at hand

	tapes   []taped
	past    flow.Counters // of front ends that were replaced
	lanes   bool          // ends of service on the direct way are in lanes
	faulty  bool          // the scenario has faults, or replicas that come and go
	streams map[string]*rand.PCG
	started time.Time
}

// front is one front end and what the host keeps for it.
type front struct {
	fe    *flow.FrontEnd
	slots []uint32 // request index by slot
	gen   uint32   // grows when the front end is replaced
	down  bool
	away  bool           // out of service: requests go to others
	bad   bool           // of a build that fails its requests
	dice  []*chance.Dice // by service
	limit *chance.Dice   // of the limiter

	limiter quota.Limiter // nil without a quota
}

// request is an open request: what the life of every one needs, 40 B. What not all have
// is in columns of their own: needs, extra, noise, blocks, views.
type request struct {
	id       uint64
	at       time.Duration
	front    uint32
	gen      uint32
	slot     uint32 // at its front end; once it is closed, the attempts still under way
	first    uint32 // newest attempt, +1; of a direct one its replica; of a free one the next free, +1
	service  uint16
	tenant   uint16 // slot of the report
	class    uint16
	flags    uint8
	priority int8
}

// needs is what a request asks of a replica. One that goes the direct way gives its
// demand at once and keeps nothing.
type needs struct {
	demand   time.Duration
	deadline time.Duration
	input    uint32
	output   uint32
}

// Flags of a request.
const (
	isOpen uint8 = 1 << iota
	isMeasured
	isDirect // its only attempt has no record: see enterDirect
)

func (q *request) open() bool     { return q.flags&isOpen != 0 }
func (q *request) measured() bool { return q.flags&isMeasured != 0 }
func (q *request) direct() bool   { return q.flags&isDirect != 0 }

// noise is what a request's draws are, as every replica's model reads them.
type noise struct{ z, u float64 }

// attempt is one send of a request, in one cache line; its index is the number that
// replicas know. It belongs to its request until it has ended, even after that is
// closed.
type attempt struct {
	sent     time.Duration
	reached  time.Duration // at the replica
	finished time.Duration // left the replica
	ended    time.Duration // answer at the front end
	queue    time.Duration // of its stay in the replica; what is not queue or batch is service
	ref      policies.Ref
	req      uint32
	older    uint32 // previous attempt of the request, +1; of a free one the next free, +1
	svc      uint16
	n        uint8
	outcome  policies.Outcome
	inside   bool // in the replica
	over     bool
	gone     bool // its request is closed: free it when it ends
	killed   cause
}

// stay is what only replicas that batch or stream tell of an attempt.
type stay struct {
	batch time.Duration
	first time.Duration // first token, at the replica; < 0 without
}

// taped is a stream of the tape and where it belongs.
type taped struct {
	name string
	tape *flow.Tape
}

func newLab(num int, run *scenarios.Run, rec reports.Recorder, h Host) (*lab, error) {
	c := run.Cell
	l := &lab{rep: run, rec: rec, num: num, shared: -1, faulty: len(c.Setup.Faults) > 0, streams: map[string]*rand.PCG{}, started: time.Now()}
	n, wakes := 0, 0
	for i := range c.Setup.Services {
		slots := c.Setup.Services[i].Slots()
		n += slots
		if _, ok := balance.Inside[balance.Halved](c.Balancers[i].Make()); ok {
			wakes += slots
		}
	}
	// At the start every replica may ask two front ends, and wait for them and for its
	// first heartbeat; a first request may make it ask again.
	l.wakes, l.letters = make([]wake, 0, 3*wakes), make([]letter, 0, 2*wakes)
	l.eng = New(Config{Pending: n + wakes + 256, Gap: gap(c.RateRPS), Seed: run.Seed, Heap: h.heap})
	l.register()
	l.room = room(n, c.Setup.Measure.Requests)
	l.reqs, l.needs, l.atts = make([]request, 0, l.room), make([]needs, 0, l.room), make([]attempt, 0, l.room)
	for i := range c.Setup.Services {
		if err := l.addService(i); err != nil {
			return nil, err
		}
	}
	l.addLimits()
	for i := range l.svcs {
		if err := l.addElastic(i); err != nil {
			return nil, err
		}
	}
	l.addFronts()
	l.addScaling()
	if err := l.load.init(l); err != nil {
		return nil, err
	}
	l.col = rec.Begin(num, l.setup())
	l.addFaults()
	l.quota.start(l)
	if !h.general && !h.heap {
		l.addLanes()
	}
	return l, nil
}

// room is how many requests may be open at a time before pools have to grow, which
// copies them: three for every replica, as a stable fleet has, if there are so many.
// Memory that is never written to costs nothing.
func room(replicas, requests int) int {
	most := 3*replicas + 1024
	if requests > 0 {
		most = min(most, requests+1024)
	}
	return most
}

// gap is the time between two requests at a rate per second.
func gap(rate float64) Time {
	if !(rate > 0) {
		return 0
	}
	return Time(min(1e9/rate, 1e15))
}

// setup tells the recorder what to expect.
func (l *lab) setup() reports.Setup {
	c := l.rep.Cell
	s := reports.Setup{SLO: c.Setup.Measure.SLO, Seed: l.rep.Rep + 1, NoCapacity: c.Setup.NoCapacity()}
	names := policies.OutcomeNames()
	s.Outcomes = names[:]
	for i := range l.svcs {
		s.Services = append(s.Services, l.svcs[i].name)
		for r := range l.svcs[i].pool.Len() {
			s.Streaming = s.Streaming || l.svcs[i].pool.Model(uint32(r)).Streams()
			if i > 0 || r > 64 {
				break
			}
		}
	}
	s.Tenants, s.Classes = l.load.names, c.Setup.Workload.Classes()
	s.First, s.Requests = l.win.first, int64(l.win.last-l.win.first)
	if m := &c.Setup.Measure; m.Horizon > 0 {
		s.First, s.Requests, s.Start, s.Window = 0, 0, l.win.from, m.Horizon-l.win.from
	}
	return s
}

func (l *lab) now() time.Duration { return l.eng.now.Duration() }

// addFronts makes the front ends; the policies that are Shared get one of their own
// behind all others.
func (l *lab) addFronts() {
	c := l.rep.Cell
	m := c.Setup.FrontEnds.Count
	for _, s := range l.svcs {
		if s.shared {
			l.shared = m
		}
	}
	for k := range m {
		l.fronts = append(l.fronts, front{})
		l.open(k)
	}
	if l.shared >= 0 {
		l.fronts = append(l.fronts, front{})
		l.open(l.shared)
	}
}

// open puts a fresh front end in place k; its dice go on where they were.
func (l *lab) open(k int) {
	c, f := l.rep.Cell, &l.fronts[k]
	f.gen++
	if f.dice == nil {
		f.dice = make([]*chance.Dice, len(l.svcs))
	}
	index, count := k, c.Setup.FrontEnds.Count
	if k == l.shared {
		index, count = 0, 1
	}
	share := l.room/max(count, 1) + 64
	if f.slots == nil {
		f.slots = make([]uint32, 0, share)
	}
	cfg := flow.Config{Index: index, Count: count, Room: share, Cold: coldBlocks{l}}
	if l.rep.Cell.Setup.Measure.Tape {
		cfg.Tape = l.newTape(fmt.Sprintf("frontend/%d.%d", k, f.gen))
	}
	cfg.Quota = l.quotaOf(f, k)
	truths := make([]*truth, len(l.svcs))
	for i := range l.svcs {
		s := &l.svcs[i]
		svc := flow.Service{Name: s.name, Table: s.table, Detect: s.detect, Period: s.cfg.Discovery.Period}
		if s.shared == (k == l.shared) {
			if f.dice[i] == nil {
				f.dice[i] = chance.NewDice(l.rep.Seed, fmt.Sprintf("balance/%s/%d", s.name, index))
			}
			svc.Dice, svc.Balancer = f.dice[i], c.Balancers[i].Make()
			svc.Hold = s.cfg.HoldStage()
			if s.truth != nil {
				truths[i] = &truth{s: s, now: l.now}
				svc.Truth = truths[i]
			}
		}
		cfg.Services = append(cfg.Services, svc)
	}
	f.fe = flow.New(cfg)
	for i, t := range truths {
		if t != nil {
			t.fleet = f.fe.Fleet(i)
		}
	}
	for i := range l.svcs {
		if cfg.Services[i].Balancer != nil && f.fe.Subscribed(i)&balance.WantFirstByte != 0 {
			l.svcs[i].pool.WatchFirst = true
		}
	}
}

func (l *lab) newTape(name string) *flow.Tape {
	t := &flow.Tape{}
	l.tapes = append(l.tapes, taped{name, t})
	return t
}

// run starts everything and handles events until the run is over.
func (l *lab) run() {
	for k := range l.fronts {
		l.fronts[k].fe.Start(0, &l.out)
		l.act(k)
	}
	for i := range l.svcs {
		for r := range uint32(l.svcs[i].pool.Len()) {
			if l.svcs[i].at(r).down > 0 {
				continue
			}
			l.half(i, r, balance.ReplicaEvent{Kind: balance.ReplicaStarted})
		}
	}
	for i := range l.svcs {
		if e := l.svcs[i].elastic; e != nil {
			e.start()
		}
	}
	if at := l.load.first(); at != Never {
		l.eng.Attach(at, &l.load)
	}
	if l.win.last > l.win.first || l.win.until > 0 {
		l.eng.Schedule(At(tickEvery), l.id.tick, 0)
	}
	l.eng.Run()
}
