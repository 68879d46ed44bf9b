package realrun

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/realrun/inferred"
	"taillab/realrun/spool"
	"taillab/realrun/timers"
	"taillab/realrun/wire"
	"taillab/reports"
	"taillab/scenarios"
	"taillab/sim/gpu"
)

// Transport carries attempts to one backend; *wire.Client implements it.
type Transport interface {
	// Do sends an attempt and returns when it has ended; first is called once at the
	// first byte of the answer.
	Do(ctx context.Context, call *wire.Call, first func(at time.Duration)) wire.Result
	// Probe asks for the backend's load; false when it does not answer.
	Probe(ctx context.Context) (balance.Load, bool)
	// Tell carries messages to the replica half beside the backend.
	Tell(ctx context.Context, e wire.Envelope) error
	// Begin hands the replica half beside the backend its part in a run.
	Begin(ctx context.Context, s wire.Start) error
	// Ready asks for the path of the ready check.
	Ready(ctx context.Context, path string) bool
}

// place is what the backends of a run are.
type place struct {
	base     time.Time // the wire's instants count from it
	emulated bool
	name     string           // of the run in messages; "" = its seed
	tables   []*balance.Table // members by service; nil: the scenario's
	fronts   []string         // base URLs of the front ends, by index
}

// drive is one live run of one cell.
type drive struct {
	run   *scenarios.Run
	num   int             // of the run in its call
	ctx   context.Context // of attempts: ends at the drain cap
	stop  context.CancelFunc
	clock *clock
	pacer pacer
	place place

	limits  *limits  // nil without a quota
	scaling *scaling // nil without fleets that change their size

	fronts    []*front
	services  []service
	agenda    *timers.Timers // faults, health checks and what discovery delivers
	emulated  bool
	streaming bool
	over      atomic.Bool // the fronts have stopped

	rows  *arrivals
	guard *guard
	sound soundness

	noisy [][]*gpu.Model // by service, replica; nil for services without noise per request
	noise rand.PCG

	tenants     []uint16
	tenantNames []string
	models      []string

	dice     map[string]*rand.PCG // of faults and discovery; under fmu
	registry registry             // under fmu
	fmu      sync.Mutex
	note     func(string)
	tick     func(reports.TimelineRow) // books a row of the timeline; nil = nobody wants them
	halves   []taped                   // tapes of the replica halves
	spool    *spool.Spool              // writes the tapes; nil = they stay in memory

	open     atomic.Int64 // measured requests not closed
	inFlight atomic.Int64
	fuse     int64
	notSent  atomic.Int64
	lost     atomic.Int64 // messages that did not arrive
	badMsgs  atomic.Int64 // messages refused
	lateness atomic.Int64 // of the latest send since telemetry last looked, ns

	heardCount atomic.Int64 // messages heard from replica halves
	warm       int

	mu      sync.Mutex // the collector, the lags, the scaling
	col     *reports.Collector
	lags    *reports.Hist
	records int64
	broken  error          // why the run cannot go on
	wg      sync.WaitGroup // attempts, probes and messages under way
}

// service is one service's backends as a run drives them.
type service struct {
	name     string
	backends []Transport // by replica; of an elastic service see at
	elastic  *elastic    // nil: the fleet keeps its size
	table    *balance.Table
	ready    string // path of the ready check
	half     bool   // the policy has a replica half
	remote   bool   // which runs beside backends that are not ours
	inferred *inferred.Half
	sent     *atomic.Int64                                                     // attempts under way
	queued   func() int                                                        // requests waiting in replicas; nil = unknown
	fault    func(r int, f *scenarios.Fault, length time.Duration, begin bool) // carries a fault out
	notices  notices
}

// members is how many replicas there are at the start: those after them may come later.
func (s *service) members() int { return s.table.N - s.table.Later }

