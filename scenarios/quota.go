package scenarios

import (
	"strings"
	"time"

	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/policies/quota"
	"taillab/policies/share"
	"taillab/reports"
	"taillab/workloads"
)

// Quota is what the quota stage of a front end needs beside its limiter, and the
// counter store behind it.
type Quota struct {
	Groups   []quota.Group // indexed by the group of a request
	Cost     flow.Cost
	OnDenied flow.OnDenied
	OnLoss   quota.LossMode
	Store    Store
}

// Store is the shards that hold the counters of the groups.
type Store struct {
	Shards     int
	Placement  quota.Placement
	RTT        time.Duration // front end → shard → front end
	Service    time.Duration // of one ask, in order of arrival
	StallEvery time.Duration // mean of exponential gaps per shard; 0 = never
	StallFor   time.Duration
	Loss       float64       // share of the messages
	Timeout    time.Duration // after which an ask is lost; 0 = none
	Live       StoreLive
}

// Stage configures the quota stage of one front end.
func (q *Quota) Stage(l quota.Limiter, dice *chance.Dice) *flow.Quota {
	return &flow.Quota{Limiter: l, Dice: dice, Groups: q.Groups, Loss: q.OnLoss, Cost: q.Cost, OnDenied: q.OnDenied}
}

// Meter returns the meter of a run with so many tenants.
func (q *Quota) Meter(tenants int) *reports.QuotaMeter {
	groups := make([]reports.QuotaGroup, len(q.Groups))
	for i, g := range q.Groups {
		groups[i] = reports.QuotaGroup{Rate: g.Rate, Burst: g.Burst, Units: g.Units, Tenants: g.Tenants, Weights: g.Weights}
	}
	return reports.NewQuotaMeter(groups, tenants, fairShares)
}

// fairShares is the yardstick of the Jain index: weighted max-min.
func fairShares(capacity float64, demands, weights []float64) []float64 {
	claims := make([]share.Claim, len(demands))
	for i := range claims {
		claims[i] = share.Claim{Demand: demands[i], Weight: weights[i]}
	}
	return (&share.MaxMin{}).Divide(capacity, claims)
}

// StoreLive says what stands for the store of a live run: one in the process, servers
// by address, or servers that are started.
type StoreLive struct {
	Redis []string // addresses
	Spawn int
}

// Limiter is a configured limiter with its divider: Make gives a fresh instance per
// front end. The zero value is none.
type Limiter struct {
	Type        string
	Params      map[string]any
	Share       string
	ShareParams map[string]any
	Make        func() quota.Limiter

	fresh   func() any
	divider func() share.Divider
	place   Problem // where it stands: a problem to be, without message
}

// limitDraft is group_limit as it is written.
type limitDraft struct {
	rate, burst, units float64
	at                 *node
}

// quotaDraft is the block quota before the workload is compiled.
type quotaDraft struct {
	Quota
	limit  limitDraft
	groups []groupDraft // written ones; nil: those of the workload's tenants
	at     block
}

// quotaBlock decodes the block quota; nil when there is neither it nor a limiter.
func (d *decoder) quotaBlock(root block, limited bool) *quotaDraft {
	n := root.get("quota")
	if n == nil && !limited {
		return nil
	}
	q := &quotaDraft{at: d.block(n, "quota", "quota")}
	q.Cost = flow.Cost{Units: 1, Classes: 1}
	q.OnDenied = flow.OnDenied{WaitMax: 10 * time.Second}
	q.Store = Store{Shards: 1, RTT: time.Millisecond, Service: 15 * time.Microsecond}
	b := q.at
	d.groupLimit(b.get("group_limit"), b.at("group_limit"), &q.limit)
	d.quotaCost(b, &q.Cost)
	d.onDenied(b.get("on_denied"), b.at("on_denied"), &q.OnDenied)
	b.duration("wait_max", &q.OnDenied.WaitMax, 0, 0, true)
	loss := lossModes()[quota.LossStatic]
	b.enum("on_store_loss", &loss, lossModes()...)
	q.OnLoss = quota.LossMode(position(lossModes(), loss))
	d.store(b.get("store"), b.at("store"), &q.Store)
	return q
}

