package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/reports"
	"taillab/scenarios"
	"taillab/sim/gpu"
)

// lab is one run: engine, front ends, services, and the requests under way.
type lab struct {
	eng  *Engine
	run_ *scenarios.Run
	rec  reports.Recorder
	num  int // number of the run, for the recorder
	col  *reports.Collector

	fronts []front
	shared int // index of the front end of Shared policies, −1 without one
	svcs   []service
	load   workload
	win    window

	reqs    []request
	views   []policies.Request // by request: on the way to a shared front end
	blocks  [][]uint64         // by request: prefix blocks, where a trace has them
	freeReq uint32             // +1
	atts    []attempt
	freeAtt uint32 // +1
	mail    []envelope
	freeEnv uint32 // +1

	view   policies.Request // lent to a front end for one arrival
	record reports.Record   // lent to the collector for one request
	msg    balance.Msg      // lent to a replica half for one event
	out    flow.Actions
	ev     gpu.Events
	id     handlers
	riders []envelope // reports that ride on the response at hand

	tapes   []taped
	past    flow.Counters // of front ends that were replaced
	streams map[string]*rand.PCG
	started time.Time
}

// handlers are the kinds of events.
type handlers struct {
	deliver, respond, firstByte  HandlerID
	settle, expire               HandlerID
	probe, reply, report, tell   HandlerID
	wakeFront, wakeReplica       HandlerID
	member, cancel, enter, fault HandlerID
	deadline, tick, cap          HandlerID
}

// front is one front end and what the host keeps for it.
type front struct {
	fe    *flow.FrontEnd
	slots []uint32 // request index by slot
	gen   uint32   // grows when the front end is replaced
	down  bool
	dice  []*chance.Dice // by service
}

// request is an open request.
type request struct {
	id       uint64
	at       time.Duration
	extra    time.Duration // on the way to a shared front end
	input    uint32
	output   uint32
	demand   time.Duration
	deadline time.Duration
	z, u     float64 // its noise, as every replica's model reads it
	front    uint32
	gen      uint32
	slot     uint32
	first    uint32 // newest attempt, +1
	next     uint32 // free list, +1
	service  uint16
	tenant   uint16 // slot of the report
	class    uint16
	priority int8
	measured bool
	open     bool
}

// attempt is one send of a request; its index is the number that replicas know.
type attempt struct {
	req      uint32
	older    uint32 // previous attempt of the request, +1
	front    uint32
	gen      uint32
	slot     uint32
	ref      policies.Ref
	sent     time.Duration
	reached  time.Duration // at the replica
	finished time.Duration // left the replica
	first    time.Duration // first token, at the replica
	ended    time.Duration // answer at the front end
	queue    time.Duration
	batch    time.Duration
	service  time.Duration
	svc      uint16
	n        uint8
	outcome  policies.Outcome
	inside   bool // in the replica
	began    bool // and out of its queue
	over     bool
	gone     bool // its request is closed: free it when it ends
}

// taped is a stream of the tape and where it belongs.
type taped struct {
	name string
	tape *flow.Tape
}

func newLab(num int, run *scenarios.Run, rec reports.Recorder) (*lab, error) {
	c := run.Cell
	l := &lab{run_: run, rec: rec, num: num, shared: -1, streams: map[string]*rand.PCG{}, started: time.Now()}
	n := 0
	for i := range c.Setup.Services {
		n += c.Setup.Services[i].Replicas()
	}
	l.eng = New(Config{Pending: 2*n + 1024, Seed: run.Seed})
	l.register()
	for i := range c.Setup.Services {
		if err := l.addService(i); err != nil {
			return nil, err
		}
	}
	l.addFronts()
	if err := l.load.init(l); err != nil {
		return nil, err
	}
	l.col = rec.Begin(num, l.setup())
	l.addFaults()
	return l, nil
}

// setup tells the recorder what to expect.
func (l *lab) setup() reports.Setup {
	c := l.run_.Cell
	s := reports.Setup{SLO: c.Setup.Measure.SLO, Seed: l.run_.Rep + 1}
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
	s.Tenants, s.Classes = l.load.tenants.names, c.Setup.Workload.Classes()
	s.First, s.Requests = l.win.first, int64(l.win.last-l.win.first)
	if m := &c.Setup.Measure; m.Horizon > 0 {
		s.First, s.Requests, s.Start, s.Window = 0, 0, l.win.from, m.Horizon-l.win.from
	}
	return s
}

