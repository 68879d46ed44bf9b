package realrun

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"taillab/policies/flow"
	"taillab/policies/quota"
	"taillab/realrun/store"
	"taillab/reports"
	"taillab/scenarios"
)

// withoutStore is the count of a limiter's decisions while the store was silent.
const withoutStore = "decisions_without_store"

// askLimit is how long a store may take for an answer where the scenario does not say.
const askLimit = 50 * time.Millisecond

// limits is the quota of a drive: the servers that keep the counters behind the front
// ends' limiters, and what is measured of them.
type limits struct {
	cfg      *scenarios.Quota
	shards   *store.Shards // nil for limiters that ask nobody
	home     []int         // shard by group
	counters []store.Counter
	timeout  time.Duration

	asks     []atomic.Int64 // that were answered, by shard
	lost     atomic.Int64   // asks without an answer
	mu       sync.Mutex
	meter    *reports.QuotaMeter
	now      time.Duration // of what the meter was told last
	before   []int64       // asks when the window opened
	fallback uint64        // decisions without the store when it opened
	opened   bool
}

// errDivided tells which divisions no live store carries out.
var errDivided = errors.New("a live store keeps one counter per group: use share: fcfs, or a limiter that decides in the front end")

// quotas reaches or starts the store, once for all arms, and gives each its part.
func (s *session) quotas(ctx context.Context) error {
	c := s.arms[0].run.Cell.Setup.Quota
	if c == nil {
		return nil
	}
	var shared *store.Shards
	for _, d := range s.arms {
		x := d.run.Cell.Limiter
		if x.Make == nil {
			continue
		}
		q := &limits{cfg: c, timeout: c.Store.Timeout}
		if q.timeout == 0 {
			q.timeout = askLimit
		}
		if kept, ok := x.Make().(quota.Stored); ok {
			if shared == nil || crashes(d.run.Cell.Setup.Faults) { // then each arm has servers of its own
				var err error
				if shared, err = s.openStore(ctx, c, q.timeout); err != nil {
					return err
				}
			}
			if err := q.keep(kept, shared.Of(d.name())); err != nil {
				return fmt.Errorf("policy %q: %w", d.run.Cell.Policy, err)
			}
		}
		q.meter = c.Meter(len(d.tenantNames))
		d.limits = q
	}
	return nil
}

// crashes tells whether some fault ends a shard.
func crashes(faults []scenarios.Fault) bool {
	return slices.ContainsFunc(faults, func(f scenarios.Fault) bool { return len(f.Shards) > 0 })
}

// crashShard ends a shard's server or starts it again.
func (d *drive) crashShard(shard int, begin bool) {
	if d.limits == nil || d.limits.shards == nil || d.over.Load() { // this limiter asks nobody
		return
	}
	do := d.limits.shards.Kill
	if !begin {
		do = d.limits.shards.Start
	}
	if err := do(shard); err != nil {
		d.note(fmt.Sprintf("the fault crash at shard %d failed: %v", shard, err))
	}
}

// openStore reaches or starts the servers. They end after the arms.
func (s *session) openStore(ctx context.Context, c *scenarios.Quota, timeout time.Duration) (*store.Shards, error) {
	live := &c.Store.Live
	cfg := store.Config{Addresses: live.Redis, Spawn: live.Spawn, Timeout: timeout, Callers: s.arms[0].run.Cell.Setup.FrontEnds.Count}
	if len(live.Redis) == 0 && live.Spawn == 0 {
		cfg.Inside = c.Store.Shards
		s.note("the quota store runs inside this process (miniredis): what it decides is real, how long it takes is not that of a server; quota.store.live: {spawn: N} starts redis-server")
	}
	shards, err := store.Open(ctx, cfg)
	if err != nil {
		return nil, err
	}
	s.ends = append(s.ends, func() { _ = shards.Close() })
	return shards, nil
}

// keep says what the store keeps of every group, and where.
func (q *limits) keep(s quota.Stored, shards *store.Shards) error {
	kept, ok := s.Store(q.cfg.Groups).(quota.Kept)
	if !ok {
		return fmt.Errorf("the counters of %T have no script for a live store", s)
	}
	k := kept.Keeps()
	if k.Divided {
		return errDivided
	}
	q.shards, q.asks = shards, make([]atomic.Int64, shards.Len())
	for _, g := range q.cfg.Groups {
		q.home = append(q.home, q.cfg.Store.Placement.Shard(g.Name, shards.Len()))
		q.counters = append(q.counters, store.Counter{Group: g, GCRA: k.GCRA, Slots: k.Slots})
	}
	return nil
}

