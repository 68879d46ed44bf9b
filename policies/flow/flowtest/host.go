// Package flowtest is a small deterministic host for tests of policies: it drives
// front ends and replica halves in virtual time, with messages that can be delayed,
// lost, doubled and reordered, and replicas that crash, drain and come back.
//
// It is not a simulator: replicas are plain first-in-first-out queues, nothing is
// measured, and it is built for hundreds of thousands of events, not for billions.
// Package sim is the real thing. Start with Config and New.
package flowtest

import (
	"fmt"
	"math/rand/v2"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
)

// Net says how one class of messages travels.
type Net struct {
	Delay   time.Duration // one way
	Loss    float64       // share that never arrives
	Double  float64       // share that arrives twice
	Reorder time.Duration // further delay, uniform in [0, Reorder)
}

// Config describes a test: one service behind some front ends.
type Config struct {
	Make     func() balance.Balancer
	Table    *balance.Table
	Fronts   int // default 1
	Seed     uint64
	Request  time.Duration // one-way delay of requests
	Response time.Duration
	Report   Net // replica to front end
	Tell     Net // front end to replica half
	Probe    Net // each way
	Detect   flow.Detect
	Period   time.Duration
	Tape     bool
	OnSend   func(front int, req uint64, r policies.Ref) // called for each attempt
	OnReport func(front int, from policies.Ref, m balance.Msg)
}

// Record is what became of one request.
type Record struct {
	Front    int
	Arrived  time.Duration
	Demand   time.Duration
	Ref      policies.Ref // of the last attempt
	Sends    int
	Waited   bool // some attempt found its replica busy
	Closed   int  // how often it was closed: 1 when all is well
	Outcome  policies.Outcome
	ClosedAt time.Duration

	slot  uint32
	front int // front end in which the request lives
}

// Host drives the test.
type Host struct {
	Now      time.Duration
	Fronts   []*flow.FrontEnd
	Half     *flow.Replicas // nil when the policy has no replica half
	Records  []Record
	Tapes    []*flow.Tape // by front end; the last one is of Half, if there is one
	Actions  uint64       // digest of all actions, in order
	Messages int          // reports that front ends were told and probes answered

	cfg      Config
	replicas []replica
	agenda   agenda
	net      rand.PCG
	load     rand.PCG
	out      flow.Actions
	shared   bool
	panics   bool // the policy may send to replicas that look sick
	truth    *truth
}

// replica is a first-in-first-out queue.
type replica struct {
	inc     uint32
	slots   int
	up      bool
	running []job
	queue   []job
}

type job struct {
	req   uint64
	front int
	slot  uint32
	n     uint8
	inc   uint32
}

// New makes a host. Nothing has happened yet: call Start.
func New(c Config) *Host {
	c.Fronts = max(1, c.Fronts)
	h := &Host{cfg: c, net: chance.Stream(c.Seed, "net"), load: chance.Stream(c.Seed, "load")}
	for id := range c.Table.N {
		slots := 1
		if c.Table.Slots != nil {
			slots = int(c.Table.Slots[id])
		}
		h.replicas = append(h.replicas, replica{slots: slots, up: true})
	}
	b := c.Make()
	_, h.shared = balance.Inside[balance.Shared](b)
	_, h.panics = balance.Inside[*balance.Panic](b)
	fronts := c.Fronts
	if h.shared {
		fronts = 1
	}
	for k := range fronts {
		h.Fronts = append(h.Fronts, flow.New(h.Front(k, h.tape())))
		if t := h.truth; t != nil {
			t.fleet = h.Fronts[k].Fleet(0)
			h.truth = nil
		}
	}
	h.Half = flow.NewReplicas(b, 0, c.Fronts, h.ReplicaDice(), nil)
	if h.Half != nil && c.Tape {
		h.Half = flow.NewReplicas(b, 0, c.Fronts, h.ReplicaDice(), h.tape())
	}
	return h
}

