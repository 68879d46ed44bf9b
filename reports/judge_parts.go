package reports

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// quantity is what a gate tests of a cell: a metric or a ratio of two.
type quantity struct {
	num, den           MetricInfo
	numGroup, denGroup *GroupRef
	ratio              bool
}

func (j *judging) quantity(m GateMetric, den *GateMetric) quantity {
	q := quantity{numGroup: m.Group}
	q.num, _ = findMetric(m.Name, j.opt.Metrics)
	if den != nil {
		q.ratio, q.denGroup = true, den.Group
		q.den, _ = findMetric(den.Name, j.opt.Metrics)
	}
	return q
}

func (q quantity) metrics() []MetricInfo {
	if q.ratio {
		return []MetricInfo{q.num, q.den}
	}
	return []MetricInfo{q.num}
}

func (q quantity) unit() string {
	if q.ratio {
		return "ratio"
	}
	return q.num.Unit
}

func (q quantity) name() string {
	if q.ratio {
		return q.num.Name + "/" + q.den.Name
	}
	return q.num.Name
}

// better of a ratio is that of its numerator.
func (q quantity) better() string { return q.num.Better }

// log says whether values are compared on ln x: ratios always are.
func (q quantity) log() bool { return q.ratio || q.num.Log }

// arithmetic is true for the mean, whose cell value is an arithmetic mean over
// parts: against a constant its interval is formed on the values themselves.
func (q quantity) arithmetic() bool { return !q.ratio && q.num.Name == "mean" }

// summed is true for metrics whose cell value is a sum over parts; gates and
// comparisons are about one part.
func (q quantity) summed() bool { return q.num.Name == "gpu_seconds" || q.num.Name == "requests" }

// same says whether two gates' sides test the same thing.
func (q quantity) same(o quantity) bool {
	return q.num == o.num && q.den == o.den && q.ratio == o.ratio && sameGroup(q.numGroup, o.numGroup) && sameGroup(q.denGroup, o.denGroup)
}

func sameGroup(a, b *GroupRef) bool {
	if a == nil || b == nil {
		return a == b
	}
	return *a == *b
}

func (q quantity) latency() bool { return latencyMetric(q.num) }

// value is the quantity of the whole cell, as tables print it; a ratio and the
// maximum are geometric means over parts, sums are given for one part.
func (q quantity) value(c *Cell) *float64 {
	if c.Unit != UnitSection && q.log() && (q.ratio || q.num.Name == "max") {
		if xs := q.parts(c); len(xs) > 0 {
			if v, _ := LogInterval(xs, DefaultConfidence); v != nil {
				return v
			}
		}
	}
	if c.Unit != UnitSection && !q.ratio && q.summed() {
		if xs := q.parts(c); len(xs) > 0 {
			return finite(estimateOf(xs).mean)
		}
	}
	num := metricOf(q.num, q.numGroup, c.Groups, func(m MetricInfo) *float64 { return cellValue(c, m) })
	if !q.ratio {
		return num
	}
	return divide(num, metricOf(q.den, q.denGroup, c.Groups, func(m MetricInfo) *float64 { return cellValue(c, m) }))
}

// of is the quantity of one part.
func (q quantity) of(p *Part) *float64 {
	num := metricOf(q.num, q.numGroup, p.Groups, func(m MetricInfo) *float64 { return partValue(p, m) })
	if !q.ratio {
		return num
	}
	return divide(num, metricOf(q.den, q.denGroup, p.Groups, func(m MetricInfo) *float64 { return partValue(p, m) }))
}

func divide(a, b *float64) *float64 {
	if a == nil || b == nil || *b == 0 {
		return nil
	}
	return finite(*a / *b)
}

func metricOf(m MetricInfo, ref *GroupRef, groups []Group, whole func(MetricInfo) *float64) *float64 {
	if ref == nil {
		return whole(m)
	}
	if g := findGroup(groups, ref); g != nil {
		return groupValue(g, m)
	}
	return nil
}

func findGroup(groups []Group, ref *GroupRef) *Group {
	for i := range groups {
		if groups[i].By == ref.By && groups[i].Name == ref.Name {
			return &groups[i]
		}
	}
	return nil
}

// parts are the values of all parts, nil if one lacks it.
func (q quantity) parts(c *Cell) []float64 { return values(c.Parts, q.of) }

// absent says why the cell does not have the quantity at all.
func (q quantity) absent(c *Cell) string {
	for _, ref := range []*GroupRef{q.numGroup, q.denGroup} {
		if ref == nil || findGroup(c.Groups, ref) != nil {
			continue
		}
		if findGroup(c.Groups, &GroupRef{By: ref.By, Name: "other"}) != nil {
			return fmt.Sprintf("%s %s is summed in `other`: only the 32 with the largest share are kept apart", ref.By, ref.Name)
		}
		return fmt.Sprintf("%s %s has no statistics of its own in this cell", ref.By, ref.Name)
	}
	if q.value(c) != nil {
		return ""
	}
	switch {
	case c.Completed == 0 && q.latency():
		return "no request completed"
	case q.latency() && permille(q.num.Name) > 0 && !strings.Contains(q.num.Name, "_"):
		return fmt.Sprintf("few-samples: %s needs %s completed requests per %s", q.num.Name, thousands(30_000/(1000-permille(q.num.Name))), runUnit(c.Unit))
	case q.num.Name == "goodput":
		return "goodput needs `measure.slo`"
	}
	return q.name() + " is not known for this cell"
}