// shards is how many shards the store has; 0 without a quota.
func (q *quotaDraft) shards() int {
	if q == nil {
		return 0
	}
	return q.Store.Shards
}

// lossModes are the names of quota.LossMode.
func lossModes() []string { return []string{"static", "open", "closed"} }

// costKinds are the names of flow.CostKind.
func costKinds() []string { return []string{"constant", "input", "input+max_tokens", "estimate"} }

// position of a name in its list; 0 where it is not.
func position(names []string, name string) int {
	for i, n := range names {
		if n == name {
			return i
		}
	}
	return 0
}

// groupLimit decodes {rate, burst} or {concurrency}.
func (d *decoder) groupLimit(n *node, path string, l *limitDraft) {
	if n == nil {
		return
	}
	l.at = n
	b := d.open(n, path, "rate", "burst", "concurrency")
	if b.n == nil {
		return
	}
	rate, units := b.get("rate"), b.get("concurrency")
	switch {
	case rate != nil && units != nil:
		d.ps.at(units.key, b.at("concurrency"), "leave one out", "%s stands beside rate", b.at("concurrency"))
	case rate == nil && units == nil && !b.odd:
		d.ps.at(n, path, "such as {rate: 600/s, burst: 600} or {concurrency: 64}", "%s has neither rate nor concurrency", path)
	case units != nil && b.get("burst") != nil:
		d.ps.at(b.get("burst").key, b.at("burst"), "remove it", "%s belongs to a rate", b.at("burst"))
	}
	if rate != nil {
		b.rate("rate", &l.rate)
		if r, wrong := readRate(textOf(rate)); wrong == nil && !(r > 0 && r <= 1e9) {
			d.ps.at(rate, b.at("rate"), "", "%s is %s: it must be above 0 and at most 1e9/s", b.at("rate"), rate.text)
		}
		l.burst = max(l.rate, 1)
		b.number("burst", &l.burst, span{lo: 1, hi: 1e12})
	}
	if n, ok := b.scalar("concurrency", "a number of units"); ok {
		x, wrong := readFloat(strings.TrimSuffix(n.text, " units"))
		switch {
		case wrong != nil:
			d.refuse(n, b.at("concurrency"), &bad{"it must be a number of units", "such as 64"})
		case !(x > 0 && x <= 1e9):
			d.ps.at(n, b.at("concurrency"), "", "%s is %s: it must be above 0 and at most 1e9", b.at("concurrency"), n.text)
		default:
			l.units = x
		}
	}
}

func (d *decoder) quotaCost(b block, c *flow.Cost) {
	kind := costKinds()[0]
	b.enum("cost", &kind, costKinds()...)
	c.Kind = flow.CostKind(position(costKinds(), kind))
	b.number("units", &c.Units, span{lo: 0, hi: 1e9, above: true})
	if n := b.get("units"); n != nil && c.Kind != flow.CostConstant {
		d.ps.at(n.key, b.at("units"), "remove it, or cost", "%s belongs to cost: constant", b.at("units"))
	}
}

// onDenied decodes drop, wait, retry or {retry: {max, backoff}}.
func (d *decoder) onDenied(n *node, path string, o *flow.OnDenied) {
	if n == nil {
		return
	}
	retry := flow.OnDenied{Kind: flow.DeniedRetry, Max: 3, Backoff: 100 * time.Millisecond, WaitMax: o.WaitMax}
	if n.kind == scalarNode {
		switch n.text {
		case "drop":
		case "wait":
			o.Kind = flow.DeniedWait
		case "retry":
			*o = retry
		default:
			d.ps.at(n, path, near(n.text, []string{"drop", "wait", "retry"}), "%s is %q: it must be one of drop, wait, retry: {max, backoff}", path, n.text)
		}
		return
	}
	b := d.open(n, path, "retry")
	if r := b.get("retry"); r != nil {
		*o = retry
		in := d.open(r, b.at("retry"), "max", "backoff")
		in.integer("max", &o.Max, 1, 250)
		in.duration("backoff", &o.Backoff, 0, time.Hour, false)
	}
}

