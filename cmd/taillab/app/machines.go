package app

import (
	"bytes"
	"encoding/csv"
	"math"
	"slices"
	"strconv"

	"taillab/reports/chart"
)

// telemetryFile is where a run directory keeps what was seen of the machines under a
// run; cell is a name from reports.CellFiles.
func telemetryFile(cell string, seed int) string {
	return "telemetry/" + cell + "." + strconv.Itoa(seed) + ".csv"
}

// gauge is a quantity of telemetry as the timeline shows it: one line per run, of all
// readings of one instant.
type gauge struct {
	name, column string
	join         func([]float64) float64
}

func gauges() []gauge {
	return []gauge{
		{"GPU use, mean share", "util", mean},
		{"SM clock, lowest GPU, MHz", "sm_clock_mhz", slices.Min[[]float64]},
		{"GPU power, all, W", "power_w", sum},
		{"client CPU, cores", "cpu_cores", sum},
	}
}

func sum(x []float64) (s float64) {
	for _, v := range x {
		s += v
	}
	return s
}

func mean(x []float64) float64 { return sum(x) / float64(len(x)) }

// machinePanels draws telemetry, one line per panel under the label of its run. What
// cannot be read is left out: it decides nothing.
func machinePanels(label string, data []byte) []chart.Panel {
	if len(data) == 0 {
		return nil
	}
	var out []chart.Panel
	for _, g := range gauges() {
		if s := g.over(data); len(s.X) > 0 {
			s.Label = label
			out = append(out, chart.Panel{Name: g.name, Series: []chart.Series{s}})
		}
	}
	return out
}

// over follows the quantity through the readings of a CSV of telemetry: after each,
// what all sources told last.
func (g gauge) over(data []byte) (s chart.Series) {
	in := csv.NewReader(bytes.NewReader(data))
	head, err := in.Read()
	time, source, column := slices.Index(head, "t_s"), slices.Index(head, "source"), slices.Index(head, g.column)
	if err != nil || min(time, source, column) < 0 {
		return s
	}
	var told []reading
	for {
		f, err := in.Read()
		if err != nil { // the end, or damage
			return s
		}
		at, wrong := strconv.ParseFloat(f[time], 64)
		v, unknown := strconv.ParseFloat(f[column], 64)
		if wrong != nil || unknown != nil || math.IsNaN(v) || math.IsInf(v, 0) {
			continue
		}
		k := slices.IndexFunc(told, func(r reading) bool { return r.source == f[source] })
		switch {
		case k < 0:
			told = append(told, reading{f[source], at, []float64{v}})
		case told[k].at == at: // a further GPU
			told[k].values = append(told[k].values, v)
		default:
			told[k].at, told[k].values = at, []float64{v}
		}
		if n := len(s.X); n == 0 || s.X[n-1] != at {
			s.X, s.Y = append(s.X, at), append(s.Y, 0)
		}
		var all []float64
		for _, r := range told {
			all = append(all, r.values...)
		}
		s.Y[len(s.Y)-1] = g.join(all)
	}
}

// reading is what one source told last.
type reading struct {
	source string
	at     float64
	values []float64 // of its GPUs
}
