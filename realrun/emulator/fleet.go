package emulator

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/reports"
	"taillab/scenarios"
	"taillab/sim/gpu"
	"taillab/workloads"
)

// Fleet is running replicas. Its methods may be called from several goroutines.
type Fleet struct {
	cfg      Config
	base     time.Time
	link     *link
	out      *outbox
	demand   workloads.Sampler
	replicas []*replica

	mu    sync.Mutex
	truth *reports.Hist // arrival → reply written
	half  *half         // of the run that was set last
	fails []error

	once   sync.Once
	closed chan struct{}
	stop   func() bool
	ended  error
}

// Start makes the replicas and listens. They serve until Close, or until ctx ends.
func Start(ctx context.Context, c Config) (*Fleet, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	f := &Fleet{cfg: c, base: c.Base, truth: reports.NewHist(reports.HistBits), closed: make(chan struct{})}
	if f.base.IsZero() {
		f.base = time.Now()
	}
	f.link = &link{delay: c.Delay, loss: c.Loss, twice: c.Duplicate, dice: chance.Stream(c.Seed, "net/"+c.Service+"/report")}
	f.out = newOutbox(c.FrontEnds)
	var err error
	if f.demand, err = workloads.NewSampler(c.Demand); err != nil {
		return nil, err
	}
	if c.Half != nil {
		f.half = newHalf(c.Half(), c.Run, c.Service, len(c.Replicas), max(c.Count, len(c.FrontEnds)), c.Seed, c.Tape)
		if f.half != nil && c.Tape != nil {
			f.half.taped = c.Taped
		}
	}
	for i := range c.Replicas {
		r := f.newReplica(uint32(i))
		if to := c.Replicas[i].Forward; to != nil {
			if r.core.pass, err = newPassage(to); err != nil {
				return nil, fmt.Errorf("replica %d: %w", i, err)
			}
		}
		f.replicas = append(f.replicas, r)
	}
	for i, r := range f.replicas {
		if err := r.open(f.address(i)); err != nil {
			return nil, errors.Join(fmt.Errorf("replica %d: %w", i, err), f.Close())
		}
	}
	f.stop = context.AfterFunc(ctx, f.end) // whoever calls Close hears of what went wrong
	return f, nil
}

// address is where replica i listens.
func (f *Fleet) address(i int) string {
	host, port, _ := net.SplitHostPort(f.cfg.Listen) // checked
	if n, _ := strconv.Atoi(port); n > 0 {
		return net.JoinHostPort(host, strconv.Itoa(n+i))
	}
	return f.cfg.Listen
}

func (f *Fleet) newReplica(id uint32) *replica {
	x := f.cfg.Replicas[id]
	var noise rand.PCG
	if x.Model.BatchNoise() {
		noise = chance.Stream(f.cfg.Seed, fmt.Sprintf("noise/%s/%d", f.cfg.Service, id))
	}
	r := &replica{f: f, alarm: newAlarm(), armed: gpu.Never, truth: reports.NewHist(reports.GroupBits), thawed: make(chan struct{}),
		draw: chance.Stream(f.cfg.Seed, fmt.Sprintf("emulator/%s/%d", f.cfg.Service, id)),
		core: newCore(id, x.Model, x.Speed, noise, chance.Stream(f.cfg.Seed, fmt.Sprintf("faults/roll/%s/%d", f.cfg.Service, id)))}
	close(r.thawed)
	r.core.link, r.core.half, r.run, r.service = f.link, f.half, f.cfg.Run, f.cfg.Service
	r.fronts = max(1, f.cfg.Count, len(f.cfg.FrontEnds))
	return r
}

// now is the time since the run's base.
func (f *Fleet) now() time.Duration { return time.Since(f.base) }

// URLs returns the base URLs of the replicas, in order.
func (f *Fleet) URLs() []string {
	out := make([]string, len(f.replicas))
	for i, r := range f.replicas {
		out[i] = "http://" + r.addr
	}
	return out
}

// SetFrontEnds says where the front ends listen; their number does not change.
func (f *Fleet) SetFrontEnds(urls []string) { f.out.set(urls) }

// Truth returns a copy of the histogram of server-side times: from a request's
// arrival until its reply was written, of those that were served, in ns.
func (f *Fleet) Truth() *reports.Hist {
	out := reports.NewHist(reports.HistBits)
	f.mu.Lock()
	defer f.mu.Unlock()
	out.Merge(f.truth)
	return out
}

