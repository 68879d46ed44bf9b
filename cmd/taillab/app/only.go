package app

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"taillab/scenarios"
)

// selection is one --only: values by key. Keys must all match, one of the values
// of each.
type selection struct {
	text string
	keys []string
	want map[string][]string
}

func parseOnly(flags []string) ([]selection, error) {
	var out []selection
	for _, text := range flags {
		s := selection{text: text, want: map[string][]string{}}
		for _, part := range strings.Split(text, ",") {
			k, v, err := pair(part, "--only")
			if err != nil {
				return nil, err
			}
			if s.want[k] == nil {
				s.keys = append(s.keys, k)
			}
			s.want[k] = append(s.want[k], v)
		}
		out = append(out, s)
	}
	return out, nil
}

// only keeps the cells that one of the selections matches; matching nothing is an
// error that says what there is.
func only(p *scenarios.Plan, selections []selection) error {
	if len(selections) == 0 {
		return nil
	}
	var kept []*scenarios.Cell
	for _, s := range selections {
		if err := s.check(p); err != nil {
			return err
		}
	}
	for _, c := range p.Cells {
		if slices.ContainsFunc(selections, func(s selection) bool { return s.matches(c) }) {
			kept = append(kept, c)
		}
	}
	if len(kept) == 0 {
		return fmt.Errorf("--only %s matches no cell of %s", selections[0].text, p.Name)
	}
	p.Cells = kept
	return nil
}

// check refuses keys and values that the plan does not have.
func (s selection) check(p *scenarios.Plan) error {
	for _, k := range s.keys {
		have, known := []string{}, false
		for _, c := range p.Cells {
			v, ok := cellKey(c, k)
			known = known || ok
			if ok && !slices.Contains(have, v) {
				have = append(have, v)
			}
		}
		if !known {
			return fmt.Errorf("--only %s: %s is no axis of %s (%s)", s.text, k, p.Name, scenarios.Suggest(k, keysOf(p), ""))
		}
		for _, v := range s.want[k] {
			if !slices.ContainsFunc(have, func(h string) bool { return sameValue(h, v) }) {
				return fmt.Errorf("--only %s: %s has no %s %s (%s)", s.text, p.Name, k, v, scenarios.Suggest(v, have, ""))
			}
		}
	}
	return nil
}

func (s selection) matches(c *scenarios.Cell) bool {
	for _, k := range s.keys {
		v, ok := cellKey(c, k)
		if !ok || !slices.ContainsFunc(s.want[k], func(w string) bool { return sameValue(v, w) }) {
			return false
		}
	}
	return true
}

// keysOf lists what --only may name in this plan.
func keysOf(p *scenarios.Plan) []string {
	out := []string{"policy"}
	for _, c := range p.Cells {
		if c.Load != nil && !slices.Contains(out, "load") {
			out = append(out, "load")
		}
		for k := range c.Axes { //nolint: the list is sorted below
			if !slices.Contains(out, k) {
				out = append(out, k)
			}
		}
	}
	slices.Sort(out[1:])
	return out
}

func cellKey(c *scenarios.Cell, key string) (string, bool) {
	switch key {
	case "policy":
		return c.Policy, true
	case "load":
		if c.Load == nil {
			return "", false
		}
		return strconv.FormatFloat(*c.Load, 'g', -1, 64), true
	}
	v, ok := c.Axes[key]
	return fmt.Sprint(v), ok
}

// sameValue compares as numbers where both are: 0.80 is 0.8.
func sameValue(a, b string) bool {
	x, errA := strconv.ParseFloat(a, 64)
	y, errB := strconv.ParseFloat(b, 64)
	if errA == nil && errB == nil {
		return x == y || math.Abs(x-y) <= 1e-9*math.Max(math.Abs(x), math.Abs(y))
	}
	return a == b
}