func newDrive(ctx context.Context, run *scenarios.Run, live scenarios.Live, at place) *drive {
	w := run.Cell.Setup.Workload
	c := &clock{base: at.base}
	d := &drive{run: run, clock: c, place: at, fuse: int64(fuseOf(live.MaxInFlight)), emulated: at.emulated, agenda: timers.New(c.now, c.held), dice: map[string]*rand.PCG{},
		lags: reports.NewHist(reports.HistBits), tenantNames: w.Tenants(), models: w.Models(), note: func(string) {}}
	d.ctx, d.stop = context.WithCancel(ctx)
	d.sound = newSoundness()
	d.warm = live.Warm
	if live.Warm == scenarios.WarmAuto {
		d.warm = scenarios.MinWarm
	}
	for i := range run.Cell.Setup.Services {
		s := &run.Cell.Setup.Services[i]
		x := service{name: s.Name, sent: &atomic.Int64{}, table: s.Table(), ready: "/health", half: hasHalf(run.Cell.Balancers[i].Make())}
		if at.tables != nil {
			x.table = at.tables[i]
		}
		d.services = append(d.services, x)
		d.noisy = append(d.noisy, nil)
		if at.emulated {
			d.noisy[i] = noisyModels(s)
		}
	}
	d.noise = chance.Stream(run.Seed, "noise")
	d.addFronts()
	d.registry = newRegistry(d)
	for i := range d.services {
		if run.Cell.Setup.Services[i].Elastic != nil && d.emulated {
			d.services[i].elastic = newElastic(d, i)
		}
	}
	if s := run.Cell.Setup.Scaling(); s != nil && d.emulated {
		d.scaling = &scaling{Scaling: s}
	}
	return d
}

// noisyModels lists the model of each replica, nil when none has noise per request.
func noisyModels(s *scenarios.Service) []*gpu.Model {
	var list []*gpu.Model
	noisy := false
	for i := range s.Groups {
		m := s.Groups[i].Model
		noisy = noisy || m != nil && m.RequestNoise()
		for range s.SlotsOf(&s.Groups[i]) {
			list = append(list, m)
		}
	}
	if !noisy {
		return nil
	}
	return list
}

func (d *drive) modelName(i uint32) string {
	if int(i) < len(d.models) {
		return d.models[i]
	}
	return ""
}

// addFronts makes the front ends.
func (d *drive) addFronts() {
	c := d.run.Cell
	for k := range c.Setup.FrontEnds.Count {
		f := &front{d: d, index: k, timers: timers.New(d.clock.now, d.clock.held), dice: make([]*chance.Dice, len(c.Setup.Services))}
		d.fronts = append(d.fronts, f)
		f.fresh()
	}
}

// fresh puts a new flow.FrontEnd in place, as after a restart; its dice go on.
func (f *front) fresh() {
	c := f.d.run.Cell
	f.gen++
	cfg := flow.Config{Index: f.index, Count: c.Setup.FrontEnds.Count, Quota: f.quota()}
	if c.Setup.Live.Tape {
		cfg.Tape = &flow.Tape{}
		f.tapes = append(f.tapes, taped{fmt.Sprintf("frontend/%d.%d", f.index, f.gen), cfg.Tape})
	}
	for i := range c.Setup.Services {
		s := &c.Setup.Services[i]
		if f.dice[i] == nil {
			f.dice[i] = chance.NewDice(f.d.run.Seed, fmt.Sprintf("balance/%s/%d", s.Name, f.index))
		}
		cfg.Services = append(cfg.Services, flow.Service{Name: s.Name, Table: f.d.services[i].table, Period: s.Discovery.Period,
			Detect: detection(s.Discovery.Detect), Balancer: c.Balancers[i].Make(), Dice: f.dice[i], Hold: f.d.holdStage(i)})
	}
	f.fe = flow.New(cfg)
	f.reqs, f.leaving = nil, nil
}

// quota configures the quota stage, nil where there is none; its dice go on.
func (f *front) quota() *flow.Quota {
	c := f.d.run.Cell
	if c.Limiter.Make == nil {
		return nil
	}
	if f.limit == nil {
		f.limit = chance.NewDice(f.d.run.Seed, fmt.Sprintf("quota/%d", f.index))
	}
	f.alone = f.withoutStore()
	f.limiter = c.Limiter.Make()
	return c.Setup.Quota.Stage(f.limiter, f.limit)
}

func detection(name string) flow.Detect {
	switch name {
	case scenarios.DetectNever:
		return flow.DetectNever
	case scenarios.DetectHealth:
		return flow.DetectHealth
	}
	return flow.DetectReset
}

