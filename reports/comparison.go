package reports

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// ComparisonSchema is the schema name of Comparison; v1 only ever gains fields.
const ComparisonSchema = "taillab/comparison/v1"

// Comparison is one run held against another, or against a baseline: per metric
// the change of every cell that both have, and the gates of the newer one.
type Comparison struct {
	Schema     string         `json:"schema"`
	Confidence float64        `json:"confidence"`
	Base       ComparedRun    `json:"base"`
	New        ComparedRun    `json:"new"`
	Holm       bool           `json:"holm"` // fails are adjusted for the number of gates
	Verdict    Verdict        `json:"verdict"`
	Invalid    string         `json:"invalid,omitempty"` // which measurement was not sound
	Changed    []string       `json:"changed"`           // keys of the plan that differ
	Metrics    []MetricChange `json:"metrics"`
	OnlyBase   []CellName     `json:"only_base"` // cells that the other side does not have
	OnlyNew    []CellName     `json:"only_new"`
	Gates      []Gate         `json:"gates"`
	Warnings   []Warning      `json:"warnings"`
}

// ComparedRun names one side.
type ComparedRun struct {
	Path         string `json:"path"`
	Scenario     string `json:"scenario"`
	ScenarioHash string `json:"scenario_hash"`
	Host         string `json:"host"`
	Seed         uint64 `json:"seed"`
	StartedAt    string `json:"started_at"` // empty: a baseline
	ToolVersion  string `json:"tool_version"`
	Git          *Git   `json:"git,omitempty"`
}

// MetricChange is one metric over all common cells, in the order of the newer run.
type MetricChange struct {
	Metric  string       `json:"metric"`
	Unit    string       `json:"unit"`
	Better  string       `json:"better"`
	Cells   []CellChange `json:"cells"`
	Groups  []CellChange `json:"groups"`  // the same per tenant, class and service
	Geomean *Geomean     `json:"geomean"` // nil with fewer than two cells, or if a value may be 0
}

// CellName is the place of a cell: policy, load and other axes.
type CellName struct {
	Policy string         `json:"policy"`
	Load   *float64       `json:"load"`
	Axes   map[string]any `json:"axes"`
}

// CellChange is the change of one cell, or of one of its groups.
type CellChange struct {
	CellName
	Group *GroupRef `json:"group"`
	Change
}

// Geomean is the geometric mean over cells.
type Geomean struct {
	Cells  int       `json:"cells"`
	Base   *float64  `json:"base"`
	New    *float64  `json:"new"`
	Change *float64  `json:"change"`
	CI     *Interval `json:"change_ci"` // nil unless all cells are paired by the same seeds
}

// CompareOptions say what to compare.
type CompareOptions struct {
	Metrics    []string // names as in gates; nil: p50 and p99
	Confidence float64  // 0 = DefaultConfidence
	Tolerance  float64  // in percent: a gate `p99 within X% of baseline` for every common cell; 0 = none
	Holm       bool     // adjust fails for the number of gates
	Extra      []MetricInfo
}

// CompareRuns compares base with new. It fails if the hosts differ, if a metric is
// unknown, or if there is no common cell.
func CompareRuns(base, new *Stored, opt CompareOptions) (*Comparison, error) {
	if opt.Confidence == 0 {
		opt.Confidence = DefaultConfidence
	}
	if len(opt.Metrics) == 0 {
		opt.Metrics = []string{"p50", "p99"}
	}
	if base.Host != new.Host {
		return nil, fmt.Errorf("%s is a %s run and %s a %s one: `taillab run --both` compares hosts", base.Path, base.Host, new.Path, new.Host)
	}
	c := comparing{base: base, new: new, opt: opt}
	if err := c.match(); err != nil {
		return nil, err
	}
	out := &Comparison{Schema: ComparisonSchema, Confidence: opt.Confidence, Holm: opt.Holm, Base: sideOf(base), New: sideOf(new),
		Changed: append([]string{}, base.Differs(Key{ScenarioHash: new.ScenarioHash, Host: new.Host, Machine: new.Machine, Plan: new.Plan})...),
		Metrics: []MetricChange{}, OnlyBase: c.alone(base, new), OnlyNew: c.alone(new, base)}
	c.judging = judging{cells: new.Cells, opt: c.judgeOptions()}
	for _, name := range opt.Metrics {
		m, ok := findMetric(name, opt.Extra)
		if !ok {
			p := gateParser{extra: opt.Extra}
			return nil, fmt.Errorf("unknown metric %q: %s", name, p.suggest(name))
		}
		out.Metrics = append(out.Metrics, c.metric(m))
	}
	var err error
	if out.Gates, err = c.gates(); err != nil {
		return nil, err
	}
	out.Verdict = Overall(out.Gates)
	if out.Invalid = c.judging.opt.Invalid; out.Invalid != "" { // also without gates
		out.Verdict = Invalid
	}
	out.Warnings = c.findings(out.Gates)
	return out, nil
}

