package scenarios

import (
	"slices"
	"strings"

	"taillab/policies/autoscale"
)

// place is a key that policies stand under, and the policies that are swept there.
type place struct {
	family  string
	service int // index
	name    string
	list    []policyDraft
	written bool // the key stands in the file
}

// placesOf lists the places: those of the front ends, then service after service.
func placesOf(services []serviceDraft) []place {
	var out []place
	if len(services) > 0 {
		out = append(out, services[0].front...)
	}
	for i := range services {
		s := &services[i]
		out = append(out, place{"balance", i, s.Name, s.balance, s.written})
		if len(s.autoscale) > 0 {
			out = append(out, place{"autoscale", i, s.Name, s.autoscale, true})
			if n := len(out); s.scalerTop {
				out[n-2], out[n-1] = out[n-1], out[n-2]
			}
		}
	}
	return out
}

// combinations lists which policy of each place stands together in a cell, the first
// place varying slowest.
func combinations(places []place) [][]int {
	out := [][]int{{}}
	for _, p := range places {
		var next [][]int
		for _, c := range out {
			for i := range p.list {
				next = append(next, append(slices.Clone(c), i))
			}
		}
		out = next
	}
	return out
}

func labelsOf(services []serviceDraft) []string {
	var out []string
	for _, pl := range placesOf(services) {
		for _, p := range pl.list {
			out = append(out, pl.name+"/"+pl.family+"/"+p.label)
		}
	}
	return out
}

// namedPlaces are the places whose policies make up a cell's label: those with several,
// else those that name one, else the first.
func namedPlaces(places []place) []int {
	var several, written []int
	for i, p := range places {
		if len(p.list) > 1 {
			several = append(several, i)
		}
		if p.written {
			written = append(written, i)
		}
	}
	switch {
	case len(several) > 0:
		return several
	case len(written) > 0:
		return written
	}
	return []int{0}
}

// name sets label, type, family and parameters from the policies that are swept. The
// parameters of several stand under the names of what tells them apart.
func (c *Cell) name(places []place, combo []int) {
	named := namedPlaces(places)
	var labels, types, families, services []string
	for _, i := range named {
		p := places[i].list[combo[i]]
		labels, types = append(labels, p.label), append(types, p.Type)
		families, services = append(families, places[i].family), append(services, places[i].name)
	}
	c.Policy, c.PolicyType = strings.Join(labels, "/"), strings.Join(types, "/")
	oneFamily, oneService := len(slices.Compact(slices.Clone(families))) == 1, len(slices.Compact(slices.Clone(services))) == 1
	if c.Family = strings.Join(families, "/"); oneFamily {
		c.Family = families[0]
	}
	c.Params = map[string]any{}
	for k, i := range named {
		params := places[i].list[combo[i]].Params
		switch {
		case len(named) == 1:
			c.Params = params
		case oneFamily:
			c.Params[services[k]] = params
		case oneService:
			c.Params[families[k]] = params
		default:
			c.Params[services[k]+"."+families[k]] = params
		}
	}
}

// put gives the cell the policy of a place.
func (c *Cell) put(pl place, p policyDraft) {
	var at Problem
	if p.n != nil {
		at = p.n.place()
	}
	at.Path = p.path
	switch pl.family {
	case "balance":
		c.Balancers[pl.service] = p.Policy
		c.Balancers[pl.service].place = at
		return
	case "quota":
		c.Limiter.limit(p, at)
		return
	case "share":
		c.Limiter.divide(p)
		return
	}
	c.Autoscalers[pl.service] = p.autoscaler()
	c.Autoscalers[pl.service].place = at
}

// autoscaler is the draft as an autoscaler; the zero value where it is none.
func (p *policyDraft) autoscaler() Autoscaler {
	fresh := p.fresh
	if fresh == nil {
		return Autoscaler{}
	}
	return Autoscaler{Type: p.Type, Params: p.Params, Make: func() autoscale.Autoscaler {
		a, _ := fresh().(autoscale.Autoscaler)
		return a
	}}
}