// missing counts requests that a percentile of the quantity does not hold.
func (q quantity) missing(c *Cell) (failed, unfinished, requests int64) {
	if g := q.numGroup; g != nil {
		if x := findGroup(c.Groups, g); x != nil && x.ErrorRate != nil {
			return int64(math.Round(*x.ErrorRate * float64(x.Requests))), 0, x.Requests
		}
		return 0, 0, 0
	}
	return c.Requests - c.Completed, c.Errors["unfinished"], c.Requests
}

// sample returns the parts' values of a quantity, or why they carry no interval.
func (j *judging) sample(q quantity, c *Cell) ([]float64, string) {
	if reason := j.tooFew(c.Unit, len(c.Parts)); reason != "" {
		return nil, reason
	}
	xs := q.parts(c)
	if xs == nil {
		return nil, fmt.Sprintf("few-samples: %s is not known for every %s", q.name(), c.Unit)
	}
	return xs, ""
}

// tooFew says why n parts are not enough.
func (j *judging) tooFew(unit string, n int) string {
	switch {
	case unit == UnitBlock && n < minBlocks:
		return fmt.Sprintf("needs at least %d block pairs", minBlocks)
	case unit == UnitSection && j.opt.Live && n < minLiveSections:
		return fmt.Sprintf("needs at least %d sections", minLiveSections)
	case unit == UnitSection && n < minSections:
		return fmt.Sprintf("needs at least %d sections", minSections)
	case n < 2:
		return "needs at least 2 seeds"
	}
	return ""
}

// labelAt is where label stands among the policies joined by `/` in a cell's
// name, −1 if it does not.
func labelAt(policy, label string) int {
	for i, part := range strings.Split(policy, "/") {
		if part == label {
			return i
		}
	}
	return -1
}

// withLabel replaces one policy of a joined name; a negative index means all of it.
func withLabel(policy string, index int, label string) string {
	if index < 0 {
		return label
	}
	parts := strings.Split(policy, "/")
	parts[index] = label
	return strings.Join(parts, "/")
}

// onAxes says whether a cell stands at all given axis values.
func onAxes(c *Cell, axes []GateAxis) bool {
	for _, a := range axes {
		if a.Axis == "load" && c.Load != nil {
			if !sameValue(*c.Load, a.Value) {
				return false
			}
			continue
		}
		v, ok := c.Axes[a.Axis]
		if !ok || !sameValue(v, a.Value) {
			return false
		}
	}
	return true
}

// sameValue compares an axis value with what a gate says: as text, as a number
// (85% is 0.85) or as a duration.
func sameValue(v any, written string) bool {
	have := fmt.Sprint(v)
	if have == written {
		return true
	}
	a, okA := asNumber(have)
	b, okB := asNumber(written)
	return okA && okB && math.Abs(a-b) <= 1e-9*max(math.Abs(a), math.Abs(b))
}

func asNumber(s string) (float64, bool) {
	if x, err := strconv.ParseFloat(s, 64); err == nil && !math.IsNaN(x) && !math.IsInf(x, 0) {
		return x, true
	}
	if p, ok := strings.CutSuffix(s, "%"); ok {
		x, err := strconv.ParseFloat(p, 64)
		return x / 100, err == nil
	}
	d, err := time.ParseDuration(s)
	return d.Seconds(), err == nil
}

// sameCell says whether two cells differ in their policy only.
func sameCell(a, b *Cell) bool {
	return (a.Load == nil) == (b.Load == nil) && (a.Load == nil || sameValue(*a.Load, fmt.Sprint(*b.Load))) && sameAxes(a.Axes, b.Axes)
}

// sameAxes compares by printed value: a summary read back from JSON holds
// float64 where a fresh one holds int.
func sameAxes(a, b map[string]any) bool {
	if len(a) != len(b) {
		return false
	}
	for name, v := range a {
		w, ok := b[name]
		if !ok || !sameValue(v, fmt.Sprint(w)) {
			return false
		}
	}
	return true
}

// atText names the place of a cell in the sweep, axes in order.
func atText(c *Cell) string {
	var b strings.Builder
	if c.Load != nil {
		b.WriteString(" at load " + number(*c.Load))
	}
	for _, name := range sortedKeys(c.Axes) {
		if b.Len() == 0 {
			b.WriteString(" at")
		} else {
			b.WriteString(",")
		}
		b.WriteString(" " + name + " " + fmt.Sprint(c.Axes[name]))
	}
	return b.String()
}