func sideOf(s *Stored) ComparedRun {
	return ComparedRun{Path: s.Path, Scenario: s.Scenario, ScenarioHash: s.ScenarioHash, Host: s.Host, Seed: s.Seed, StartedAt: s.StartedAt, ToolVersion: s.ToolVersion, Git: s.Git}
}

// JSON is the document, in the one form of JSON that is written to files.
func (c *Comparison) JSON() ([]byte, error) {
	b, err := encodeJSON(c)
	if err != nil {
		return nil, fmt.Errorf("writing the comparison as JSON: %w", err)
	}
	return b, nil
}

// comparing is the work on one comparison.
type comparing struct {
	base, new *Stored
	opt       CompareOptions
	pairs     [][2]*Cell // base, new
	judging   judging
}

// match pairs the cells of equal policy and place.
func (c *comparing) match() error {
	for i := range c.new.Cells {
		if b := sameIn(c.base.Cells, &c.new.Cells[i]); b != nil {
			c.pairs = append(c.pairs, [2]*Cell{b, &c.new.Cells[i]})
		}
	}
	if len(c.pairs) == 0 {
		return fmt.Errorf("%s and %s have no cell in common: %s against %s", c.base.Path, c.new.Path, labelsOf(c.base.Cells), labelsOf(c.new.Cells))
	}
	return nil
}

// sameIn finds the cell at the same place under the same label.
func sameIn(cells []Cell, c *Cell) *Cell {
	for i := range cells {
		if cells[i].Policy == c.Policy && sameCell(&cells[i], c) {
			return &cells[i]
		}
	}
	return nil
}

func labelsOf(cells []Cell) string {
	var out []string
	for i := range cells {
		if !slices.Contains(out, cells[i].Policy) {
			out = append(out, cells[i].Policy)
		}
	}
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(out, " ")
}

// alone lists the cells of a that b does not have.
func (c *comparing) alone(a, b *Stored) []CellName {
	out := []CellName{}
	for i := range a.Cells {
		if sameIn(b.Cells, &a.Cells[i]) == nil {
			out = append(out, nameOf(&a.Cells[i]))
		}
	}
	return out
}

func nameOf(c *Cell) CellName { return CellName{Policy: c.Policy, Load: c.Load, Axes: orEmpty(c.Axes)} }

// metric compares one metric in all common cells and their groups.
func (c *comparing) metric(m MetricInfo) MetricChange {
	out := MetricChange{Metric: m.Name, Unit: m.Unit, Better: m.Better, Cells: []CellChange{}, Groups: []CellChange{}}
	var all []comparison
	for _, p := range c.pairs {
		change, cmp := c.judging.change(p[0], p[1], quantity{num: m})
		out.Cells = append(out.Cells, CellChange{CellName: nameOf(p[1]), Change: change})
		all = append(all, cmp)
		if !m.Group {
			continue
		}
		for _, g := range p[1].Groups {
			ref := &GroupRef{By: g.By, Name: g.Name}
			if findGroup(p[0].Groups, ref) == nil {
				continue
			}
			change, _ := c.judging.change(p[0], p[1], quantity{num: m, numGroup: ref})
			out.Groups = append(out.Groups, CellChange{CellName: nameOf(p[1]), Group: ref, Change: change})
		}
	}
	if m.Log && len(all) > 1 {
		out.Geomean = c.geomean(out.Cells, all)
	}
	return out
}

// geomean averages ln ratios over the cells whose change is known. Where they all
// have the same seeds in pairs, its interval is that of the seeds' own averages:
// the cells of one seed share arrivals, so they are not independent of each other.
func (c *comparing) geomean(cells []CellChange, all []comparison) *Geomean {
	g := &Geomean{}
	var base, new []float64
	mean := map[int]float64{} // of pair i over cells, in ln
	n, paired := -1, true
	for i := range cells {
		if cells[i].Base == nil || cells[i].New == nil || all[i].reason != "" || all[i].change == nil {
			continue
		}
		g.Cells++
		base, new = append(base, *cells[i].Base), append(new, *cells[i].New)
		if n < 0 {
			n = all[i].n
		}
		paired = paired && !all[i].unpaired && all[i].dropped == 0 && all[i].n == n
		if !paired {
			continue
		}
		for k := range all[i].a { // identical cells have no values: their ratios are 1
			mean[k] += all[i].a[k] - all[i].b[k]
		}
	}
	if g.Cells < 2 {
		return nil
	}
	g.Base, _ = LogInterval(base, c.opt.Confidence)
	g.New, _ = LogInterval(new, c.opt.Confidence)
	if g.Base == nil || g.New == nil {
		return nil
	}
	g.Change = finite(*g.New / *g.Base - 1)
	if !paired || n < 2 {
		return g
	}
	ratios := make([]float64, n)
	for k := range ratios {
		ratios[k] = math.Exp(mean[k] / float64(g.Cells))
	}
	if mid, ci := LogInterval(ratios, c.opt.Confidence); mid != nil && ci != nil {
		g.Change, g.CI = finite(*mid-1), interval(ci[0]-1, ci[1]-1)
	}
	return g
}
