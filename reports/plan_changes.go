package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// PlanChanges lists in words what differs between two normalised plans in JSON:
// `workload.input.lognormal.mean: 512 → 600`, `jiq: choices: 2 → 4`, `load 0.9:
// added`. A change that many cells share is told once. Unreadable plans give nothing.
func PlanChanges(before, after json.RawMessage) []string {
	a, okA := decodeAny(before)
	b, okB := decodeAny(after)
	if !okA || !okB {
		return nil
	}
	var d planDiff
	ma, okA := a.(map[string]any)
	mb, okB := b.(map[string]any)
	if !okA || !okB || ma["cells"] == nil || mb["cells"] == nil {
		d.any("", a, b)
		return d.out
	}
	d.setups(objects(ma["setups"]), objects(mb["setups"]))
	d.cells(objects(ma["cells"]), objects(mb["cells"]))
	for _, m := range []map[string]any{ma, mb} {
		delete(m, "setups")
		delete(m, "cells")
	}
	d.any("", ma, mb)
	return d.out
}

// planDiff collects differences, each line once.
type planDiff struct{ out []string }

func (d *planDiff) say(format string, args ...any) {
	if line := fmt.Sprintf(format, args...); !slices.Contains(d.out, line) {
		d.out = append(d.out, line)
	}
}

// setups pairs the points of the other axes; the axes themselves are told by cells.
func (d *planDiff) setups(a, b []map[string]any) {
	for _, x := range a {
		for _, y := range b {
			if oneLine(x["axes"]) == oneLine(y["axes"]) || len(a) == 1 && len(b) == 1 {
				var setup planDiff
				setup.any("", without(x, "axes"), without(y, "axes"))
				for _, line := range setup.out {
					d.say("%s", asWritten(line, len(objects(x["services"])) == 1))
				}
			}
		}
	}
}

// asWritten turns a key of the normalised plan into that of a scenario: with one
// service its level is left out, and a fleet of one group is the fleet.
func asWritten(line string, oneService bool) string {
	if oneService {
		line = strings.TrimPrefix(line, "services[0].")
	}
	return strings.NewReplacer("groups[0].model.", "fleet.", "groups[0].", "fleet.", "groups[", "fleet.groups[").Replace(line)
}

// cells compares what stands at the same place of the sweep. The arrival rate
// follows from the load and the fleet, so it is told only when nothing else is.
func (d *planDiff) cells(a, b []map[string]any) {
	d.places(a, b, "removed")
	d.places(b, a, "added")
	var rates planDiff
	for _, x := range a {
		for _, y := range b {
			if planPlace(x) != planPlace(y) {
				continue
			}
			label := fmt.Sprint(x["policy"])
			d.policies(label, x, y)
			rates.any(label+": rate_rps", x["rate_rps"], y["rate_rps"])
			rates.any(label+": time_scale", x["time_scale"], y["time_scale"])
		}
	}
	if len(d.out) == 0 {
		d.out = rates.out
	}
}

// policies compares the policies of a cell, service by service.
func (d *planDiff) policies(label string, x, y map[string]any) {
	a, b := objects(x["policies"]), objects(y["policies"])
	if len(a) != len(b) || len(a) == 0 {
		d.any(label, without(x, "rate_rps", "time_scale"), without(y, "rate_rps", "time_scale"))
		return
	}
	for i := range a {
		where := label
		if len(a) > 1 {
			where = fmt.Sprintf("%s: service %d", label, i+1)
		}
		d.any(where+": policy", a[i]["name"], b[i]["name"])
		pa, _ := a[i]["params"].(map[string]any)
		pb, _ := b[i]["params"].(map[string]any)
		for _, k := range unionKeys(pa, pb) {
			d.any(where+": "+k, pa[k], pb[k])
		}
	}
}

// places tells which labels, loads and other places of a are not in b.
func (d *planDiff) places(a, b []map[string]any, word string) {
	has := func(same func(x map[string]any) bool) bool { return slices.ContainsFunc(b, same) }
	for _, x := range a {
		switch {
		case has(func(y map[string]any) bool { return planPlace(x) == planPlace(y) }):
		case !has(func(y map[string]any) bool { return y["policy"] == x["policy"] }):
			d.say("policy %v: %s", x["policy"], word)
		case !has(func(y map[string]any) bool { return oneLine(y["load"]) == oneLine(x["load"]) }):
			d.say("load %s: %s", oneLine(x["load"]), word)
		default:
			d.say("%v at load %s, axes %s: %s", x["policy"], oneLine(x["load"]), oneLine(x["axes"]), word)
		}
	}
}

func planPlace(cell map[string]any) string {
	return oneLine([]any{cell["policy"], cell["load"], cell["axes"]})
}

// any walks two values key by key.
func (d *planDiff) any(path string, a, b any) {
	ma, okA := a.(map[string]any)
	mb, okB := b.(map[string]any)
	if okA && okB {
		for _, k := range unionKeys(ma, mb) {
			sub := k
			if path != "" {
				sub = path + "." + k
			}
			d.any(sub, ma[k], mb[k])
		}
		return
	}
	la, okA := a.([]any)
	lb, okB := b.([]any)
	if okA && okB && len(la) == len(lb) {
		for i := range la {
			d.any(fmt.Sprintf("%s[%d]", path, i), la[i], lb[i])
		}
		return
	}
	if x, y := oneLine(a), oneLine(b); x != y {
		d.say("%s: %s → %s", path, x, y)
	}
}

func decodeAny(data json.RawMessage) (any, bool) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	return v, d.Decode(&v) == nil
}

// objects are the elements of a list that are objects.
func objects(v any) []map[string]any {
	list, _ := v.([]any)
	var out []map[string]any
	for _, e := range list {
		if m, ok := e.(map[string]any); ok {
			out = append(out, m)
		}
	}
	return out
}

func without(m map[string]any, keys ...string) map[string]any {
	out := map[string]any{}
	for k, v := range m { // into a map: order does not matter
		if !slices.Contains(keys, k) {
			out[k] = v
		}
	}
	return out
}

func unionKeys(a, b map[string]any) []string {
	all := map[string]bool{}
	for _, m := range []map[string]any{a, b} {
		for k := range m { // sorted by the caller's sortedKeys
			all[k] = true
		}
	}
	return sortedKeys(all)
}

// oneLine is a value as a reader of the scenario would write it.
func oneLine(v any) string {
	switch x := v.(type) {
	case nil:
		return "absent"
	case string:
		if x != "" && !strings.ContainsAny(x, " \t\n\"") {
			return x
		}
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}
