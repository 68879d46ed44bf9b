package scenarios

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unicode/utf8"

	"taillab/policies"
	"taillab/policies/autoscale"
	"taillab/policies/balance"
	"taillab/policies/quota"
	"taillab/policies/share"
)

// catalog is the catalogue with the words that problems use for its families.
type catalog struct{ policies.Catalog }

// Catalog lists the policies that come with the program, family after family.
func Catalog() policies.Catalog {
	return slices.Concat(balance.Catalog(), quota.Catalog(), share.Catalog(), autoscale.Catalog())
}

// familyWord is what one policy of a family is called.
func familyWord(family string) string {
	switch family {
	case "balance":
		return "balancer"
	case "quota":
		return "limiter"
	case "autoscale":
		return "autoscaler"
	case "share":
		return "divider"
	}
	return family + " policy"
}

// suggest is the hint for a name that the family does not have: the family that has
// it, or names like it.
func (c catalog) suggest(family, name string) string {
	for _, e := range c.Catalog {
		if e.Name == name {
			return fmt.Sprintf("%q belongs below policies.%s", name, e.Family)
		}
	}
	return Suggest(name, c.Names(family), "taillab list policies")
}

// policyDraft is one policy of a list, configured.
type policyDraft struct {
	Policy
	label string
	fresh func() any
	n     *node // where it stands; nil when it is the default
	path  string
}

// policyList decodes `name`, {name, as, PARAMETER: …}, or a list of these.
func (d *decoder) policyList(n *node, path, family string, cat catalog) []policyDraft {
	if n == nil {
		n = &node{kind: scalarNode, text: "random", src: &text{}}
		p, _ := d.policy(n, path, family, cat)
		p.n = nil
		return []policyDraft{p}
	}
	items, at := []*node{n}, func(int) string { return path }
	if n.kind == seqNode {
		items, at = n.items, func(i int) string { return index(path, i) }
		if len(items) == 0 {
			d.ps.at(n, path, "such as [random, p2c]", "%s is empty", path)
		}
	}
	var out []policyDraft
	for i, item := range items {
		if p, ok := d.policy(item, at(i), family, cat); ok {
			out = append(out, p)
		}
	}
	return out
}

func (d *decoder) policy(n *node, path, family string, cat catalog) (policyDraft, bool) {
	out := policyDraft{n: n, path: path}
	name := n
	if n.kind == mapNode {
		if name = n.get("name"); name == nil {
			d.ps.at(n, join(path, "name"), "such as {name: p2c, choices: 3}", "%s has no name", path)
			return out, false
		}
	}
	if !d.isScalar(name, path, "a name or {name: …, PARAMETER: …}") {
		return out, false
	}
	entry, ok := cat.Find(family, name.text)
	if !ok {
		d.ps.at(name, path, cat.suggest(family, name.text), "no %s called %q", familyWord(family), name.text)
		return out, false
	}
	out.Type, out.label = entry.Name, entry.Name
	as := n.get("as")
	if as != nil {
		if d.isScalar(as, join(path, "as"), "a label") {
			out.label = as.text
			d.checkLabel(as, join(path, "as"))
		}
	}
	before := len(d.ps.list)
	p := d.configure(entry, n, path, levels{cat: cat})
	out.Params = ParamsOf(p)
	fresh := func() any {
		var none problemList
		return (&decoder{ps: &none}).configure(entry, n, path, levels{cat: cat})
	}
	out.fresh = fresh
	out.Make = func() balance.Balancer {
		b, _ := fresh().(balance.Balancer)
		return b
	}
	if !isOf(family, p) {
		d.ps.at(n, path, "", "%s is in the catalogue as a %s, but is none", entry.Name, familyWord(family))
	}
	return out, len(d.ps.list) == before
}

// isOf tells whether a policy has the methods of its family.
func isOf(family string, p any) bool {
	switch family {
	case "balance":
		_, ok := p.(balance.Balancer)
		return ok
	case "autoscale":
		_, ok := p.(autoscale.Autoscaler)
		return ok
	case "quota":
		_, ok := p.(quota.Limiter)
		return ok
	case "share":
		_, ok := p.(share.Divider)
		return ok
	}
	return true
}

func (d *decoder) checkLabel(n *node, path string) {
	switch {
	case n.text == "" || strings.ContainsAny(n.text, "()*,<>/=") || strings.ContainsFunc(n.text, func(r rune) bool { return r <= ' ' || r == 0x7f || r == 0xa0 || r == 0x3000 }):
		d.ps.at(n, path, "leave out blanks and ()*,<>/=", "the label %q cannot be named in a gate", n.text)
	case n.text == "baseline":
		d.ps.at(n, path, "choose another label", "the label baseline is reserved: gates use it for the committed reference")
	case utf8.RuneCountInString(n.text) > 64:
		d.ps.at(n, path, "choose a shorter one", "the label has %d characters: at most 64", utf8.RuneCountInString(n.text))
	}
}