// store decodes the keys of the counter store.
func (d *decoder) store(n *node, path string, s *Store) {
	b := d.block(n, path, "quota.store")
	b.integer("shards", &s.Shards, 1, 10_000)
	placement := quota.Placements()[quota.Rendezvous]
	b.enum("placement", &placement, quota.Placements()...)
	s.Placement = quota.Placement(position(quota.Placements(), placement))
	b.duration("rtt", &s.RTT, 0, time.Hour, false)
	b.duration("service", &s.Service, 0, time.Hour, false)
	if st := b.get("stall"); st != nil {
		in := d.open(st, b.at("stall"), "every", "for")
		for _, key := range []string{"every", "for"} {
			if in.n != nil && in.get(key) == nil {
				d.ps.at(st, in.at(key), "such as {every: 20s, for: 500ms}", "%s is missing", in.at(key))
			}
		}
		in.duration("every", &s.StallEvery, 0, 0, true)
		in.duration("for", &s.StallFor, 0, time.Hour, true)
	}
	b.share("loss", &s.Loss, span{lo: 0, hi: 1, below: true})
	b.duration("timeout", &s.Timeout, 0, time.Hour, true)
	if t := b.get("timeout"); t != nil && s.Timeout > 0 && s.Timeout <= s.RTT {
		d.ps.at(t, b.at("timeout"), "", "%s is %s: it must be above the round trip of %s, or every ask is lost", b.at("timeout"), t.text, durationText(s.RTT))
	}
	if b.get("loss") != nil && s.Loss > 0 && s.Timeout == 0 {
		d.ps.at(b.get("loss"), b.at("loss"), "add "+b.at("timeout")+", such as 50ms", "%s without %s: a lost ask would never be noticed", b.at("loss"), b.at("timeout"))
	}
	d.storeLive(b.get("live"), b.at("live"), &s.Live)
}

// storeLive decodes miniredis, {redis: [ADDR]} or {spawn: N}.
func (d *decoder) storeLive(n *node, path string, l *StoreLive) {
	switch {
	case n == nil:
	case n.kind == scalarNode && n.text == "miniredis":
	case n.kind == scalarNode:
		d.ps.at(n, path, "miniredis, {redis: [ADDR, …]} or {spawn: 7}", "%s is %q: no such store", path, n.text)
	default:
		b := d.open(n, path, "redis", "spawn")
		if b.n == nil {
			return
		}
		for i, a := range d.list(b.get("redis"), b.at("redis"), "addresses") {
			if d.isScalar(a, index(b.at("redis"), i), "HOST:PORT") {
				l.Redis = append(l.Redis, a.text)
			}
		}
		b.integer("spawn", &l.Spawn, 1, 64)
		switch {
		case b.get("redis") != nil && b.get("spawn") != nil:
			d.ps.at(b.get("spawn").key, b.at("spawn"), "leave one out", "%s stands beside redis", b.at("spawn"))
		case len(l.Redis) > 64:
			d.ps.at(b.get("redis"), b.at("redis"), "", "%s names %d servers: at most 64", b.at("redis"), len(l.Redis))
		}
	}
}

// tokens is the largest number of tokens a distribution gives, false where it has no
// bound.
func tokens(x workloads.Dist) (float64, bool) {
	switch {
	case x.Max != nil:
		return *x.Max, true
	case x.Kind == "constant":
		return x.Value, true
	case x.Kind == "pareto" && x.Cap > 0:
		return x.Cap, true
	case x.Kind == "quantiles" && len(x.Points) > 0:
		return x.Points[len(x.Points)-1].Value, true
	case x.Kind == "":
		return 1, true
	}
	return 0, false
}
