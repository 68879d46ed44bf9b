package scenarios

import (
	"reflect"
	"slices"
	"strings"

	"taillab/policies/balance"
)

// levels are the decorators that stand outside a policy, outermost first.
type levels struct {
	cat   catalog
	names []string
	ranks []int // 0: it may stand anywhere
}

// with adds a decorator on the inside.
func (l levels) with(name string, p any) levels {
	return levels{l.cat, append(slices.Clone(l.names), name), append(slices.Clone(l.ranks), rankOf(p))}
}

// own are the keys of a policy that are not its parameters. A label names the whole
// policy, so only the outermost level takes one.
func (l levels) own(p any) []string {
	out := []string{"name"}
	if len(l.names) == 0 {
		out = append(out, "as")
	}
	if _, ok := p.(balance.Wrapper); ok {
		out = append(out, "inner")
	}
	return out
}

func rankOf(p any) int {
	if r, ok := p.(balance.Decorator); ok {
		return r.Rank()
	}
	return 0
}

// inner decodes the balancer inside a decorator, which keeps its default when the key
// is not written.
func (d *decoder) inner(n *node, path string, p any, outside levels) {
	w, ok := p.(balance.Wrapper)
	if !ok || n == nil {
		return
	}
	name := n
	if n.kind == mapNode {
		if name = n.get("name"); name == nil {
			d.ps.at(n, join(path, "name"), "such as {name: p2c, choices: 3}", "%s has no name", path)
			return
		}
	}
	if !d.isScalar(name, path, "a name or {name: …, PARAMETER: …}") {
		return
	}
	entry, ok := outside.cat.Find("balance", name.text)
	if !ok {
		d.ps.at(name, path, Suggest(name.text, outside.cat.Names("balance"), "taillab list policies"), "no %s called %q", familyWord("balance"), name.text)
		return
	}
	fits := d.nested(name, path, rankOf(entry.New()), outside)
	if b, ok := d.configure(entry, n, path, outside).(balance.Balancer); ok && fits {
		*w.Unwrap() = balance.Around(entry.Name, b)
	}
}

// nested checks a decorator's place among those outside it; a plain balancer may
// stand inside any.
func (d *decoder) nested(name *node, path string, rank int, outside levels) bool {
	if slices.Contains(outside.names, name.text) {
		d.ps.at(name, path, "leave one out", "%s stands inside another %s", name.text, name.text)
		return false
	}
	for i, r := range outside.ranks {
		if rank > 0 && r > rank {
			d.ps.at(name, path, "the order is, outside-in: "+strings.Join(ranked(outside.cat), ", "),
				"%s stands inside %s: it belongs outside", name.text, outside.names[i])
			return false
		}
	}
	return true
}

// ranked lists the decorators of the catalogue, outside-in.
func ranked(cat catalog) []string {
	names := slices.DeleteFunc(cat.Names("balance"), func(name string) bool {
		e, _ := cat.Find("balance", name)
		return rankOf(e.New()) == 0
	})
	rank := func(name string) int { e, _ := cat.Find("balance", name); return rankOf(e.New()) }
	slices.SortStableFunc(names, func(a, b string) int { return rank(a) - rank(b) })
	return names
}

// policyName is the name that a policy's node gives.
func policyName(n *node) string {
	if name := n.get("name"); name != nil {
		return name.text
	}
	return n.text
}

// innerParams shows the balancer inside a decorator: its name and all its parameters.
func innerParams(v reflect.Value) any {
	c := reflect.New(innerType)
	c.Elem().Set(v)
	in, _ := c.Interface().(*balance.Inner)
	out := ParamsOf(in.Bal)
	out["name"] = in.Name()
	return out
}
