package telemetry

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"
)

// Result is what a run of telemetry saw.
type Result struct {
	Rows []Row // by time, then source

	// Throttled tells that a GPU was seen below its clocks for want of power or cooling:
	// no verdict on the run. Readings are snapshots: throttling between two is missed.
	Throttled bool
	Reasons   uint64 // all throttling reasons seen, see ReasonNames

	EnergyJ float64 // of all GPUs that count it, first to last reading; NaN = unknown
	// Shares of the host's CPU over the whole run, 0…1; NaN = unknown. An emulated
	// backend in the same process is no other.
	Steal, Other float64

	Notes []string // what was absent, and why
}

func emptyResult() Result {
	return Result{EnergyJ: math.NaN(), Steal: math.NaN(), Other: math.NaN()}
}

// finish makes the result; r.mu is held.
func (r *Run) finish() {
	r.result = emptyResult()
	r.result.Throttled, r.result.Reasons = r.seen != 0, r.seen
	rows := slices.Clone(r.rows) // a source that hangs may still add to the other
	slices.SortStableFunc(rows, func(a, b Row) int {
		return cmp.Or(cmp.Compare(a.At, b.At), cmp.Compare(a.Source, b.Source))
	})
	r.result.Rows = rows
	r.result.EnergyJ = energy(rows)
	r.result.Steal = overSpans(rows, func(s *Self) float64 { return s.Steal })
	r.result.Other = overSpans(rows, func(s *Self) float64 { return s.Other })
	notes := r.notes
	for _, st := range r.state {
		notes = append(notes, st.notes()...)
	}
	if r.full {
		notes = append(notes, fmt.Sprintf("telemetry keeps %d readings, later ones only counted for throttling: take a longer period", r.limit))
	}
	slices.Sort(notes) // sources end in any order
	r.result.Notes = slices.Compact(notes)
}

// notes says what is missing of a source.
func (s *state) notes() []string {
	var out []string
	if !s.ended {
		out = append(out, s.name+": did not end when it was told to; what it read later is missing")
	}
	if s.bad > 0 {
		out = append(out, fmt.Sprintf("%s: %d of %d readings failed, the last: %v", s.name, s.bad, s.bad+s.good, s.last))
	}
	if s.gpus && !s.reasoned {
		out = append(out, s.name+": does not tell why clocks are slow: throttling went unseen (a DCGM exporter tells it with the counter DCGM_FI_DEV_CLOCKS_EVENT_REASONS)")
	}
	return out
}

// energy adds up what the counter of each GPU gained. Instances of one GPU repeat its
// counter; of two sources that see the same one the first to tell it counts.
func energy(rows []Row) float64 {
	type span struct {
		source      string
		first, last float64
	}
	var order []string
	spans := make(map[string]*span)
	for i := range rows {
		g := rows[i].GPU
		if g == nil || math.IsNaN(g.EnergyJ) {
			continue
		}
		key := g.UUID
		if key == "" {
			key = fmt.Sprintf("%s %d", rows[i].Source, g.Index)
		}
		s := spans[key]
		if s == nil {
			s = &span{source: rows[i].Source, first: g.EnergyJ}
			spans[key] = s
			order = append(order, key)
		}
		if s.source == rows[i].Source {
			s.last = g.EnergyJ
		}
	}
	total := 0.0
	for _, key := range order {
		gain := spans[key].last - spans[key].first
		if gain < 0 { // the driver was loaded anew
			return math.NaN()
		}
		total += gain
	}
	if len(order) == 0 {
		return math.NaN()
	}
	return total
}

// overSpans is the mean of a client's figure, weighted by the spans that know it.
func overSpans(rows []Row, figure func(*Self) float64) float64 {
	total, known := 0.0, time.Duration(0)
	for i := range rows {
		if s := rows[i].Self; s != nil {
			if v := figure(s); !math.IsNaN(v) {
				total, known = total+v*float64(s.Span), known+s.Span
			}
		}
	}
	return total / float64(known) // 0/0 is NaN
}
