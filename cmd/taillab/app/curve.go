package app

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"

	"taillab/realrun"
	"taillab/scenarios"
	"taillab/sim/gpu"
	"taillab/sim/gpu/fit"
)

// fitPoints fits a latency model to what was measured before and writes it as a
// profile, which fleet.gpu of a scenario and profile of a targets file take.
func (c *calibrateCmd) fitPoints(s *session) int {
	src, err := scenarios.ReadInput("file of points", c.Points, s.Stdin)
	if err != nil {
		return s.fail(exitUsage, "", "--points: %v", err)
	}
	m, err := readMeasured(src.Name, src.Data)
	if err == nil {
		err = m.tolerable(c.SkipBad)
	}
	var f fitted
	if err == nil {
		f, err = c.fit(m)
	}
	if err != nil {
		return s.fail(exitUsage, "a header such as batch,ms or tokens,ms; concurrency,input,output,tpot_ms,ttft_ms; arrival_s,input,output,ttft_ms,e2e_ms; then one row per line", "%s: %v", src.Name, err)
	}
	for _, b := range m.bad {
		f.warnings = append(f.warnings, "left out: "+b)
	}
	return c.write(s, f, src.Name)
}

// fitted is a profile, and how good it is.
type fitted struct {
	profile  gpu.Profile
	lines    []string // for people
	scores   []scored
	report   *fit.Report // nil if no parameters were fitted
	warnings []string
}

// scored is a comparison with a served run.
type scored struct {
	what string
	fit.Scores
}

// fit chooses by the columns what the rows are, and makes a profile of them.
func (c *calibrateCmd) fit(m *measured) (fitted, error) {
	run, loop := m.has("arrival_s", "arrival_ms"), m.has("concurrency")
	tokens := c.kind() == gpu.Tokens
	switch {
	case c.Scale != "" && !run:
		return fitted{}, errors.New("--scale needs a served run: columns arrival_s, input, output, ttft_ms and e2e_ms")
	case c.Scale != "":
		return c.scaled(m)
	case tokens && !run && !loop:
		return fitted{}, errors.New("kind tokens is fitted to closed loops (columns concurrency, input, output, tpot_ms, ttft_ms) or to a served run (arrival_s, input, output, ttft_ms, e2e_ms)")
	case !tokens && (run || loop):
		return fitted{}, fmt.Errorf("kind %s is fitted to batches and their times; these rows make a model of --kind tokens", c.kind())
	case run:
		return c.fitServed(m)
	case loop:
		rows, err := m.loops()
		if err != nil {
			return fitted{}, err
		}
		return c.fitLoops(rows)
	}
	points, err := m.points()
	if err != nil {
		return fitted{}, err
	}
	return c.fitBatches(points)
}

func (c *calibrateCmd) kind() gpu.Kind { return gpu.Kind(c.Kind) }

func (c *calibrateCmd) options() fit.Options {
	if c.Weight == "sqrt" {
		return fit.Options{Weight: fit.Root}
	}
	return fit.Options{}
}

func (c *calibrateCmd) fitBatches(points []fit.Point) (fitted, error) {
	spec, r, err := fit.Fit(c.kind(), points, c.options())
	for _, p := range points { // a model is not asked beyond what was measured
		spec.MaxBatch = max(spec.MaxBatch, int(p.Items))
	}
	return c.made(spec, &r, "batches and their times"), err
}

func (c *calibrateCmd) fitLoops(rows []fit.Loop) (fitted, error) {
	spec, r, err := fit.FitLoops(rows, c.options())
	for _, l := range rows {
		spec.Slots = max(spec.Slots, int(l.Concurrency))
	}
	return c.made(spec, &r, "TPOT of closed loops, TTFT of those of one request"), err
}

func (c *calibrateCmd) fitServed(m *measured) (fitted, error) {
	run, err := m.served()
	if err != nil {
		return fitted{}, err
	}
	spec, r, err := fit.FitServed(run)
	if err != nil {
		return fitted{}, err
	}
	f := c.made(spec, &r, "times from first to last token of a served run")
	if c.Slots == 0 {
		f.warnings = append(f.warnings, fmt.Sprintf("slots: %d, the most requests that were inside at a time; --slots N says what the server takes", spec.Slots))
	}
	if held, err := fit.HoldOut(run); err == nil {
		f.scores = append(f.scores, scored{"fitted to the first third, foretold the others", held})
	} else {
		f.warnings = append(f.warnings, "not held against a part of the run: "+err.Error())
	}
	return f, nil
}