// ask carries an ask to its shard. Where none answers in time it is lost; an answer
// that comes later has been booked all the same.
func (d *drive) ask(f *front, t *todo) {
	q, a, gen, group := d.limits, t.ask, t.gen, t.act.Slot
	shard := q.home[group]
	d.wg.Go(func() {
		ctx, cancel := context.WithTimeout(d.ctx, q.timeout)
		defer cancel()
		g, err := q.shards.Ask(ctx, shard, &q.counters[group], a)
		if err != nil {
			q.lost.Add(1)
		} else {
			q.asks[shard].Add(1)
		}
		if !a.Kind.Answered() {
			return
		}
		f.input(func(now time.Duration) {
			switch {
			case f.gen != gen:
			case err != nil:
				f.fe.AskLost(now, quota.AskID(t.act.Req), &f.out)
			default:
				f.fe.Granted(now, quota.AskID(t.act.Req), g, &f.out)
			}
		})
	})
}

// open begins the measured window with its first request.
func (q *limits) open(d *drive) {
	without := d.withoutStore()
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.opened {
		return
	}
	q.opened, q.fallback = true, without
	q.meter.Begin(q.clock(d.clock.now()))
	q.before = q.served()
}

func (q *limits) served() []int64 {
	out := make([]int64, len(q.asks))
	for i := range q.asks {
		out[i] = q.asks[i].Load()
	}
	return out
}

// withoutStore counts the decisions that limiters made while the store was silent.
func (d *drive) withoutStore() uint64 {
	var n uint64
	for _, f := range d.fronts {
		f.mu.Lock()
		n += f.withoutStore()
		f.mu.Unlock()
	}
	return n
}

// withoutStore counts those of one front end, of all its generations; its lock is held.
func (f *front) withoutStore() uint64 {
	n := f.alone
	if c, ok := f.limiter.(quota.Counted); ok {
		c.Counts(func(name string, k uint64) {
			if name == withoutStore {
				n += k
			}
		})
	}
	return n
}

// decided is a decision as the front end made it; its lock is held.
func (f *front) decided(a *flow.Action) reports.Decision {
	p := &f.reqs[a.Slot]
	return reports.Decision{At: f.last, Took: a.At, Group: p.req.Group, Tenant: p.req.Tenant, Units: f.fe.Cost(a.Slot),
		First: a.N == 1, Admitted: quota.Outcome(a.Arg) == quota.Admitted, Measured: p.measured}
}

// settlement is what a closing request was charged and has used.
type settlement struct {
	at              time.Duration
	group, tenant   uint32
	charged, actual float64
	measured        bool
}

// tell books a decision. Front ends do not wait for each other: what one tells late
// counts as of now.
func (q *limits) tell(x reports.Decision) {
	q.mu.Lock()
	defer q.mu.Unlock()
	x.At = q.clock(x.At)
	q.meter.Decided(x)
}

// clock lets the meter's time go forward only; mu is held.
func (q *limits) clock(at time.Duration) time.Duration {
	q.now = max(q.now, at)
	return q.now
}

func (q *limits) settle(s *settlement) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.meter.Settled(q.clock(s.at), s.group, s.tenant, s.charged, s.actual, s.measured)
}

// metrics are those of the quota family over a window that ends now; none without a
// limiter.
func (d *drive) quotaMetrics(window time.Duration) []reports.Metric {
	q := d.limits
	if q == nil {
		return nil
	}
	without := d.withoutStore()
	q.mu.Lock()
	defer q.mu.Unlock()
	out := q.meter.Metrics(q.clock(d.clock.now()), window)
	add := func(name string, v float64) { out = append(out, reports.Metric{Name: name, Value: &v}) }
	if q.shards == nil || window <= 0 || q.before == nil {
		return out
	}
	var sum, top float64
	for i, n := range q.served() {
		ops := float64(n - q.before[i])
		sum, top = sum+ops, max(top, ops)
	}
	add("shard_ops_rps", sum/window.Seconds())
	if sum > 0 {
		add("shard_skew", top*float64(len(q.before))/sum)
	}
	if n := q.meter.Decisions(); n > 0 {
		add("fallback_share", float64(without-q.fallback)/float64(n))
	}
	return out
}