func (h *Host) tape() *flow.Tape {
	if !h.cfg.Tape {
		return nil
	}
	t := &flow.Tape{}
	h.Tapes = append(h.Tapes, t)
	return t
}

// Front is the configuration of front end k, with a fresh balancer and fresh dice:
// what a replay needs, too.
func (h *Host) Front(k int, tape *flow.Tape) flow.Config {
	b := h.cfg.Make()
	s := flow.Service{Name: "main", Balancer: b, Table: h.cfg.Table, Detect: h.cfg.Detect, Period: h.cfg.Period,
		Dice: chance.NewDice(h.cfg.Seed, fmt.Sprintf("balance/main/%d", k))}
	if _, ok := balance.Inside[balance.Oracle](b); ok {
		h.truth = &truth{h: h}
		s.Truth = h.truth
	}
	return flow.Config{Index: k, Count: h.cfg.Fronts, Services: []flow.Service{s}, Tape: tape}
}

// ReplicaDice are fresh streams for the replica half.
func (h *Host) ReplicaDice() []rand.PCG {
	dice := make([]rand.PCG, h.cfg.Table.N)
	for i := range dice {
		dice[i] = chance.Stream(h.cfg.Seed, fmt.Sprintf("reporter/main/%d", i))
	}
	return dice
}

// Start tells front ends their membership and replicas that they have started.
func (h *Host) Start() {
	for k, f := range h.Fronts {
		f.Start(h.Now, h.reset())
		h.execute(k)
	}
	for id := range h.replicas {
		h.report(uint32(id), balance.ReplicaEvent{Kind: balance.ReplicaStarted})
	}
}

// At calls f at a time, after everything else of that instant.
func (h *Host) At(at time.Duration, f func()) {
	h.agenda.put(event{at: at, class: classScript, call: f})
}

// Arrive schedules a request and returns its number.
func (h *Host) Arrive(at time.Duration, front int, demand time.Duration) uint64 {
	id := uint64(len(h.Records))
	h.Records = append(h.Records, Record{Front: front, Arrived: at, Demand: demand})
	h.agenda.put(event{at: at, class: classArrival, kind: evArrive, req: id})
	return id
}

// Poisson schedules n requests at the given rate from now on, with exponential
// demands of the given mean, at uniformly random front ends.
func (h *Host) Poisson(n int, perSecond float64, mean time.Duration) {
	at := h.Now
	for range n {
		at += time.Duration(chance.Exp(&h.load) / perSecond * 1e9)
		demand := time.Duration(chance.Exp(&h.load) * float64(mean))
		h.Arrive(at, int(chance.Below(&h.load, uint64(h.cfg.Fronts))), demand)
	}
}

// Run handles all events up to and including a time.
func (h *Host) Run(until time.Duration) {
	for len(h.agenda.heap) > 0 && h.agenda.heap[0].at <= until {
		h.step()
	}
	h.Now = max(h.Now, until)
}

// Drain runs until every request is closed, or the time is reached; it tells which.
func (h *Host) Drain(until time.Duration) bool {
	for len(h.agenda.heap) > 0 && h.agenda.heap[0].at <= until {
		if h.Open() == 0 && h.agenda.arrivals == 0 {
			return true
		}
		h.step()
	}
	return h.Open() == 0 && h.agenda.arrivals == 0
}

// Open is the number of requests that have arrived and are not closed.
func (h *Host) Open() int {
	n := 0
	for _, f := range h.Fronts {
		n += f.Open()
	}
	return n
}

// Load is what a replica would say of itself.
func (h *Host) Load(id uint32) balance.Load {
	r := &h.replicas[id]
	return balance.Load{Running: int32(len(r.running)), Queued: int32(len(r.queue)), Slots: int32(r.slots)}
}

// Up tells whether a replica serves.
func (h *Host) Up(id uint32) bool { return h.replicas[id].up }

// Inc is the present life of a replica.
func (h *Host) Inc(id uint32) uint32 { return h.replicas[id].inc }

func (h *Host) reset() *flow.Actions {
	h.out.Reset()
	return &h.out
}