func (l *lab) register() {
	e, h := l.eng, &l.id
	reg := func(c Class, f func(arg uint64)) HandlerID { return e.Register(call(f), c) }
	h.respond = reg(Completion, func(a uint64) { l.respond(uint32(a)) })
	h.settle = reg(Completion, l.settle)
	h.deliver = reg(Message, func(a uint64) { l.deliver(uint32(a)) })
	h.firstByte = reg(Message, func(a uint64) { l.firstByte(uint32(a)) })
	h.probe = reg(Message, l.posted((*lab).probed))
	h.reply = reg(Message, l.posted((*lab).replied))
	h.report = reg(Message, l.posted((*lab).reported))
	h.tell = reg(Message, l.posted((*lab).told))
	h.member = reg(Message, l.posted((*lab).member))
	h.cancel = reg(Message, l.posted((*lab).cancel))
	h.enter = reg(Message, func(a uint64) { l.enter(uint32(a)) })
	h.expire = reg(Timing, l.expire)
	h.wakeFront = reg(Timing, l.posted((*lab).wakeFront))
	h.wakeReplica = reg(Timing, l.posted((*lab).wakeReplica))
	h.fault = reg(Timing, l.posted((*lab).faultEvent))
	h.deadline = reg(Timing, l.posted((*lab).deadline))
	h.tick = reg(Timing, func(uint64) { l.tick() })
	h.cap = reg(Timing, func(uint64) { l.eng.Stop() })
}

// call adapts a method to Handler.
type call func(arg uint64)

// Handle implements Handler.
func (c call) Handle(_ *Engine, arg uint64) { c(arg) }

func (l *lab) now() time.Duration { return l.eng.now.Duration() }

