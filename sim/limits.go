package sim

import (
	"fmt"
	"time"

	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/policies/quota"
	"taillab/reports"
	"taillab/scenarios"
)

// limits is the quota of a run: the store behind the front ends' limiters, and what is
// measured of them.
type limits struct {
	cfg    *scenarios.Quota
	store  *store // nil for limiters that ask nobody
	meter  *reports.QuotaMeter
	who    []payer // by request
	waited time.Duration
	ops    []uint64          // of each shard when the window opened
	past   map[string]uint64 // counts of front ends that were replaced
	before map[string]uint64 // and of all when the window opened
}

// payer is whom a request is charged to, under the plan's numbers.
type payer struct{ group, tenant uint32 }

// addLimits makes the store and the meter where the cell has a limiter.
func (l *lab) addLimits() {
	c := l.rep.Cell
	if c.Limiter.Make == nil {
		return
	}
	q := &limits{cfg: c.Setup.Quota, past: map[string]uint64{}}
	if s, ok := c.Limiter.Make().(quota.Stored); ok {
		q.store = newStore(&q.cfg.Store, q.cfg.Groups, s, l.rep.Seed)
	}
	q.meter = q.cfg.Meter(len(c.Setup.Workload.Tenants()))
	l.quota = q
}

// quotaOf configures the quota stage of a front end; its dice go on where they were.
func (l *lab) quotaOf(f *front, k int) *flow.Quota {
	if l.quota == nil || k == l.shared {
		return nil
	}
	if f.limit == nil {
		f.limit = chance.NewDice(l.rep.Seed, fmt.Sprintf("quota/%d", k))
	}
	if f.limiter != nil {
		f.count(l.quota.past)
	}
	f.limiter = l.rep.Cell.Limiter.Make()
	return l.quota.cfg.Stage(f.limiter, f.limit)
}

// start files the first stall of every shard.
func (q *limits) start(l *lab) {
	if q == nil || q.store == nil || q.cfg.Store.StallEvery == 0 {
		return
	}
	for n := range q.store.shards {
		l.nextStall(n, 0)
	}
}

// arrived notes who pays for a request.
func (q *limits) arrived(i, group, tenant uint32) {
	if q != nil {
		q.who = put(q.who, i, payer{group, tenant})
	}
}

// open begins the measured window.
func (q *limits) open(l *lab) {
	if q == nil {
		return
	}
	q.meter.Begin(l.now())
	q.ops, q.before = q.served(), l.counts()
}

func (q *limits) served() []uint64 {
	if q.store == nil {
		return nil
	}
	out := make([]uint64, len(q.store.shards))
	for i := range out {
		out[i] = q.store.shards[i].ops
	}
	return out
}

// decided books a decision about a request.
func (l *lab) decided(k int, a *flow.Action) {
	q, i := l.quota, l.fronts[k].slots[a.Slot]
	p := q.who[i]
	q.meter.Decided(reports.Decision{At: l.now(), Took: a.At, Group: p.group, Tenant: p.tenant, Units: l.fronts[k].fe.Cost(a.Slot),
		First: a.N == 1, Admitted: quota.Outcome(a.Arg) == quota.Admitted, Measured: l.reqs[i].measured()})
}

// settled books what a closing request was charged and has used, and remembers how long
// it was in the quota stage.
func (l *lab) settled(k int, slot uint32, i uint32) {
	q := l.quota
	if q == nil || k == l.shared {
		return
	}
	fe := l.fronts[k].fe
	q.waited, _ = fe.Waited(slot)
	if charged, actual := fe.Settlement(slot); charged > 0 {
		q.meter.Settled(l.now(), q.who[i].group, q.who[i].tenant, charged, actual, l.reqs[i].measured())
	}
}

// inQuota is how long the request being closed was in the quota stage.
func (q *limits) inQuota() time.Duration {
	if q == nil {
		return 0
	}
	return q.waited
}

// counts sums what the limiters have counted so far, by name.
func (l *lab) counts() map[string]uint64 {
	sum := map[string]uint64{}
	for name, n := range l.quota.past {
		sum[name] = n
	}
	for k := range l.fronts {
		l.fronts[k].count(sum)
	}
	return sum
}

// count adds what the limiter of a front end has counted.
func (f *front) count(sum map[string]uint64) {
	if c, ok := f.limiter.(quota.Counted); ok {
		c.Counts(func(name string, n uint64) { sum[name] += n })
	}
}

// metrics are those of the quota family; none without a limiter.
func (q *limits) metrics(l *lab, window time.Duration) []reports.Metric {
	if q == nil {
		return nil
	}
	out := q.meter.Metrics(l.now(), window)
	add := func(name string, v float64) { out = append(out, reports.Metric{Name: name, Value: &v}) }
	if q.store != nil && q.ops != nil && window > 0 {
		var sum, top float64
		for i, n := range q.served() {
			ops := float64(n - q.ops[i])
			sum, top = sum+ops, max(top, ops)
		}
		add("shard_ops_rps", sum/window.Seconds())
		if sum > 0 {
			add("shard_skew", top*float64(len(q.ops))/sum)
		}
	}
	if d := q.meter.Decisions(); q.store != nil && d > 0 {
		add("fallback_share", float64(l.counts()["decisions_without_store"]-q.before["decisions_without_store"])/float64(d))
	}
	return out
}
