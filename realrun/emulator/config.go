package emulator

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"time"

	"taillab/policies/balance"
	"taillab/policies/flow"
	"taillab/scenarios"
	"taillab/sim/gpu"
	"taillab/workloads"
)

// ORCA formats of Config.ORCA.
const (
	ORCANone = ""
	ORCAText = "TEXT"
	ORCAJSON = "JSON"
)

// Replica is one emulated GPU.
type Replica struct {
	Model *gpu.Model
	Speed float64 // 1 = as the model says; 0 is read as 1

	Forward *Forward // in place of the model; nil = the model serves
}

// Config says what a fleet is. The zero values of what is optional are sound.
type Config struct {
	Service  string // name in messages; "" = main
	Replicas []Replica

	// Half makes the policy whose replica half runs beside the replicas; nil, or a
	// policy without such a half, for none.
	Half func() balance.Balancer
	// Policy finds the policy that PUT /taillab/run names; nil takes Half whatever
	// the name. It returns nil for a name it does not know.
	Policy    func(name string) func() balance.Balancer
	FrontEnds []string // base URLs of the front ends, in order; SetFrontEnds may come later
	Count     int      // number of front ends that the half counts with; 0 = len(FrontEnds), at least 1

	Seed uint64 // run seed: the streams are those of the simulator
	Run  string // name of the run in messages; "" takes those of any run
	Base time.Time
	Tape *flow.Tape // of the replica half; read it after Close
	// Taped is called after each record, under the lock of the half: it may take what is
	// on the tape.
	Taped func()

	// Messages from replicas to front ends: one-way delay (nil = none), share lost,
	// share that arrives twice.
	Delay     func() time.Duration
	Loss      float64
	Duplicate float64

	// Demand is the law of the work of requests that do not bring theirs, for models
	// of kind service; the zero Dist is exponential with mean 5 ms.
	Demand workloads.Dist

	ORCA   string // header endpoint-load-metrics on every reply that is no stream
	Name   string // model name shown where requests name none; "" = emulated
	Listen string // address of the first replica, the others at the ports after it; "" = 127.0.0.1:0, any ports
}

// check completes what may be left out and says what cannot be.
func (c *Config) check() error {
	if c.Service == "" {
		c.Service = scenarios.MainService
	}
	if c.Name == "" {
		c.Name = "emulated"
	}
	if c.Listen == "" {
		c.Listen = "127.0.0.1:0"
	}
	if c.Demand.Kind == "" {
		c.Demand = workloads.Dist{Kind: "exponential", Mean: float64(5 * time.Millisecond)}
	}
	if len(c.Replicas) == 0 {
		return errors.New("a fleet needs at least 1 replica")
	}
	c.Replicas = slices.Clone(c.Replicas)
	for i := range c.Replicas {
		r := &c.Replicas[i]
		if r.Forward != nil && r.Model == nil {
			r.Model, _ = gpu.New(gpu.Defaults(gpu.Service)) // serves nothing
		}
		if r.Model == nil {
			return fmt.Errorf("replica %d has no model", i)
		}
		if r.Speed == 0 {
			r.Speed = 1
		}
		if !(r.Speed > 0) {
			return fmt.Errorf("replica %d: speed is %g: it must be greater than 0", i, r.Speed)
		}
	}
	for _, x := range []struct {
		name  string
		share float64
	}{{"loss", c.Loss}, {"duplicate", c.Duplicate}} {
		if !(x.share >= 0 && x.share < 1) {
			return fmt.Errorf("%s is %g: it must lie in [0, 1)", x.name, x.share)
		}
	}
	if c.ORCA != ORCANone && c.ORCA != ORCAText && c.ORCA != ORCAJSON {
		return fmt.Errorf("ORCA format %q: it must be TEXT or JSON, or left out", c.ORCA)
	}
	if ps := c.Demand.Check(workloads.Durations); len(ps) > 0 {
		return fmt.Errorf("demand: %w", ps[0])
	}
	host, port, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return fmt.Errorf("listen address %q: %w: write HOST:PORT", c.Listen, err)
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > 0 && n+len(c.Replicas)-1 > 65535 {
		return fmt.Errorf("listen address %q: %d ports from %s on do not exist: take a lower one, or 0 for any", c.Listen, len(c.Replicas), port)
	}
	c.Listen = net.JoinHostPort(host, port)
	return nil
}
