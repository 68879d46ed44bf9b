package scenarios

import (
	"fmt"
	"math"
	"slices"

	"taillab/policies/flow"
	"taillab/policies/quota"
	"taillab/workloads"
)

// maxGroups bounds the groups of a scenario, as the front ends are bounded.
const maxGroups = 10_000

// groupDraft is one quota group as it is written.
type groupDraft struct {
	name    string
	tenants []tenantDraft
	at      *node
}

type tenantDraft struct {
	name   string
	weight float64
	share  float64 // of the requests of the scenario, where it makes the tenants
	at     *node
}

// quotaGroups decodes quota.groups: {n, zipf}, or a list of {name, tenants}. Where the
// workload names no tenants, the groups make them.
func (d *decoder) quotaGroups(q *quotaDraft, spec *workloads.Spec) {
	n, path := q.at.get("groups"), q.at.at("groups")
	if n == nil {
		return
	}
	if n.kind == mapNode {
		q.groups = d.countedGroups(n, path)
	} else {
		q.groups = d.listedGroups(n, path)
	}
	if len(q.groups) == 0 {
		return
	}
	if spec.Tenants.N == 0 && len(spec.Tenants.List) == 0 && len(spec.Tenants.Weights) == 0 {
		spec.Tenants = tenantsOf(q.groups)
		return
	}
	if n.kind == mapNode && n.get("n") != nil {
		d.ps.at(n, path, "leave workload.tenants out, or list the groups with their tenants", "%s stands beside workload.tenants: both say who sends the requests", path)
		return
	}
	d.assign(q, spec, path)
}

// countedGroups makes n groups of one tenant, or of {n, zipf} tenants, whose shares of
// the requests follow a Zipf law.
func (d *decoder) countedGroups(n *node, path string) []groupDraft {
	b := d.open(n, path, "n", "zipf", "tenants")
	count, zipf, in := 1, 0.0, workloads.Tenants{N: 1}
	b.integer("n", &count, 1, maxGroups)
	b.number("zipf", &zipf, span{lo: 0, hi: 5})
	if t := b.get("tenants"); t != nil {
		in = d.counted(t, b.at("tenants"))
	}
	if b.n == nil || count*in.N > workloads.MaxTenants {
		return nil
	}
	out := make([]groupDraft, count)
	for i, share := range zipfShares(count, zipf) {
		out[i] = groupDraft{name: fmt.Sprintf("g%d", i+1), at: n}
		out[i].fill(in, share)
	}
	return out
}

// counted decodes {n, zipf} of the tenants of a group.
func (d *decoder) counted(n *node, path string) workloads.Tenants {
	t := workloads.Tenants{N: 1}
	b := d.open(n, path, "n", "zipf")
	b.integer("n", &t.N, 1, workloads.MaxTenants)
	b.number("zipf", &t.Zipf, span{lo: 0, hi: 5})
	return t
}

// fill makes the tenants of a group, named after it.
func (g *groupDraft) fill(t workloads.Tenants, share float64) {
	if t.N == 1 {
		g.tenants = []tenantDraft{{name: g.name, weight: 1, share: share, at: g.at}}
		return
	}
	for k, part := range zipfShares(t.N, t.Zipf) {
		g.tenants = append(g.tenants, tenantDraft{fmt.Sprintf("%s.t%d", g.name, k+1), 1, share * part, g.at})
	}
}

// zipfShares are the shares of n by 1/i^s.
func zipfShares(n int, s float64) []float64 {
	out, sum := make([]float64, n), 0.0
	for i := range out {
		out[i] = math.Pow(float64(i+1), -s)
		sum += out[i]
	}
	for i := range out {
		out[i] /= sum
	}
	return out
}

func (d *decoder) listedGroups(n *node, path string) []groupDraft {
	var out []groupDraft
	groups, tenants := map[string]bool{}, map[string]bool{}
	items := d.list(n, path, "{name, tenants}")
	for i, item := range items {
		b := d.open(item, index(path, i), "name", "tenants")
		g := groupDraft{at: item}
		if b.n == nil {
			continue
		}
		b.text("name", &g.name)
		switch {
		case g.name == "":
			d.ps.at(item, b.at("name"), "", "%s is missing", b.at("name"))
		case groups[g.name]:
			d.ps.at(b.get("name"), b.at("name"), "give it another name", "two groups are called %q", g.name)
		}
		groups[g.name] = true
		share := 1 / float64(len(items))
		switch t := b.get("tenants"); {
		case t == nil:
			g.fill(workloads.Tenants{N: 1}, share)
		case t.kind == mapNode:
			g.fill(d.counted(t, b.at("tenants")), share)
		default:
			d.groupTenants(t, b.at("tenants"), &g, share, tenants)
		}
		out = append(out, g)
	}
	return out
}