// scaled finds one factor on the times of a profile.
func (c *calibrateCmd) scaled(m *measured) (fitted, error) {
	p, err := scenarios.Profile(c.Scale, "")
	if err != nil {
		return fitted{}, fmt.Errorf("--scale: %w", err)
	}
	run, err := m.served()
	if err != nil {
		return fitted{}, err
	}
	if c.Slots > 0 {
		p.Slots = c.Slots
	}
	x, err := fit.Calibrate(p.Spec, run)
	if err != nil {
		return fitted{}, err
	}
	was := p.Name
	p.Spec, p.Name, p.Derived = x.Spec, was+"-scaled", true
	p.FittedFrom, p.N, p.LOOMAPE = fmt.Sprintf("%s with all times × %.4g, found on the first %d requests of a served run", was, x.Scale, x.From), len(run), nil
	return fitted{profile: p,
		lines: []string{fmt.Sprintf("factor     %.4g on all times of %s, found on the first %d of %d requests", x.Scale, was, x.From, len(run))},
		scores: []scored{
			{fmt.Sprintf("%s as it is, on the other requests", was), x.Before},
			{fmt.Sprintf("times %.4g", x.Scale), x.After}}}, nil
}

// made wraps parameters that were fitted.
func (c *calibrateCmd) made(spec gpu.Spec, r *fit.Report, from string) fitted {
	if c.Slots > 0 {
		spec.Slots = c.Slots
	}
	p := gpu.Profile{Name: "fitted-" + string(spec.Kind), FittedFrom: from, N: r.N, Spec: spec}
	if !math.IsNaN(r.LOO) {
		loo := math.Round(100*r.LOO) / 100
		p.LOOMAPE = &loo
	}
	left := "not known"
	if p.LOOMAPE != nil {
		left = fmt.Sprintf("%.1f%%", r.LOO)
	}
	line := fmt.Sprintf("points     %d   mean error %.1f%%, each left out %s, worst point %d by %+.1f%%", r.N, r.MAPE, left, r.Worst+1, r.WorstErr)
	return fitted{profile: p, lines: []string{line}, report: r, warnings: slices.Clone(r.Warnings)}
}

// write saves the profile and prints what it is and how good.
func (c *calibrateCmd) write(s *session, f fitted, source string) int {
	if f.profile.Source == "" {
		f.profile.Source = source
	}
	text := scenarios.ProfileYAML(f.profile)
	p, err := scenarios.LoadProfile(scenarios.Source{Name: c.Profile, Data: text}) // as it will be read, rounded
	if err != nil {
		return s.fail(exitBroken, "", "%v", err)
	}
	m, problems := gpu.New(p.Spec)
	if len(problems) > 0 {
		return s.fail(exitBroken, "measure more and different points", "%s: what fits best is no model: %s: %s", source, problems[0].Path, problems[0].Msg)
	}
	head := "# Made by taillab calibrate, for fleet.gpu of a scenario.\n"
	err = writeFile(c.Profile, append([]byte(head), text...))
	if c.Residuals != "" && err == nil {
		err = writeFile(c.Residuals, residuals(f.report))
	}
	if err != nil {
		return s.fail(exitBroken, "", "%v", err)
	}
	fmt.Fprintf(s.out, "model      %s\n", m.Formula())
	for _, l := range f.lines {
		fmt.Fprintln(s.out, l)
	}
	for _, x := range f.scores {
		x.print(s.out)
	}
	fmt.Fprintf(s.out, "profile    %s\n", c.Profile)
	for _, w := range f.warnings {
		s.note("taillab: %s", w)
	}
	return exitOK
}

