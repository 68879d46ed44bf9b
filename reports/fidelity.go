package reports

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"gonum.org/v1/gonum/stat"
)

// FidelitySchema is the schema name of Fidelity; v1 only ever gains fields.
const FidelitySchema = "taillab/fidelity/v1"

// Fidelity says how well the simulator foretold what was measured live, for the same
// plan: cells in scenario order, in each the percentiles and then what the table of its
// policy family shows, and for each of them the simulator as it is, then the calibrated
// one if there is any.
type Fidelity struct {
	Schema string         `json:"schema"`
	RunID  string         `json:"run_id"`
	Cells  []FidelityCell `json:"cells"`
}

// FidelityCell is one metric of one cell in both hosts. Percentiles are in milliseconds,
// metrics of a family in the unit of their name; nil is unknown, such as a percentile of
// too few requests.
type FidelityCell struct {
	Policy string         `json:"policy"`
	Load   *float64       `json:"load"`
	Axes   map[string]any `json:"axes"`
	Metric string         `json:"metric"` // p50 p90 p95 p99, or the JSON name of a family's metric
	Sim    *float64       `json:"sim"`
	Live   *float64       `json:"live"`
	LiveCI *Interval      `json:"live_ci"`
	Error  *float64       `json:"error"` // sim/live − 1
	// Calibrated is true if the simulator added the measured idle overhead.
	Calibrated bool `json:"calibrated"`
}

// Of tells whether c is a percentile of cell.
func (c *FidelityCell) Of(cell *Cell) bool {
	return placeKey(c.Policy, c.Load, c.Axes) == placeKey(cell.Policy, cell.Load, cell.Axes)
}

// FidelityMetrics are the percentiles compared, in order.
func FidelityMetrics() []string { return []string{"p50", "p90", "p95", "p99"} }

// JSON is the document, in the one form of JSON in a run directory.
func (f *Fidelity) JSON() ([]byte, error) {
	b, err := encodeJSON(f)
	if err != nil {
		return nil, fmt.Errorf("writing the comparison of simulator and live run as JSON: %w", err)
	}
	return b, nil
}

// NewFidelity compares the cells of a live run with those that the simulator made of
// the same plan, and with those of the calibrated simulator if there are any. Cells
// that only one host has are left out.
func NewFidelity(live, sim, calibrated []Cell, confidence float64) *Fidelity {
	f := &Fidelity{Schema: FidelitySchema, Cells: []FidelityCell{}}
	for i := range live {
		c := &live[i]
		plain, better := twinOf(sim, c), twinOf(calibrated, c)
		add := func(row func(sim *Cell) FidelityCell) {
			if plain != nil {
				f.Cells = append(f.Cells, row(plain))
			}
			if better != nil {
				x := row(better)
				x.Calibrated = true
				f.Cells = append(f.Cells, x)
			}
		}
		for _, m := range FidelityMetrics() {
			add(func(sim *Cell) FidelityCell { return fidelityOf(c, sim, m, confidence) })
		}
		for _, m := range familyMetrics() {
			if m.Family == c.Family && m.Title != "" && c.Metrics[m.JSON] != nil {
				add(func(sim *Cell) FidelityCell { return familyFidelity(c, sim, m.JSON) })
			}
		}
	}
	return f
}

// familyFidelity compares a metric of a policy family, which has no interval: it is one
// figure of a whole run.
func familyFidelity(live, sim *Cell, metric string) FidelityCell {
	out := FidelityCell{Policy: live.Policy, Load: live.Load, Axes: orEmpty(live.Axes), Metric: metric, Sim: sim.Metrics[metric], Live: live.Metrics[metric]}
	if out.Sim != nil && *out.Live > 0 {
		out.Error = finite(*out.Sim / *out.Live - 1)
	}
	return out
}

// twinOf finds the cell of the other host.
func twinOf(cells []Cell, c *Cell) *Cell {
	want := placeKey(c.Policy, c.Load, c.Axes)
	for i := range cells {
		if t := &cells[i]; t.Family == c.Family && placeKey(t.Policy, t.Load, t.Axes) == want {
			return t
		}
	}
	return nil
}

// placeKey tells cells apart.
func placeKey(policy string, load *float64, axes map[string]any) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%q", policy)
	if load != nil {
		fmt.Fprintf(&b, " %g", *load)
	}
	for _, k := range slices.Sorted(maps.Keys(axes)) {
		fmt.Fprintf(&b, " %q=%q", k, fmt.Sprint(axes[k]))
	}
	return b.String()
}

