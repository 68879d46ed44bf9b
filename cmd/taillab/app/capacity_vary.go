package app

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"taillab/reports"
	"taillab/reports/chart"
	"taillab/scenarios"
)

// variable is the setting that a capacity search varies, easiest first.
type variable interface {
	count() int
	at(i int) float64
	// cell is a policy's cell at setting i; why says that it needs no measuring because
	// the rule cannot hold there.
	cell(template *scenarios.Cell, i int) (c *scenarios.Cell, why string, err error)
	describe(doc *reports.Capacity)
}

// loads varies the offered load in equal steps below 1.
type loads struct {
	step float64
	n    int
}

func newLoads(p *scenarios.Plan, step float64) (*loads, error) {
	for _, c := range p.Cells {
		if scenarios.Capacity(c.Setup) <= 0 {
			return nil, fmt.Errorf("the load of %s is not known; vary another key with --over", p.Name)
		}
	}
	return &loads{step: step, n: int(math.Ceil(1/step-1e-9)) - 1}, nil
}

func (l *loads) count() int { return l.n }

// at is rounded, so that 0.95 is written 0.95.
func (l *loads) at(i int) float64 { return math.Round(float64(i+1)*l.step*1e9) / 1e9 }

func (l *loads) cell(template *scenarios.Cell, i int) (*scenarios.Cell, string, error) {
	load := l.at(i)
	c := template.AtRate(load * scenarios.Capacity(template.Setup))
	c.Load = &load
	return c, "", nil
}

func (l *loads) describe(doc *reports.Capacity) {
	doc.Vary, doc.Step, doc.Easiest, doc.Hardest = reports.VaryLoad, l.step, l.at(0), l.at(l.n-1)
}

// key varies a whole number of the scenario under fixed traffic.
type key struct {
	q      *quest
	path   string
	first  int // the easiest value
	last   int
	rate   float64
	paths  []string // that may stand for path; the first that the scenario has is used
	groups []int    // replicas of the groups when path means the whole fleet
	prefix string   // of the fleet's keys
	plans  map[int]*scenarios.Plan
}

// allReplicas varies the whole fleet, its groups in proportion.
const allReplicas = "replicas"

func newKey(q *quest, at *float64, unit string) (*key, error) {
	k := &key{q: q, plans: map[int]*scenarios.Plan{}}
	path, span, err := pair(q.cmd.Over, "--over")
	lo, hi, ok := strings.Cut(span, "..")
	a, errA := strconv.Atoi(lo)
	b, errB := strconv.Atoi(hi)
	if err != nil || !ok || errA != nil || errB != nil || a == b || a < 0 || b < 0 {
		return nil, fmt.Errorf("--over %s: write PATH=LO..HI with whole numbers, such as replicas=10..120", q.cmd.Over)
	}
	k.path, k.first, k.last = path, b, a // more is easier
	if err := k.traffic(at, unit); err != nil {
		return nil, err
	}
	if path == allReplicas {
		if len(q.plan.Cells[0].Setup.Services) > 1 {
			return nil, fmt.Errorf("--over %s: there are several services; name the key, such as services.NAME.fleet.replicas=10..120", q.cmd.Over)
		}
		for _, g := range q.plan.Cells[0].Setup.Services[0].Groups {
			k.groups = append(k.groups, g.Replicas)
		}
	}
	_, err = k.plan(k.first)
	return k, err
}

// traffic is what the fleet must carry: as asked, else the most the scenario offers.
func (k *key) traffic(at *float64, unit string) error {
	cells := k.q.plan.Cells
	full := scenarios.Capacity(cells[0].Setup)
	switch {
	case at != nil && !(*at > 0):
		return fmt.Errorf("--at %s: it must be above 0", k.q.cmd.At)
	case at != nil && unit == "rate":
		k.rate = *at
	case at != nil && full <= 0:
		return fmt.Errorf("--at %s: the load of %s is not known; write rate=X", k.q.cmd.At, k.q.plan.Name)
	case at != nil:
		k.rate = *at * full
	default:
		for _, c := range cells {
			k.rate = max(k.rate, c.RateRPS)
		}
	}
	return nil
}

