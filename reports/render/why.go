package render

import (
	"fmt"
	"strings"

	"taillab/reports"
	"taillab/reports/chart"
)

// tailWords say where the time of a slow request goes, in the order of its life.
var tailWords = [6]string{"held in the front end", "waiting for quota", "on the network", "in the replica's queue", "waiting for a batch", "in service"}

func tailParts(t *reports.Tail) [6]*float64 {
	return [6]*float64{t.HeldMS, t.QuotaMS, t.NetworkMS, t.QueueMS, t.BatchMS, t.ServiceMS}
}

// why explains P99 of the cells shown, best first: what the latency of the requests at
// or above it consists of, and which part makes the difference to the best.
func why(v view) []string {
	var out []string
	var best *reports.Cell
	for i := range v.rows {
		c := &v.rows[i]
		if c.Tail == nil {
			continue
		}
		line := chart.Label(*c) + ": " + madeOf(c.Tail)
		if best == nil {
			best = c
		} else {
			line += difference(best, c)
		}
		out = append(out, line+".")
	}
	return out
}

// total is the sum of the known parts.
func total(t *reports.Tail) (sum float64) {
	for _, p := range tailParts(t) {
		if p != nil {
			sum += *p
		}
	}
	return sum
}

// madeOf says the parts that are at least a tenth of the whole.
func madeOf(t *reports.Tail) string {
	sum := total(t)
	var parts []string
	for i, p := range tailParts(t) {
		if p != nil && sum > 0 && *p >= sum/10 {
			parts = append(parts, fmt.Sprintf("%s %s", chart.Latency(*p), tailWords[i]))
		}
	}
	if len(parts) == 0 {
		return "no part was reported"
	}
	return "requests at or above P99 take " + chart.Latency(sum) + " on average, " + strings.Join(parts, ", ")
}

// difference names the part that grew most against the best policy.
func difference(best, c *reports.Cell) string {
	a, b := tailParts(best.Tail), tailParts(c.Tail)
	most, at := 0.0, -1
	for i := range b {
		if a[i] != nil && b[i] != nil && *b[i]-*a[i] > most {
			most, at = *b[i]-*a[i], i
		}
	}
	more := total(c.Tail) - total(best.Tail)
	if at < 0 || more <= 0 {
		return ""
	}
	return fmt.Sprintf("; %s more than %s, mostly %s (+%s)", chart.Latency(more), chart.Label(*best), tailWords[at], chart.Latency(most))
}