// print shows a score: means in ms, and errors of mean and percentiles.
func (x *scored) print(w io.Writer) {
	fmt.Fprintf(w, "%s (%d)\n", x.what, x.N)
	fmt.Fprintf(w, "      %12s %12s %8s %8s %8s %8s\n", "measured", "foretold", "mean", "P50", "P90", "P99")
	for _, y := range []struct {
		name string
		fit.Score
	}{{"TTFT", x.TTFT}, {"TPOT", x.TPOT}, {"E2E", x.E2E}} {
		if y.Measured[0] > 0 {
			fmt.Fprintf(w, "%-5s %9.5g ms %9.5g ms %+7.1f%% %+7.1f%% %+7.1f%% %+7.1f%%\n", y.name, y.Measured[0], y.Predicted[0], y.Error(0), y.Error(1), y.Error(2), y.Error(3))
		}
	}
}

// residuals are the points of a fit as CSV, in their order.
func residuals(r *fit.Report) []byte {
	var b bytes.Buffer
	w := csv.NewWriter(&b)
	number := func(x float64) string { return strconv.FormatFloat(x, 'g', 6, 64) }
	rows := [][]string{{"point", "measured_ms", "predicted_ms", "error"}}
	for i, x := range r.Residuals {
		rows = append(rows, []string{strconv.Itoa(i + 1), number(x.Measured), number(x.Predicted), number(x.Predicted/x.Measured - 1)})
	}
	_ = w.WriteAll(rows) // a buffer takes all
	return b.Bytes()
}

// maxSweep bounds the batches and loops that are measured.
const maxSweep = 1024

// sweep measures batches, or closed loops, of the backends and fits a model to them.
func (c *calibrateCmd) sweep(s *session) int {
	switch {
	case c.Sweep < 2 || c.Sweep > maxSweep:
		return s.fail(exitUsage, "", "--sweep is %d: it must lie in [2, %d]", c.Sweep, maxSweep)
	case c.kind() != gpu.Affine && c.kind() != gpu.Tokens:
		return s.fail(exitUsage, "measure batches of different sizes in tokens yourself, and fit them with --points FILE.csv", "--sweep measures batches of equal requests, which tell a model of kind affine, or closed loops, which tell one of kind tokens")
	}
	targets, code := c.read(s)
	if code != exitOK {
		return code
	}
	measure := c.sweepBatches
	if c.kind() == gpu.Tokens {
		measure = c.sweepLoops
	}
	f, source, err := measure(s, targets)
	if err != nil {
		if code := s.stopped.get(); code != 0 {
			return s.fail(code, "", "interrupted: no profile was written")
		}
		return s.fail(exitBroken, "", "%v", err)
	}
	return c.write(s, f, source)
}

func (c *calibrateCmd) sweepBatches(s *session, targets *scenarios.Targets) (f fitted, source string, err error) {
	batches, err := realrun.MeasureBatches(s.ctx, targets, c.Sweep, c.Input)
	if err != nil {
		return f, "", err
	}
	var points []fit.Point
	for _, b := range batches {
		points = append(points, fit.Point{Items: float64(b.Size), MS: float64(b.Time) / 1e6})
		fmt.Fprintf(s.out, "backend %-3d batch %-4d %v\n", b.Backend, b.Size, rounded(b.Time))
	}
	f, err = c.fitBatches(points)
	return f, fmt.Sprintf("%s, bursts of requests of %d tokens", c.Targets, c.Input), err
}

func (c *calibrateCmd) sweepLoops(s *session, targets *scenarios.Targets) (f fitted, source string, err error) {
	var rows []fit.Loop
	_, err = realrun.MeasureLoops(s.ctx, targets, c.Sweep, c.Input, c.Output, func(l realrun.Loop) {
		rows = append(rows, fit.Loop{Concurrency: float64(l.Concurrency), Input: l.Input, Output: l.Output, TPOT: float64(l.TPOT) / 1e6, TTFT: float64(l.TTFT) / 1e6})
		fmt.Fprintf(s.out, "backend %-3d %4d requests of %6.0f + %5.0f tokens: TTFT %v, TPOT %v\n", l.Backend, l.Concurrency, l.Input, l.Output, rounded(l.TTFT), rounded(l.TPOT))
	})
	if err != nil {
		return f, "", err
	}
	f, err = c.fitLoops(rows)
	return f, fmt.Sprintf("%s, closed loops of up to %d requests", c.Targets, c.Sweep), err
}