// send starts an attempt on a goroutine of its own.
func (d *drive) send(f *front, t *todo) {
	a := t.act
	if d.inFlight.Add(1) > d.fuse {
		d.inFlight.Add(-1)
		d.notSent.Add(1)
		t.cancel()
		if t.visit != nil {
			d.services[a.Service].elastic.left(t.visit, false)
		}
		f.ended(t.gen, a.Slot, a.N, a.Req, wire.Result{Outcome: policies.NotSent, Sent: -1, FirstByte: -1, FirstToken: -1, Done: d.clock.now()})
		return
	}
	call, ctx, cancel, gen := t.call, t.ctx, t.cancel, t.gen
	var first func(time.Duration)
	if t.first {
		first = func(time.Duration) { f.firstByte(gen, a.Slot, a.N, a.Req) }
	}
	svc := &d.services[a.Service]
	if svc.inferred != nil {
		svc.inferred.Accepted(a.Ref, a.Req)
	}
	svc.sent.Add(1)
	visit := t.visit
	d.wg.Go(func() {
		defer cancel()
		defer d.inFlight.Add(-1)
		defer svc.sent.Add(-1)
		res := svc.at(a.Ref).Do(ctx, call, first)
		res.Sent, res.FirstByte = d.clock.local(res.Sent), d.clock.local(res.FirstByte)
		res.FirstToken, res.LastToken = d.clock.local(res.FirstToken), d.clock.local(res.LastToken)
		res.Done = d.clock.local(res.Done)
		if visit != nil {
			svc.elastic.left(visit, res.Outcome == policies.OK)
		}
		f.ended(gen, a.Slot, a.N, a.Req, res)
		if svc.inferred != nil {
			svc.inferred.Finished(a.Ref, a.Req)
		}
		for _, m := range res.Messages { // said after the attempt: else a report of idleness would seem to be older
			f.heard(int(a.Service), policies.Ref{ID: a.Ref.ID, Inc: m.Inc}, m)
		}
	})
}

// probe asks a backend for its load; of one that does not tell, the half that stands for
// it here knows.
func (d *drive) probe(f *front, t *todo) {
	a, gen := t.act, t.gen
	d.wg.Go(func() {
		load, ok := d.services[a.Service].probe(d.ctx, a.Ref)
		if !ok {
			return // the front end's own timer notices
		}
		f.input(func(now time.Duration) {
			if f.gen == gen {
				f.fe.Replied(now, int(a.Service), balance.ProbeID(a.Arg), a.Ref, load, &f.out)
			}
		})
	})
}

func (s *service) probe(ctx context.Context, ref policies.Ref) (balance.Load, bool) {
	load, ok := s.at(ref).Probe(ctx)
	if !ok && s.inferred != nil {
		return s.inferred.Load(ref)
	}
	return load, ok
}

// tell carries a message to a replica half: one try, nobody waits for it.
func (d *drive) tell(f *front, t *todo) {
	a, m, svc := t.act, t.msg, &d.services[t.act.Service]
	if svc.inferred != nil {
		svc.inferred.Heard(a.Ref, m)
		return
	}
	d.wg.Go(func() {
		e := wire.Envelope{Run: d.name(), Service: svc.name,
			From: wire.Peer{N: uint32(f.index)}.String(), To: wire.Peer{Replica: true, N: a.Ref.ID}.String(), Msgs: []balance.Msg{m}}
		if svc.at(a.Ref).Tell(d.ctx, e) != nil {
			d.lost.Add(1)
		}
	})
}

// name of the run in messages: halves refuse those of another run.
func (d *drive) name() string {
	if d.place.name != "" {
		return d.place.name
	}
	return fmt.Sprintf("%016x", d.run.Seed)
}

// heard hands a replica's message to the front end.
func (f *front) heard(service int, from policies.Ref, m balance.Msg) {
	f.d.heardCount.Add(1)
	f.input(func(now time.Duration) {
		if !f.started { // replicas are up before the run begins: what they say is kept for it
			f.early = append(f.early, said{service, from, m})
			return
		}
		f.fe.Heard(now, service, from, m, &f.out)
	})
}

// said is a message that came before the run began.
type said struct {
	service int
	from    policies.Ref
	msg     balance.Msg
}

// start begins the front end's run.
func (f *front) start() {
	f.input(func(now time.Duration) {
		f.started = true
		f.fe.Start(now, &f.out)
		for _, e := range f.early {
			f.fe.Heard(now, e.service, e.from, e.msg, &f.out)
		}
		f.early = nil
	})
}

// book adds a record to the run.
func (d *drive) book(r *reports.Record) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.col.Add(r)
	d.records++
}

func (d *drive) bookAll(list []reports.Record) {
	for i := range list {
		d.book(&list[i])
		if d.scaling != nil {
			d.judged(&judgement{svc: int(list[i].Service), arrived: list[i].Arrived})
		}
	}
}

// lag notes how late a request was handed over.
func (d *drive) lag(x time.Duration) {
	if int64(x) > d.lateness.Load() {
		d.lateness.Store(int64(x)) // telemetry may take it in between: then the next counts
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lags.Record(int64(max(0, x)))
}