// addFronts makes the front ends; the policies that are Shared get one of their own
// behind all others.
func (l *lab) addFronts() {
	c := l.run_.Cell
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
	c, f := l.run_.Cell, &l.fronts[k]
	f.gen++
	if f.dice == nil {
		f.dice = make([]*chance.Dice, len(l.svcs))
	}
	index, count := k, c.Setup.FrontEnds.Count
	if k == l.shared {
		index, count = 0, 1
	}
	cfg := flow.Config{Index: index, Count: count, Cold: coldBlocks{l}}
	if l.run_.Cell.Setup.Measure.Tape {
		cfg.Tape = l.newTape(fmt.Sprintf("frontend/%d.%d", k, f.gen))
	}
	truths := make([]*truth, len(l.svcs))
	for i := range l.svcs {
		s := &l.svcs[i]
		svc := flow.Service{Name: s.name, Table: s.table, Detect: s.detect, Period: s.cfg.Discovery.Period}
		if s.shared == (k == l.shared) {
			if f.dice[i] == nil {
				f.dice[i] = chance.NewDice(l.run_.Seed, fmt.Sprintf("balance/%s/%d", s.name, index))
			}
			svc.Dice, svc.Balancer = f.dice[i], c.Balancers[i].Make()
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
			l.half(i, r, balance.ReplicaEvent{Kind: balance.ReplicaStarted})
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

// coldBlocks serves prefix blocks to front ends.
type coldBlocks struct{ l *lab }

// Prefix implements flow.Cold.
func (c coldBlocks) Prefix(cold uint32) []uint64 { return c.l.blocks[cold-1] }

// newRequest takes a request from the pool.
func (l *lab) newRequest() uint32 {
	if i := l.freeReq; i != 0 {
		l.freeReq = l.reqs[i-1].next
		l.reqs[i-1] = request{}
		return i - 1
	}
	l.reqs = append(l.reqs, request{})
	return uint32(len(l.reqs) - 1)
}

func (l *lab) dropRequest(i uint32) {
	l.reqs[i].open = false
	l.reqs[i].next, l.freeReq = l.freeReq, i+1
}

func (l *lab) newAttempt() uint32 {
	if i := l.freeAtt; i != 0 {
		l.freeAtt = l.atts[i-1].older
		return i - 1
	}
	l.atts = append(l.atts, attempt{})
	return uint32(len(l.atts) - 1)
}

func (l *lab) dropAttempt(i uint32) { l.atts[i].older, l.freeAtt = l.freeAtt, i+1 }

// envelope is a message under way; what its fields hold depends on its handler.
type envelope struct {
	service uint16
	front   uint32
	gen     uint32
	ref     policies.Ref
	arg     uint64
	msg     balance.Msg
	load    balance.Load
	change  balance.Change
	next    uint32
}

func (l *lab) post(at time.Duration, h HandlerID, e envelope) {
	var i uint32
	if l.freeEnv != 0 {
		i = l.freeEnv - 1
		l.freeEnv = l.mail[i].next
	} else {
		i = uint32(len(l.mail))
		l.mail = append(l.mail, envelope{})
	}
	l.mail[i] = e
	l.eng.Schedule(At(at), h, uint64(i))
}

// posted adapts the receiver of an envelope to a handler; the envelope is free
// again before it is read.
func (l *lab) posted(f func(*lab, envelope)) func(uint64) {
	return func(arg uint64) {
		e := l.mail[arg]
		l.mail[arg].next, l.freeEnv = l.freeEnv, uint32(arg)+1
		f(l, e)
	}
}

// service is one service of the run.
type service struct {
	name   string
	cfg    *scenarios.Service
	pool   *gpu.Pool
	table  *balance.Table
	half   *flow.Replicas // nil when the policy has no replica half
	shared bool
	truth  *column // nil unless the policy is an oracle
	detect flow.Detect
	state  []condition
	noisy  bool
	noise  rand.PCG

	due      []time.Duration // of the event that counts, by replica
	dueTimer []bool

	request, response, report, probe, membership, ask link

	inside, running, sent, up int
}

// condition is what faults have done to a replica.
type condition struct {
	inc    uint32
	down   int // crashes in force
	frozen int
	slow   float64 // product of the slow factors, 1 = none
	mute   int     // drop_report faults in force
	late   time.Duration
	fails  []failing
	epoch  uint32   // grows whenever the replica becomes reachable or unreachable
	asleep []uint64 // wakes that came while it was frozen
}

// reachable tells whether a health check would be answered.
func (c *condition) reachable() bool { return c.down == 0 && c.frozen == 0 }

// failing is a fault that answers a share of the requests with an error.
type failing struct {
	fault   int
	share   float64
	outcome policies.Outcome
}

func (l *lab) addService(i int) error {
	c := l.run_.Cell
	cfg := &c.Setup.Services[i]
	n := cfg.Replicas()
	l.svcs = append(l.svcs, service{name: cfg.Name, cfg: cfg, up: n})
	s := &l.svcs[i]
	s.pool = gpu.NewPool(n, 4*n+64)
	s.state, s.due, s.dueTimer = make([]condition, n), make([]time.Duration, n), make([]bool, n)
	for r := range n {
		s.due[r], s.state[r].slow = gpu.Never, 1
	}
	s.table = tableOf(cfg, n)
	r := 0
	for g := range cfg.Groups {
		grp := &cfg.Groups[g]
		s.noisy = s.noisy || grp.Model.RequestNoise()
		for range grp.Replicas {
			var dice rand.PCG
			if grp.Model.BatchNoise() {
				dice = chance.Stream(l.run_.Seed, fmt.Sprintf("noise/%s/%d", cfg.Name, r))
			}
			s.pool.Add(grp.Model, grp.Speed, dice)
			r++
		}
	}
	if s.noisy {
		s.noise = chance.Stream(l.run_.Seed, "noise")
	}
	s.detect = detection(cfg.Discovery.Detect)
	if err := s.connect(l.run_.Seed); err != nil {
		return err
	}
	l.addPolicy(i)
	return nil
}

// addPolicy looks at a throw-away instance for what the policy needs of the host.
func (l *lab) addPolicy(i int) {
	c, s := l.run_.Cell, &l.svcs[i]
	b := c.Balancers[i].Make()
	_, s.shared = b.(balance.Shared)
	if _, oracle := b.(balance.Oracle); oracle {
		s.truth = newColumn(s)
	}
	if _, ok := b.(balance.Halved); ok {
		dice := replicaDice(s.name, s.pool.Len(), l.run_.Seed)
		var t *flow.Tape
		if c.Setup.Measure.Tape {
			t = l.newTape("replicas/" + s.name)
		}
		s.half = flow.NewReplicas(b, i, c.Setup.FrontEnds.Count, dice, t)
	}
}

// replicaDice makes the streams of a service's replica halves.
func replicaDice(service string, n int, seed uint64) []rand.PCG {
	dice := make([]rand.PCG, n)
	for r := range dice {
		dice[r] = chance.Stream(seed, fmt.Sprintf("reporter/%s/%d", service, r))
	}
	return dice
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

func (s *service) connect(seed uint64) (err error) {
	n := &s.cfg.Network
	for _, k := range []struct {
		to    *link
		from  scenarios.Link
		class string
	}{{&s.request, n.Request, "request"}, {&s.response, n.Response, "response"}, {&s.report, n.Report, "report"},
		{&s.probe, n.Probe, "probe"}, {&s.membership, n.Membership, "membership"}, {&s.ask, n.Ask, "ask"}} {
		if *k.to, err = newLink(k.from, seed, s.name, k.class); err != nil {
			return err
		}
	}
	return nil
}

// tableOf is the service's membership as front ends know it at the start.
func tableOf(cfg *scenarios.Service, n int) *balance.Table {
	t := &balance.Table{N: n, Weights: make([]float64, 0, n), Slots: make([]int32, 0, n)}
	for g := range cfg.Groups {
		grp := &cfg.Groups[g]
		slots := grp.Model.Slots()
		if grp.Model.MaxBatch() > 1 {
			slots = grp.Model.MaxBatch() * grp.Model.Slots()
		}
		for range grp.Replicas {
			t.Weights = append(t.Weights, grp.Weight)
			t.Slots = append(t.Slots, int32(min(slots, math.MaxInt32)))
			if grp.Labels != nil || t.Labels != nil {
				t.Labels = append(t.Labels, grp.Labels)
			}
		}
	}
	if len(t.Labels) > 0 && len(t.Labels) < n { // earlier groups had none
		t.Labels = append(make([]map[string]string, n-len(t.Labels)), t.Labels...)
	}
	return t
}

// loadOf is what a replica says of itself.
func (s *service) loadOf(r uint32) balance.Load {
	running, queued := s.pool.Load(r)
	return balance.Load{Running: int32(running), Queued: int32(queued), Slots: s.table.Slots[r]}
}