func (k *key) count() int { return max(k.first-k.last, k.last-k.first) + 1 }

func (k *key) value(i int) int {
	if k.first > k.last {
		return k.first - i
	}
	return k.first + i
}

func (k *key) at(i int) float64 { return float64(k.value(i)) }

func (k *key) describe(doc *reports.Capacity) {
	doc.Vary, doc.Step, doc.Easiest, doc.Hardest = k.path, 1, float64(k.first), float64(k.last)
	doc.RateRPS = &k.rate
}

func (k *key) cell(template *scenarios.Cell, i int) (*scenarios.Cell, string, error) {
	p, err := k.plan(k.value(i))
	if err != nil {
		return nil, "", err
	}
	for _, c := range p.Cells {
		if seriesName(c) != seriesName(template) {
			continue
		}
		out := c.AtRate(k.rate)
		if out.Load != nil && *out.Load >= 1 && !p.AllowOverload {
			return out, "the load would be " + chart.Percent(*out.Load), nil
		}
		return out, "", nil
	}
	return nil, "", fmt.Errorf("--over %s: %s is gone at %d", k.q.cmd.Over, seriesName(template), k.value(i))
}

// plan is the scenario with the key set, checked as a whole.
func (k *key) plan(value int) (*scenarios.Plan, error) {
	if p := k.plans[value]; p != nil {
		return p, nil
	}
	q := k.q
	var first []scenarios.Problem
	for _, sets := range k.sets(value) {
		opt := q.s.loadOptions(&q.cmd.Scenarios)
		opt.Set = append(slices.Clone(opt.Set), sets...)
		plans, problems := scenarios.Load([]scenarios.Source{{Name: q.plan.File, Data: q.plan.Source}}, opt)
		if len(problems) > 0 {
			if first == nil {
				first = problems
			}
			continue
		}
		if err := only(plans[0], q.selections); err != nil {
			return nil, err
		}
		k.plans[value] = plans[0]
		return plans[0], nil
	}
	return nil, fmt.Errorf("--over %s: with %s = %d: %s", q.cmd.Over, k.path, value, first[0].Message)
}

// sets are the ways to write the value into the scenario, to be tried in turn.
func (k *key) sets(value int) [][]string {
	if k.path != allReplicas {
		return [][]string{{fmt.Sprintf("%s=%d", k.path, value)}}
	}
	service := k.q.plan.Cells[0].Setup.Services[0].Name
	var out [][]string
	for _, fleet := range []string{"fleet", "services." + service + ".fleet"} {
		var groups []string
		for i, n := range shareOut(value, k.groups) {
			groups = append(groups, fmt.Sprintf("%s.groups[%d].replicas=%d", fleet, i, n))
		}
		if len(k.groups) == 1 {
			out = append(out, []string{fmt.Sprintf("%s.replicas=%d", fleet, value)})
		}
		out = append(out, groups)
	}
	return out
}

// shareOut divides total in the proportion of parts, by largest remainders; the
// first of equal ones is served first.
func shareOut(total int, parts []int) []int {
	sum := 0
	for _, p := range parts {
		sum += p
	}
	out, rest, left := make([]int, len(parts)), make([]int, len(parts)), total
	if sum == 0 {
		return out
	}
	order := make([]int, len(parts))
	for i, p := range parts {
		out[i], rest[i], order[i] = total*p/sum, total*p%sum, i
		left -= out[i]
	}
	slices.SortStableFunc(order, func(a, b int) int { return rest[b] - rest[a] })
	for _, i := range order[:left] {
		out[i]++
	}
	return out
}

// seriesName tells the answers of a search apart: policy and swept axes.
func seriesName(c *scenarios.Cell) string {
	return chart.Label(reports.Cell{Policy: c.Policy, Axes: c.Axes})
}
