package scenarios

import (
	"time"

	"taillab/policies/autoscale"
	"taillab/policies/balance"
	"taillab/reports"
	"taillab/sim/gpu"
	"taillab/workloads"
)

// Plan is a scenario, checked and expanded: everything a host needs, with no YAML
// and no defaults left to find.
type Plan struct {
	Name, About string
	BaseSeed    uint64
	Seeds       int     // replications of every cell
	Cells       []*Cell // policies, then axes, then loads
	Gates       []reports.PlacedGate
	Hash        string // "sha256:" + hex of the expanded plan without gates and seed count
	Source      []byte // the scenario byte for byte
	File        string // as the user named it; "NAME (embedded)" for an embedded one
	Warnings    []reports.Warning

	AllowOverload bool   // judge latency gates of unstable cells, too
	normal        []byte // the normalised plan; see NormalJSON
}

// Cell is one policy at one point of the sweep.
type Cell struct {
	Policy     string         // label: unique in the scenario
	PolicyType string         // catalogue name
	Family     string         // scenario key it stands under
	Params     map[string]any // all parameters after defaults; durations as strings

	Load      *float64 // offered load; nil when a rate was given
	Axes      map[string]any
	RateRPS   float64  // offered arrival rate
	TimeScale *float64 // factor on a trace; nil without a trace

	Balancers   []Policy     // by service
	Autoscalers []Autoscaler // by service
	Limiter     Limiter      // of every front end; the zero value is none
	Setup       *Setup       // shared by the cells of one axis point
}

// Policy is a configured balancer: Make gives a fresh instance per front end.
type Policy struct {
	Type   string
	Params map[string]any
	Make   func() balance.Balancer

	place Problem // where it stands: a problem to be, without message
}

// Autoscaler is a configured autoscaler: Make gives a fresh instance per run. The zero
// value is none.
type Autoscaler struct {
	Type   string
	Params map[string]any
	Make   func() autoscale.Autoscaler

	place Problem // where it stands: a problem to be, without message
}

// Setup is what all policies and loads at one point of the other axes share.
type Setup struct {
	Services  []Service
	FrontEnds workloads.Frontends
	Workload  *workloads.Compiled
	Faults    []Fault
	Quota     *Quota // nil: no limiter is written
	Measure   Measure
	Live      Live

	spec     workloads.Spec // what Workload was compiled from, for the plan's hash
	warnings []reports.Warning
	warmupAt Problem // where measure.warmup stands: a problem to be, without message
}

// Service is what requests call: a fleet behind a network.
type Service struct {
	Name      string
	Groups    []Group // replicas are numbered group after group
	Network   Network
	Discovery Discovery
	Elastic   *Elastic // nil: the fleet keeps its size
	Reporter  string   // where replica halves run live; "" = not said: the replica where it can

	scaleAt    Problem        // where the bounds of the fleet stand: a problem to be, without message
	reporterAt Problem        // where Reporter stands: a problem to be, without message
	known      *balance.Table // see Know
}

// Know makes a table the membership that front ends know of, in place of the groups:
// of real backends the targets are the fleet, not what the scenario simulates.
func (s *Service) Know(t *balance.Table) { s.known = t }

// Group is replicas of one kind.
type Group struct {
	Replicas int
	Preset   string // name of the profile; "" without one
	Model    *gpu.Model
	Speed    float64 // 1 = as the model says
	Weight   float64
	Labels   map[string]string
}

// Replicas is the size of the fleet.
func (s *Service) Replicas() int {
	n := 0
	for i := range s.Groups {
		n += s.Groups[i].Replicas
	}
	return n
}

// Link is one class of messages, one way.
type Link struct {
	Delay                    workloads.Dist // durations; the zero Dist is no delay
	Loss, Duplicate, Reorder float64        // shares
}

// Network holds the one-way links of a service; a probe and an ask pay two legs.
type Network struct {
	Request, Response, Report, Probe, Membership, Ask Link
}

// Detection ways of Discovery.Detect.
const (
	DetectReset  = "reset"
	DetectNever  = "never"
	DetectHealth = "health"
)

// Discovery is how front ends learn of members.
type Discovery struct {
	Delay, Jitter time.Duration // of planned changes: Delay + U(0, Jitter)
	Detect        string
	Period        time.Duration // of being down after a reset; of health checks
	Misses        int
}

// Kinds of faults on replicas that a simulator carries out.
const (
	FaultCrash  = "crash"  // in flight: reset; later: refused; back with a higher incarnation
	FaultFreeze = "freeze" // nothing progresses
	FaultSlow   = "slow"   // takes Factor times as long
	FaultDrop   = "drop_report"
	FaultDelay  = "delay_report"
	FaultError  = "error"  // answers an error with probability Share
	FaultRefuse = "refuse" // refuses with probability Share
	FaultReset  = "reset"  // resets with probability Share

	FaultRolling = "rolling_update" // front ends are replaced, a few at a time; see Update
	FaultLock    = "lock_stall"     // the lock of a front end is held for long; see Lock
)

// Fault is something that goes wrong at a time, or again and again.
type Fault struct {
	At       time.Duration // first time; 0 with Every
	Every    time.Duration // mean of exponential gaps per target; 0 = once
	ForLo    time.Duration // length: uniform in [ForLo, ForHi]
	ForHi    time.Duration // 0 = to the end
	Kind     string
	Service  int
	Replicas []int // targets; nil = all when Fronts and Shards are nil too
	Fronts   []int // front ends, for kind crash; nil = replicas are meant, or Shards
	Shards   []int // of the quota's store, for kind crash; nil = replicas are meant, or Fronts
	Factor   float64
	Code     int // status of FaultError
	Share    float64
	Delay    time.Duration
	Update   *Update // FaultRolling
	Lock     *Lock   // FaultLock

	place Problem // where an operation stands: a problem to be, without message
}

// Measure says what is measured.
type Measure struct {
	Requests    int           // measured + warm-up arrivals; 0 with Horizon
	Horizon     time.Duration // arrivals until then; 0 with Requests
	WarmupShare float64       // of the requests (or of the horizon)
	WarmupTime  time.Duration // instead of the share; 0 = the share
	WarmupAuto  bool          // instead of both: found from a pilot, before the runs that count
	Drain       time.Duration // cap; 0 = 10 × P99, at most 60 s simulated
	SLO         reports.SLO
	Tape        bool
	Transient   bool
	Precision   float64 // relative half-width of the intervals of P50 and P99 to be reached; 0 = off
	MaxSeeds    int     `yaml:"-"` // cap on the seeds that Precision may ask for; a seed count, so no part of the hash
}

// Run is one replication of one cell.
type Run struct {
	Cell  *Cell
	Index int    // of the cell in the plan
	Rep   int    // replication, from 0
	Seed  uint64 // run seed: chance.RunSeed(base, Rep)
}
