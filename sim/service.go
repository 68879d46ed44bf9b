package sim

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/scenarios"
	"taillab/sim/gpu"
)

// service is one service of the run.
type service struct {
	name   string
	cfg    *scenarios.Service
	pool   *gpu.Pool
	table  *balance.Table
	half   *flow.Replicas // nil when the policy has no replica half
	shared bool
	direct bool    // see lab.direct
	lane   uint32  // of replica 0, where direct
	truth  *column // nil unless the policy is an oracle
	detect flow.Detect
	state  []condition // by replica; nil where nothing can happen to one
	sound  condition   // of every replica then
	noisy  bool
	noise  rand.PCG

	elastic *elastic // nil: the fleet keeps its size

	due []gpu.Due // of the event that counts, by replica; nil where all are plain, which say it themselves

	request, response, report, probe, membership, ask link

	sent, up int
	passing  int // requests that the replica at hand answers with an error now
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

// changeable gives every replica a condition of its own.
func (s *service) changeable() {
	if s.state == nil {
		s.state = slices.Repeat([]condition{s.sound}, s.cfg.Slots())
	}
}

// at is the condition of a replica. Only what made the service changeable changes one.
func (s *service) at(r uint32) *condition {
	if s.state == nil {
		return &s.sound
	}
	return &s.state[r]
}

// reachable tells whether a health check would be answered.
func (c *condition) reachable() bool { return c.down == 0 && c.frozen == 0 }

// failing is a fault that answers a share of the requests with an error.
type failing struct {
	fault   int
	share   float64
	outcome policies.Outcome
	answers bool // the replica sees the request and answers it
}

func (l *lab) addService(i int) error {
	c := l.rep.Cell
	cfg := &c.Setup.Services[i]
	n := cfg.Slots()
	l.svcs = append(l.svcs, service{name: cfg.Name, cfg: cfg, up: n})
	s := &l.svcs[i]
	s.pool = gpu.NewPool(n, l.room)
	s.sound.slow = 1
	if l.faulty {
		s.changeable()
	}
	s.table = cfg.Table()
	r := 0
	for g := range cfg.Groups {
		grp := &cfg.Groups[g]
		s.noisy = s.noisy || grp.Model.RequestNoise()
		for count := cfg.SlotsOf(grp); count > 0; count-- {
			var dice rand.PCG
			if grp.Model.BatchNoise() {
				dice = chance.Stream(l.rep.Seed, fmt.Sprintf("noise/%s/%d", cfg.Name, r))
			}
			s.pool.Add(grp.Model, grp.Speed, dice)
			r++
		}
	}
	if !s.pool.Plain() {
		s.due = slices.Repeat([]gpu.Due{{At: gpu.Never}}, n)
	}
	if s.noisy {
		s.noise = chance.Stream(l.rep.Seed, "noise")
	}
	s.detect = detection(cfg.Discovery.Detect)
	if err := s.connect(l.rep.Seed); err != nil {
		return err
	}
	l.addPolicy(i)
	return nil
}

// addPolicy looks at a throw-away instance for what the policy needs of the host.
func (l *lab) addPolicy(i int) {
	c, s := l.rep.Cell, &l.svcs[i]
	b := c.Balancers[i].Make()
	_, s.shared = balance.Inside[balance.Shared](b)
	if _, oracle := balance.Inside[balance.Oracle](b); oracle {
		s.truth = newColumn(s)
	}
	if _, ok := balance.Inside[balance.Halved](b); ok {
		dice := replicaDice(s.name, s.pool.Len(), l.rep.Seed)
		var t *flow.Tape
		if c.Setup.Measure.Tape {
			t = l.newTape("replicas/" + s.name)
		}
		s.half = flow.NewReplicas(b, i, c.Setup.FrontEnds.Count, dice, t)
	}
	s.pool.SkipBegan = s.half == nil || !s.half.Wants(balance.ReplicaBegan)
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

// loadOf is what a replica says of itself. Slots counts the requests inside slots
// and those that could start at once: beside a running batch there is no room for
// more until it ends.
func (s *service) loadOf(r uint32) balance.Load {
	running, queued := s.pool.Load(r)
	room := s.pool.Free(r) * s.pool.Model(r).MaxBatch()
	return balance.Load{Running: int32(running), Queued: int32(queued + s.passing), Slots: int32(running + room)}
}