// Queued counts the requests that wait in replicas.
func (f *Fleet) Queued() (n int) {
	for _, r := range f.replicas {
		r.mu.Lock()
		n += int(r.core.load().Queued)
		r.mu.Unlock()
	}
	return n
}

// Fault begins (on) or ends a fault at a replica; replica −1 is all. factor is
// that of slow, and for delay_report the delay in seconds; code that of error;
// share is of refuse, reset, error, stall_stream and drop_report, 0 is read as 1.
// A fault ends by the same values it began with; faults add up.
//
// refuse with a share of 1 closes the listener. With less, nothing can refuse on a
// connection that is open: the request is reset instead.
func (f *Fleet) Fault(replica int, kind string, factor float64, code int, share float64, on bool) error {
	switch {
	case !slices.Contains(Faults(), kind):
		return fmt.Errorf("no fault called %q: one of %s", kind, strings.Join(Faults(), " "))
	case replica < -1 || replica >= len(f.replicas):
		return fmt.Errorf("there is no replica %d: they are numbered 0…%d", replica, len(f.replicas)-1)
	case kind == scenarios.FaultSlow && !(factor > 0) || kind == scenarios.FaultDelay && !(factor > 0):
		return fmt.Errorf("the fault %s needs a factor greater than 0, not %g", kind, factor)
	case kind == scenarios.FaultError && (code < 400 || code > 599):
		return fmt.Errorf("the code of an error is %d: it must lie in [400, 599]", code)
	case !(share >= 0 && share <= 1):
		return fmt.Errorf("share is %g: it must lie in [0, 1]", share)
	}
	if share == 0 {
		share = 1
	}
	for i, r := range f.replicas {
		if replica < 0 || replica == i {
			r.fault(failing{kind: kind, share: share, code: code}, factor, on)
		}
	}
	return nil
}

// Apply begins or ends a fault of a scenario at a replica.
func (f *Fleet) Apply(replica int, x *scenarios.Fault, on bool) error {
	factor := x.Factor
	if x.Kind == scenarios.FaultDelay {
		factor = x.Delay.Seconds()
	}
	return f.Fault(replica, x.Kind, factor, x.Code, x.Share, on)
}

// Counters adds up what happened outside the replicas' own work.
func (f *Fleet) Counters() Counters {
	n := f.out.counters()
	for _, r := range f.replicas {
		r.mu.Lock()
		n.Dropped += r.core.dropped
		n.Bad += r.bad
		n.WrongRun += r.wrongRun
		for i, k := range r.outcomes {
			n.Outcomes[i] += k
		}
		r.mu.Unlock()
	}
	return n
}

// Counters of a fleet.
type Counters struct {
	Sent, Failed  uint64                    // messages to front ends: posted; not taken (one try)
	Dropped       uint64                    // messages lost by faults, by Config.Loss, or for want of room
	Bad, WrongRun uint64                    // messages of front ends that could not be read, or of another run
	Outcomes      [policies.Outcomes]uint64 // requests by how the replica ended them
}

// grace is how long Close waits for replies under way.
const grace = time.Second

// Close ends the fleet: what is under way may end within a second, the rest is
// reset. No goroutine is left. It returns what went wrong while it ran.
func (f *Fleet) Close() error {
	if f.stop != nil {
		f.stop()
	}
	f.end()
	return f.ended
}

// end is Close without the word to the context, which may have ended already while
// Start still runs.
func (f *Fleet) end() {
	f.once.Do(func() {
		var wg sync.WaitGroup
		for _, r := range f.replicas {
			wg.Go(func() { r.drain(grace) })
		}
		wg.Wait()
		close(f.closed)
		for _, r := range f.replicas {
			wg.Go(r.close)
		}
		wg.Wait()
		f.out.close()
		f.mu.Lock()
		defer f.mu.Unlock()
		f.ended = errors.Join(f.fails...)
	})
}

// failed keeps an error for Close.
func (f *Fleet) failed(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.fails) < 10 { // they repeat each other
		f.fails = append(f.fails, err)
	}
}

// halfOf finds or makes the half of a run with room for a replica's number.
func (f *Fleet) halfOf(run string, id uint32, fronts int, seed uint64, mk func() balance.Balancer) *half {
	if mk == nil {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.half == nil || f.half.run != run || f.half.size <= int(id) {
		f.half = newHalf(mk(), run, f.cfg.Service, max(len(f.replicas), int(id)+1), fronts, seed, nil)
	}
	return f.half
}