func fidelityOf(live, sim *Cell, metric string, confidence float64) FidelityCell {
	of := percentileOf(metric)
	out := FidelityCell{Policy: live.Policy, Load: live.Load, Axes: orEmpty(live.Axes), Metric: metric, Sim: of.cell(sim), Live: of.cell(live)}
	if out.Live != nil {
		out.LiveCI = of.interval(live, confidence)
	}
	if out.Sim != nil && out.Live != nil && *out.Live > 0 {
		out.Error = finite(*out.Sim / *out.Live - 1)
	}
	return out
}

// compared is one percentile of cells and parts.
type compared struct {
	cell func(*Cell) *float64
	part func(*Part) *float64
	ci   func(*Cell) *Interval // nil: cells keep none
}

func percentileOf(metric string) compared {
	switch metric {
	case "p50":
		return compared{func(c *Cell) *float64 { return c.P50MS }, nil, func(c *Cell) *Interval { return c.P50CI }}
	case "p90":
		return compared{func(c *Cell) *float64 { return c.P90MS }, func(p *Part) *float64 { return p.P90MS }, nil}
	case "p95":
		return compared{func(c *Cell) *float64 { return c.P95MS }, func(p *Part) *float64 { return p.P95MS }, nil}
	}
	return compared{func(c *Cell) *float64 { return c.P99MS }, nil, func(c *Cell) *Interval { return c.P99CI }}
}

// interval is that of the cell. Where cells keep none it is made of the parts by the
// same rules; the parts are enough and independent if they were for P50.
func (q compared) interval(c *Cell, confidence float64) *Interval {
	if q.ci != nil {
		return q.ci(c)
	}
	xs := values(c.Parts, q.part)
	if c.P50CI == nil || xs == nil {
		return nil
	}
	if c.Unit == UnitSection {
		return SectionInterval(*q.cell(c), xs, confidence)
	}
	_, ci := LogInterval(xs, confidence)
	return ci
}

// FidelityOrder says whether the simulator ranks the policies as the live run does,
// by P99 at one place of the sweep.
type FidelityOrder struct {
	Load       *float64
	Axes       map[string]any
	Calibrated bool
	Policies   int      // whose P99 is known in both
	Tau        *float64 // Kendall's τ of the two orders, −1…1; nil below two policies
	// Separated counts the pairs of policies whose live intervals do not overlap, Kept
	// those of them that the simulator ranks alike. Intervals is false if no pair had two.
	Separated, Kept int
	Intervals       bool
}

// Orders lists the orders of all places, in the order of the cells; at each the
// simulator as it is comes first.
func (f *Fidelity) Orders() []FidelityOrder {
	var keys []string
	rows := map[string][]FidelityCell{}
	for _, c := range f.Cells {
		key := fmt.Sprintf("%s %t", placeKey("", c.Load, c.Axes), c.Calibrated)
		if c.Metric != "p99" {
			continue
		}
		if rows[key] == nil {
			keys = append(keys, key)
		}
		rows[key] = append(rows[key], c)
	}
	out := make([]FidelityOrder, 0, len(keys))
	for _, k := range keys {
		out = append(out, orderOf(rows[k]))
	}
	return out
}

func orderOf(rows []FidelityCell) FidelityOrder {
	o := FidelityOrder{Load: rows[0].Load, Axes: rows[0].Axes, Calibrated: rows[0].Calibrated}
	var sim, live []float64
	var known []FidelityCell
	for _, c := range rows {
		if c.Sim != nil && c.Live != nil {
			sim, live, known = append(sim, *c.Sim), append(live, *c.Live), append(known, c)
		}
	}
	if o.Policies = len(known); o.Policies < 2 {
		return o
	}
	o.Tau = finite(stat.Kendall(sim, live, nil))
	for i := range known {
		for _, b := range known[:i] {
			o.pair(known[i], b)
		}
	}
	return o
}

// pair books whether two policies keep their order.
func (o *FidelityOrder) pair(a, b FidelityCell) {
	if a.LiveCI == nil || b.LiveCI == nil {
		return
	}
	o.Intervals = true
	if a.LiveCI[0] > b.LiveCI[0] {
		a, b = b, a
	}
	if a.LiveCI[1] >= b.LiveCI[0] {
		return
	}
	o.Separated++
	if *a.Sim < *b.Sim {
		o.Kept++
	}
}