// configure decodes the parameters onto a fresh prototype and lets it check them.
// What stands outside it decides what it may be.
func (d *decoder) configure(entry policies.Entry, n *node, path string, outside levels) any {
	p := entry.New()
	v := reflect.ValueOf(p)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		if n.kind == mapNode && slices.ContainsFunc(n.keys, func(k *node) bool { return k.text != "name" && k.text != "as" }) {
			d.ps.at(n, path, "return a pointer from its prototype", "%s cannot take parameters: its prototype is no pointer to a struct", entry.Name)
		}
		return p
	}
	before := len(d.ps.list)
	if n.kind == mapNode {
		d.fill(n, path, entry.Name, v.Elem(), outside.own(p)...)
	} else {
		for _, f := range fieldsOf(v.Elem().Type()) {
			if f.tag.Get("required") == "true" {
				d.ps.at(n, join(path, f.name), fmt.Sprintf("write {name: %s, %s: …}", entry.Name, f.name), "%s needs the parameter %s: %s", entry.Name, f.name, f.tag.Get("about"))
			}
		}
	}
	if c, ok := p.(policies.Checker); ok && len(d.ps.list) == before {
		for _, q := range c.Check() {
			d.policyProblem(n, path, entry.Name, q)
		}
	}
	d.inner(n.get("inner"), join(path, "inner"), p, outside.with(entry.Name, p)) // last: its problems are its own
	return p
}

// policyProblem places what a policy says about itself.
func (d *decoder) policyProblem(n *node, path, name string, q policies.Problem) {
	msg := q.Msg
	if q.Path != "" && !strings.HasPrefix(msg, q.Path) {
		msg = q.Path + " " + msg
	}
	d.ps.at(find(n, q.Path), join(path, q.Path), q.Hint, "%s: %s", name, msg)
}

// ParamsOf returns all parameters of a configured policy by name; durations as text.
func ParamsOf(p any) map[string]any {
	v := reflect.ValueOf(p)
	for v.Kind() == reflect.Pointer && !v.IsNil() {
		v = v.Elem()
	}
	if v.Kind() != reflect.Struct {
		return map[string]any{}
	}
	return plainFields(v, true)
}

// labelsOnce reports labels that are used twice in the file.
func (d *decoder) labelsOnce(services []serviceDraft) {
	seen := map[string]bool{}
	for _, pl := range placesOf(services) {
		for _, p := range pl.list {
			if p.n == nil {
				continue
			}
			if seen[p.label] {
				d.ps.at(p.n, p.path, "give it another name with as: LABEL", "two policies are labelled %q", p.label)
			}
			seen[p.label] = true
		}
	}
}

// checkTables lets policies that need the fleet's labels see them.
func (d *decoder) checkTables(s *serviceDraft) {
	var table *balance.Table
	for _, p := range s.balance {
		if p.Make == nil || p.n == nil {
			continue
		}
		at, path := p.n, p.path
		for b := p.Make(); b != nil; at, path = at.get("inner"), join(path, "inner") {
			if table == nil {
				table = s.Table()
			}
			d.checkTable(b, at, path, table)
			w, ok := b.(balance.Wrapper)
			if !ok || at.get("inner") == nil {
				break
			}
			b = w.Unwrap().Bal
		}
	}
}

// checkTable lets one policy see the fleet's labels.
func (d *decoder) checkTable(b balance.Balancer, n *node, path string, table *balance.Table) {
	c, ok := b.(balance.TableChecker)
	if !ok {
		return
	}
	name := policyName(n)
	list := c.CheckTable(table)
	for i, q := range list {
		if i == 1 { // one line each for a fleet of thousands helps nobody
			d.ps.at(find(n, q.Path), join(path, q.Path), "", "%s: and %d more like this", name, len(list)-i)
			break
		}
		d.policyProblem(n, path, name, q)
	}
}

// Table is what front ends know of the service's fleet before the run.
func (s *Service) Table() *balance.Table {
	if s.known != nil {
		return s.known
	}
	t := &balance.Table{N: s.Slots()}
	if s.Elastic != nil {
		t.Later = t.N - s.Elastic.Start
	}
	uniform, plain := true, true
	for _, g := range s.Groups {
		uniform = uniform && g.Weight == 1
		plain = plain && len(g.Labels) == 0
	}
	for _, g := range s.Groups {
		slots := int32(1)
		if g.Model != nil {
			slots = int32(max(g.Model.Slots(), g.Model.MaxBatch()))
		}
		for range s.SlotsOf(&g) {
			t.Slots = append(t.Slots, slots)
			if !uniform {
				t.Weights = append(t.Weights, g.Weight)
			}
			if !plain {
				t.Labels = append(t.Labels, g.Labels)
			}
		}
	}
	return t
}
