package scenarios

import (
	"fmt"
	"strings"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/quota"
	"taillab/policies/share"
	"taillab/reports"
)

// limiters decodes policies.quota and policies.share, which belong to the front ends:
// the first service keeps them. It tells whether there is a limiter.
func (l *loader) limiters(root block, services []serviceDraft) bool {
	p := block{d: &l.decoder, n: root.get("policies"), path: "policies"}
	limit, divide := p.get("quota"), p.get("share")
	if textOf(limit) == "none" && root.get("quota") == nil {
		limit = nil
	}
	cat := catalog{l.opt.Catalog}
	switch {
	case limit == nil && root.get("quota") != nil:
		l.ps.at(root.get("quota").key, "quota", "such as policies: {quota: central}, or remove it", "the quota has no limiter: policies.quota is missing")
	case limit == nil && divide != nil && textOf(divide) != "fcfs":
		l.ps.at(divide, p.at("share"), "add policies.quota, such as central", "%s divides a limit, but there is no limiter", p.at("share"))
	}
	if limit == nil || len(services) == 0 {
		return false
	}
	front := []place{{"quota", 0, "frontends", l.policyList(limit, p.at("quota"), "quota", cat), true}}
	if divide != nil {
		front = append(front, place{"share", 0, "frontends", l.policyList(divide, p.at("share"), "share", cat), true})
	}
	services[0].front = front
	return true
}

// limit gives the cell its limiter.
func (x *Limiter) limit(p policyDraft, at Problem) {
	x.Type, x.Params, x.place, x.fresh = p.Type, p.Params, at, p.fresh
	if x.Share == "" {
		x.Share, x.ShareParams = "fcfs", map[string]any{}
	}
	x.Make = makeLimiter(x.fresh, x.divider)
}

// divide gives the cell its divider.
func (x *Limiter) divide(p policyDraft) {
	fresh := p.fresh
	x.Share, x.ShareParams = p.Type, p.Params
	x.divider = func() share.Divider {
		d, _ := fresh().(share.Divider)
		return d
	}
	if x.fresh != nil {
		x.Make = makeLimiter(x.fresh, x.divider)
	}
}

func makeLimiter(fresh func() any, divider func() share.Divider) func() quota.Limiter {
	return func() quota.Limiter {
		lim, _ := fresh().(quota.Limiter)
		if s, ok := lim.(quota.Sharing); ok && divider != nil {
			s.Share(divider)
		}
		return lim
	}
}

// fit settles the groups and checks the limiters against them.
func (l *loader) fit(q *quotaDraft, d *draft) {
	q.settle(d.setup.Workload)
	l.limits(q, &d.spec, d.setup.Workload)
	d.setup.Quota = &q.Quota
	s := quota.Setting{FrontEnds: d.spec.Frontends.Count, RTT: q.Store.RTT}
	for _, g := range q.Groups {
		if len(g.Tenants) > 0 {
			s.Groups = append(s.Groups, g)
		}
	}
	for _, pl := range d.services[0].front {
		for _, p := range pl.list {
			if pl.family == "quota" && p.fresh != nil {
				l.fitOne(p, s, d)
			}
		}
	}
	d.setup.shardWarning()
	l.behind(d)
}

// behind refuses limiters before a policy that is shared by all front ends: requests
// reach it without passing through one.
func (l *loader) behind(d *draft) {
	for _, s := range d.services {
		for _, p := range s.balance {
			if p.Make == nil || p.n == nil {
				continue
			}
			if _, shared := balance.Inside[balance.Shared](p.Make()); shared {
				l.ps.at(p.n, p.path, "use another balancer", "%s stands behind all front ends: a quota is kept in each of them, and would never be asked", p.Type)
			}
		}
	}
}

func (l *loader) fitOne(p policyDraft, s quota.Setting, d *draft) {
	f, ok := p.fresh().(quota.Fitted)
	if !ok {
		return
	}
	problems, warnings := f.Fit(s)
	for _, x := range problems {
		l.fitProblem(p, x)
	}
	for _, x := range warnings {
		d.setup.warnings = append(d.setup.warnings, reports.Warning{Code: "quota-setting", Message: p.label + ": " + x.Msg, Policy: p.label})
	}
}

// fitProblem places what does not fit at the parameter that is written, else at the
// limiter.
func (l *loader) fitProblem(p policyDraft, x policies.Problem) {
	l.policyProblem(p.n, p.path, p.Type, x)
}

// shardWarning says when one shard has much more to do than the others.
func (s *Setup) shardWarning() {
	q := s.Quota
	if q.Store.Shards < 2 {
		return
	}
	load := make([]float64, q.Store.Shards)
	shares, top, groups := s.Workload.Shares(), 0.0, 0
	for i := range q.Groups {
		if len(q.Groups[i].Tenants) > 0 {
			groups++
		}
		at := q.Store.Placement.Shard(q.Groups[i].Name, q.Store.Shards)
		for _, t := range q.Groups[i].Tenants {
			load[at] += shares[t]
		}
		top = max(top, load[at])
	}
	if skew := top * float64(q.Store.Shards); skew > 2 {
		s.warnings = append(s.warnings, reports.Warning{Code: "shard-skew",
			Message: fmt.Sprintf("the busiest of %d shards has %s times the mean load: %d groups do not spread evenly", q.Store.Shards,
				strings.TrimSuffix(fmt.Sprintf("%.1f", skew), ".0"), groups)})
	}
}
