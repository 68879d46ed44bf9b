package main

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	"taillab/scenarios"
)

// bench runs rows and prints them.
type bench struct {
	out, notes io.Writer
	runs       int
	length     time.Duration // of one run
}

// row is one measure: what it gives here and with peers.
type row struct {
	name  string
	goal  string // of ours, in words
	show  func(figures) string
	meets func(figures) bool // nil: nothing is asked
	lines []line
}

// figures are what one run gives, in the order that show prints them.
type figures []float64

// line is one contender of a row.
type line struct {
	who string // "" = our driver
	run func(ctx context.Context, length time.Duration, seed uint64) (figures, []string, error)
}

// row measures all contenders of a row and prints a line for each.
func (b *bench) row(ctx context.Context, r *row) error {
	for _, l := range r.lines {
		var list []figures
		notes := map[string]bool{}
		for k := range b.runs {
			f, unsound, err := l.run(ctx, b.length, uint64(k+1))
			if missing, ok := err.(absent); ok {
				fmt.Fprintf(b.out, "| %s | %s | not at hand | | |\n", r.name, string(missing))
				list = nil
				break
			}
			if err != nil {
				return err
			}
			list = append(list, f)
			for _, n := range unsound {
				fmt.Fprintf(b.notes, "livebench: %s %s, run %d: %s\n", r.name, l.who, k+1, n)
				notes["not soundly measured"] = true
			}
		}
		if list == nil {
			continue
		}
		m := median(list)
		goal, mark := "", ""
		if l.who == "" {
			goal = r.goal
			switch {
			case r.meets == nil:
			case r.meets(m):
				mark = "met"
			default:
				mark = "missed"
			}
		}
		for n := range notes {
			mark += " (" + n + ")"
		}
		fmt.Fprintf(b.out, "| %s | %s | %s | %s | %s |\n", r.name, l.who, r.show(m), goal, mark)
	}
	return nil
}

// median is that of every figure on its own.
func median(list []figures) figures {
	out := make(figures, len(list[0]))
	for i := range out {
		var x []float64
		for _, f := range list {
			x = append(x, f[i])
		}
		slices.Sort(x)
		out[i] = (x[(len(x)-1)/2] + x[len(x)/2]) / 2
	}
	return out
}

// absent is the error of a peer that is not installed.
type absent string

func (a absent) Error() string { return string(a) + " is not installed" }

func rows() []row {
	var out []row
	for _, f := range []struct{ rate, goal float64 }{{500, 1}, {2000, 3}, {8000, 6}} {
		out = append(out, row{
			name: fmt.Sprintf("P95, P99 against the server's own, which freezes; %g/s", f.rate), goal: fmt.Sprintf("≤ %g%%", f.goal),
			show:  func(x figures) string { return fmt.Sprintf("%+.1f%%, %+.1f%%", x[0], x[1]) },
			meets: func(x figures) bool { return max(x[0], -x[0], x[1], -x[1]) <= f.goal },
			lines: []line{{"", frozen(f.rate, driveIn)}, {"vegeta", frozen(f.rate, vegeta)}},
		})
	}
	out = append(out,
		row{name: "the same freezes seen by 16 clients in a closed loop: P95 too low by", show: func(x figures) string { return fmt.Sprintf("×%.0f", x[0]) },
			lines: []line{{"closed loop", closedLoop}}},
		row{name: "P50 over the server's, delivered; 8000/s", goal: "≤ 8%, 100%",
			show:  func(x figures) string { return fmt.Sprintf("%+.1f%%, %.2f%%", x[0], x[1]) },
			meets: func(x figures) bool { return x[0] <= 8 && x[1] == 100 },
			lines: []line{{"", median8000(driveIn)}, {"vegeta", median8000(vegeta)}}})
	for _, rate := range []float64{12_000, 20_000} {
		out = append(out, row{name: fmt.Sprintf("client CPU per request, delivered; %g/s", rate), goal: "≤ 35 µs, 100%",
			show:  func(x figures) string { return fmt.Sprintf("%.1f µs, %.2f%%", x[0], x[1]) },
			meets: func(x figures) bool { return x[0] <= 35 && x[1] == 100 },
			lines: []line{{"", cpuPerRequest(rate, driveIn)}, {"vegeta", cpuPerRequest(rate, vegeta)}}})
	}
	for _, p := range []struct {
		pacing   string
		p50, p99 float64
	}{{scenarios.PacingFine, 70, 250}, {scenarios.PacingCoarse, 500, 1100}} {
		out = append(out, row{name: "lateness of sends P50, P99; 2000/s, " + p.pacing, goal: fmt.Sprintf("≤ %g, %g µs", p.p50, p.p99),
			show:  func(x figures) string { return fmt.Sprintf("%.0f, %.0f µs", x[0], x[1]) },
			meets: func(x figures) bool { return x[0] <= p.p50 && x[1] <= p.p99 },
			lines: []line{{"", lateness(p.pacing)}}})
	}
	ms := func(x figures) string { return fmt.Sprintf("%.1f ms", x[0]) }
	return append(out,
		row{name: "P99 of p2c; 8 backends of 2 slots, two of them slow, 1400/s", goal: "≤ 38 ms", show: ms,
			meets: func(x figures) bool { return x[0] <= 38 },
			lines: []line{{"", balanced("p2c")}, {"nginx random two", proxied(nginx, "random two least_conn;")}, {"haproxy random(2)", proxied(haproxy, "random(2)")}}},
		row{name: "P99 of least-outstanding; the same", goal: "≤ 40 ms", show: ms,
			meets: func(x figures) bool { return x[0] <= 40 },
			lines: []line{{"", balanced("least-outstanding")}, {"nginx least_conn", proxied(nginx, "least_conn;")}, {"haproxy leastconn", proxied(haproxy, "leastconn")}}})
}
