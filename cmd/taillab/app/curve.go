package app

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"taillab/realrun"
	"taillab/scenarios"
	"taillab/sim/gpu"
	"taillab/sim/gpu/fit"
)

// fitCurve fits a latency model to measured batches and writes it as a profile, which
// fleet.gpu of a scenario and profile of a targets file take.
func (c *calibrateCmd) fitCurve(s *session) int {
	src, err := scenarios.ReadInput("file of points", c.Points, s.Stdin)
	if err != nil {
		return s.fail(exitUsage, "", "--points: %v", err)
	}
	points, err := readPoints(src.Data)
	if err != nil {
		return s.fail(exitUsage, "a header such as batch,ms or items,tokens,tokens_sq,ms, then one batch per line", "%s: %v", src.Name, err)
	}
	return c.writeCurve(s, points, src.Name)
}

// maxSweep bounds the batches that are measured.
const maxSweep = 1024

// sweep measures batches of the backends and fits a latency model to them.
func (c *calibrateCmd) sweep(s *session) int {
	switch {
	case c.Sweep < 2 || c.Sweep > maxSweep:
		return s.fail(exitUsage, "", "--sweep is %d: it must lie in [2, %d]", c.Sweep, maxSweep)
	case gpu.Kind(c.Kind) != gpu.Affine:
		return s.fail(exitUsage, "measure batches of different sizes in tokens yourself, and fit them with --points FILE.csv", "--sweep measures batches of equal requests, which tell a model of kind affine only")
	}
	targets, code := c.read(s)
	if code != exitOK {
		return code
	}
	batches, err := realrun.MeasureBatches(s.ctx, targets, c.Sweep, c.Input)
	if err != nil {
		if code := s.stopped.get(); code != 0 {
			return s.fail(code, "", "interrupted: no profile was written")
		}
		return s.fail(exitBroken, "", "%v", err)
	}
	var points []fit.Point
	for _, b := range batches {
		points = append(points, fit.Point{Items: float64(b.Size), MS: float64(b.Time) / 1e6})
		fmt.Fprintf(s.out, "backend %-3d batch %-4d %v\n", b.Backend, b.Size, rounded(b.Time))
	}
	return c.writeCurve(s, points, fmt.Sprintf("%s, bursts of requests of %d tokens", c.Targets, c.Input))
}

// writeCurve fits a latency model to points and writes it as a profile.
func (c *calibrateCmd) writeCurve(s *session, points []fit.Point, source string) int {
	spec, r, err := fit.Fit(gpu.Kind(c.Kind), points)
	if err != nil {
		return s.fail(exitUsage, "", "%s: %v", source, err)
	}
	for _, p := range points { // a model is not asked beyond what was measured
		spec.MaxBatch = max(spec.MaxBatch, int(p.Items))
	}
	if err := writeFile(c.Profile, curveYAML(&spec, &r, source)); err != nil {
		return s.fail(exitBroken, "", "%v", err)
	}
	fmt.Fprintf(s.out, "model      %s\n", curveText(&spec))
	fmt.Fprintf(s.out, "points     %d   mean error %.1f%%, each left out %.1f%%, worst point %d by %+.1f%%\n", r.N, r.MAPE, r.LOO, r.Worst+1, r.WorstErr)
	fmt.Fprintf(s.out, "profile    %s\n", c.Profile)
	for _, w := range r.Warnings {
		s.note("taillab: %s", w)
	}
	return exitOK
}

// curveText is the fitted part of a spec as a profile writes it.
func curveText(m *gpu.Spec) string {
	switch m.Kind {
	case gpu.AffineTokens:
		return fmt.Sprintf("kind: affine-tokens, a: %v, b: %v, c: %v", m.A, m.B, m.C)
	case gpu.Hinge:
		return fmt.Sprintf("kind: hinge, f: %v, s: %v, k: %g", m.F, m.S, m.K)
	}
	return fmt.Sprintf("kind: affine, a: %v, b: %v", m.A, m.B)
}

func curveYAML(m *gpu.Spec, r *fit.Report, source string) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "# Fitted by taillab calibrate: mean error of %d points %.1f%%, each left out %.1f%%.\n", r.N, r.MAPE, r.LOO)
	fmt.Fprintf(&b, "name: fitted-%s\nsource: %q\nfitted_from: \"batches and their times\"\nn: %d\n", m.Kind, source, r.N)
	if r.LOO == r.LOO { // known
		fmt.Fprintf(&b, "loo_mape: %.2f\n", r.LOO)
	}
	b.WriteString(strings.ReplaceAll(curveText(m), ", ", "\n"))
	fmt.Fprintf(&b, "\nmax_batch: %d\nslots: %d\n", m.MaxBatch, m.Slots)
	return b.Bytes()
}

// readPoints reads a CSV of measured batches by the names of its columns: batch or
// items, tokens, tokens_sq, and ms or latency_ms. A batch that is not given is 1.
func readPoints(data []byte) ([]fit.Point, error) {
	in := csv.NewReader(bytes.NewReader(data))
	in.Comment, in.TrimLeadingSpace = '#', true
	head, err := in.Read()
	if err != nil {
		return nil, errors.New("there is no header")
	}
	fields := map[string]func(*fit.Point) *float64{
		"batch": func(p *fit.Point) *float64 { return &p.Items }, "items": func(p *fit.Point) *float64 { return &p.Items },
		"tokens": func(p *fit.Point) *float64 { return &p.Tokens }, "tokens_sq": func(p *fit.Point) *float64 { return &p.TokensSq },
		"ms": func(p *fit.Point) *float64 { return &p.MS }, "latency_ms": func(p *fit.Point) *float64 { return &p.MS },
	}
	for _, name := range head {
		if fields[name] == nil {
			return nil, fmt.Errorf("unknown column %q", name)
		}
	}
	var out []fit.Point
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		p := fit.Point{Items: 1}
		for i, text := range row {
			v, err := strconv.ParseFloat(text, 64)
			if err != nil {
				return nil, fmt.Errorf("point %d: %q is no number", len(out)+1, text)
			}
			*fields[head[i]](&p) = v
		}
		out = append(out, p)
	}
}