// groupTenants decodes a list of {name, weight}.
func (d *decoder) groupTenants(n *node, path string, g *groupDraft, share float64, seen map[string]bool) {
	items := d.list(n, path, "{name, weight}")
	for i, item := range items {
		t := tenantDraft{weight: 1, share: share / float64(len(items)), at: item}
		if item.kind == scalarNode {
			t.name = item.text
		} else {
			b := d.open(item, index(path, i), "name", "weight")
			b.text("name", &t.name)
			b.number("weight", &t.weight, span{lo: 0, hi: 1e9, above: true})
		}
		switch {
		case t.name == "":
			d.ps.at(item, index(path, i)+".name", "", "%s.name is missing", index(path, i))
		case seen[t.name]:
			d.ps.at(item, index(path, i), "a tenant belongs to one group", "two tenants are called %q", t.name)
		}
		seen[t.name] = true
		g.tenants = append(g.tenants, t)
	}
	if n.kind == seqNode && len(items) == 0 {
		d.ps.at(n, path, "such as [{name: a, weight: 2}]", "%s is empty", path)
	}
}

// tenantsOf makes the workload's tenants from the groups.
func tenantsOf(groups []groupDraft) workloads.Tenants {
	var t workloads.Tenants
	sum := 0.0
	for _, g := range groups {
		for _, x := range g.tenants {
			t.List = append(t.List, workloads.Tenant{Name: x.name, Share: x.share, Group: g.name})
			sum += x.share
		}
	}
	for i := range t.List {
		t.List[i].Share /= sum
	}
	return t
}

// assign puts the tenants of the workload into the groups that name them.
func (d *decoder) assign(q *quotaDraft, spec *workloads.Spec, path string) {
	list := spec.Tenants.List
	if len(list) == 0 {
		d.ps.at(q.at.get("groups"), path, "list workload.tenants by name", "%s names tenants that the workload only counts", path)
		return
	}
	list = slices.Clone(list)
	home := map[string]string{}
	for _, g := range q.groups {
		for _, t := range g.tenants {
			home[t.name] = g.name
			if !slices.ContainsFunc(list, func(x workloads.Tenant) bool { return x.Name == t.name }) {
				var names []string
				for _, x := range list {
					names = append(names, x.Name)
				}
				d.ps.at(t.at, path, Suggest(t.name, names, ""), "the workload has no tenant called %q", t.name)
			}
		}
	}
	for i := range list {
		g, ok := home[list[i].Name]
		switch {
		case !ok:
			d.ps.at(q.at.get("groups"), path, "name it in one of the groups", "the tenant %q is in no group", list[i].Name)
		case list[i].Group != "" && list[i].Group != g:
			d.ps.at(q.at.get("groups"), path, "leave workload.tenants' group out", "the tenant %q is in the group %q here and in %q in workload.tenants", list[i].Name, g, list[i].Group)
		default:
			list[i].Group = g
		}
	}
	spec.Tenants.List = list
}

// settle makes the groups that the run has, once the workload is compiled.
func (q *quotaDraft) settle(c *workloads.Compiled) {
	weights := map[string]float64{}
	for _, g := range q.groups {
		for _, t := range g.tenants {
			weights[t.name] = t.weight
		}
	}
	q.Groups = nil
	for _, name := range c.Groups() {
		q.Groups = append(q.Groups, quota.Group{Name: name, Rate: q.limit.rate, Burst: q.limit.burst, Units: q.limit.units})
	}
	names := c.Tenants()
	for tenant, group := range c.TenantGroups() {
		g := &q.Groups[group]
		w, ok := weights[names[tenant]]
		if !ok {
			w = 1
		}
		g.Tenants, g.Weights = append(g.Tenants, uint32(tenant)), append(g.Weights, w)
	}
	q.Cost.Classes = len(c.Classes())
}

// limits checks what requests are charged against the limit, and fills in the bound on
// output tokens by class.
func (d *decoder) limits(q *quotaDraft, spec *workloads.Spec, c *workloads.Compiled) {
	at, path := q.at.get("cost"), q.at.at("cost")
	most := q.limit.burst
	if q.limit.units > 0 {
		most = q.limit.units
	}
	if q.Cost.Kind == flow.CostConstant {
		if at = q.at.get("units"); most > 0 && q.Cost.Units > most {
			d.ps.at(at, q.at.at("units"), "lower it, or raise the limit", "%s is %v: above what quota.group_limit lets through at once, %v, so every request would always be refused", q.at.at("units"), q.Cost.Units, most)
		}
		return
	}
	if spec.Input.Kind == "" && spec.Pairs == "" && c.Trace() == nil {
		d.ps.at(at, path, "give workload.input, or use cost: constant", "%s counts tokens, but the workload has none", path)
		return
	}
	if spec.Input.Kind == "constant" && most > 0 && spec.Input.Value > most {
		d.ps.at(at, path, "raise the burst", "every request costs at least %v units: above what quota.group_limit lets through at once, %v, so every one would always be refused", spec.Input.Value, most)
	}
	if q.Cost.Kind == flow.CostInput {
		return
	}
	for class, name := range c.Classes() {
		bound, ok := tokens(spec.Output)
		for _, t := range spec.Tenants.List {
			if own, has := tokens(t.Output); t.Class == name && class > 0 && t.Output.Kind != "" {
				bound, ok = math.Max(own, bound), ok && has
			}
		}
		if !ok || spec.Pairs != "" || c.Trace() != nil && spec.Output.Kind == "" {
			d.ps.at(at, path, "give workload.output a max", "%s charges the most tokens that an answer may have, but nothing bounds them", path)
			return
		}
		q.Cost.MaxTokens = append(q.Cost.MaxTokens, uint32(min(bound, workloads.MaxTokens)))
	}
}
