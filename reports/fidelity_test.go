package reports

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func fidelityCell(policy string, load, p99 float64, ci *Interval) Cell {
	v := func(x float64) *float64 { return &x }
	return Cell{Policy: policy, Family: "balance", Load: &load, Unit: UnitSection, P50MS: v(p99 / 4), P90MS: v(p99 / 2), P99MS: v(p99), P99CI: ci}
}

func TestFidelityErrors(t *testing.T) {
	t.Parallel()
	live := []Cell{fidelityCell("a", 0.5, 100, &Interval{90, 110}), fidelityCell("b", 0.5, 200, nil), fidelityCell("only-live", 0.5, 1, nil)}
	sim := []Cell{fidelityCell("b", 0.5, 150, nil), fidelityCell("a", 0.5, 110, nil), fidelityCell("a", 0.6, 1, nil)}
	better := []Cell{fidelityCell("a", 0.5, 100, nil), fidelityCell("b", 0.5, 180, nil)}
	f := NewFidelity(live, sim, better, 0.95)
	require.Equal(t, FidelitySchema, f.Schema)
	require.Len(t, f.Cells, 2*2*4, "cells of one host only are left out")
	rows := map[string]float64{}
	for i, c := range f.Cells {
		require.Equal(t, i%2 == 1, c.Calibrated, "as it is, then calibrated")
		require.Equal(t, FidelityMetrics()[i/2%4], c.Metric)
		if c.Metric == "p95" {
			require.Nil(t, c.Error, "a percentile that is not known has no error")
			require.Nil(t, c.Live)
			continue
		}
		require.InDelta(t, *c.Sim / *c.Live - 1, *c.Error, 1e-15)
		if c.Calibrated {
			rows[c.Policy+" calibrated"] = *c.Error
		} else {
			rows[c.Policy] = *c.Error
		}
	}
	require.InDeltaMapValues(t, map[string]float64{"a": 0.1, "a calibrated": 0, "b": -0.25, "b calibrated": -0.1}, rows, 1e-12)
	require.Equal(t, &Interval{90, 110}, f.Cells[6].LiveCI)
}

// What the table of a policy family shows is compared behind the percentiles, in the
// metrics' own units; a metric that is not known live is left out.
func TestFidelityOfFamilies(t *testing.T) {
	t.Parallel()
	v := func(x float64) *float64 { return &x }
	cell := func(detection, killed *float64) Cell {
		c := fidelityCell("kpa", 0.5, 100, nil)
		c.Family = "autoscale"
		c.Metrics = map[string]*float64{"detection_s": detection, "killed_requests": killed, "overshoot": v(3), "capacity_s": nil, "denied": v(1)}
		return c
	}
	f := NewFidelity([]Cell{cell(v(4), v(0))}, []Cell{cell(v(5), v(2))}, []Cell{cell(nil, v(0))}, 0.95)
	var got []FidelityCell
	for _, c := range f.Cells[2*len(FidelityMetrics()):] {
		c.Load, c.Axes = nil, nil
		got = append(got, c)
	}
	require.Equal(t, []FidelityCell{
		{Policy: "kpa", Metric: "detection_s", Sim: v(5), Live: v(4), Error: v(0.25)},
		{Policy: "kpa", Metric: "detection_s", Live: v(4), Calibrated: true},
		{Policy: "kpa", Metric: "killed_requests", Sim: v(2), Live: v(0)}, // no error in proportion to none
		{Policy: "kpa", Metric: "killed_requests", Sim: v(0), Live: v(0), Calibrated: true},
	}, got)
}

// The document has exactly the fields of its schema.
func TestFidelityJSON(t *testing.T) {
	t.Parallel()
	live := []Cell{fidelityCell("a", 0.5, 100, &Interval{90, 110})}
	live[0].Axes = map[string]any{"n": 3}
	f := NewFidelity(live, live, nil, 0.95)
	f.RunID = "x"
	f.Cells = f.Cells[3:]
	b, err := f.JSON()
	require.NoError(t, err)
	require.JSONEq(t, `{"schema": "taillab/fidelity/v1", "run_id": "x", "cells": [
		{"policy": "a", "load": 0.5, "axes": {"n": 3}, "metric": "p99", "sim": 100, "live": 100, "live_ci": [90, 110], "error": 0, "calibrated": false}]}`, string(b))
	b, err = NewFidelity(nil, nil, nil, 0.95).JSON()
	require.NoError(t, err)
	require.JSONEq(t, `{"schema": "taillab/fidelity/v1", "run_id": "", "cells": []}`, string(b))
}

// P90 and P95 get their interval from the parts, as P50 and P99 do from the summary.
func TestFidelityIntervalsOfParts(t *testing.T) {
	t.Parallel()
	c := fidelityCell("a", 0.5, 100, nil)
	for i := range 10 {
		x := 45 + float64(i)
		c.Parts = append(c.Parts, Part{P90MS: &x})
	}
	require.Nil(t, NewFidelity([]Cell{c}, []Cell{c}, nil, 0.95).Cells[1].LiveCI, "where P50 has none, the parts are too few")
	c.P50CI = &Interval{24, 26}
	got := NewFidelity([]Cell{c}, []Cell{c}, nil, 0.95).Cells[1].LiveCI
	require.Equal(t, SectionInterval(50, []float64{45, 46, 47, 48, 49, 50, 51, 52, 53, 54}, 0.95), got)
	c.Unit = UnitSeed
	_, want := LogInterval([]float64{45, 46, 47, 48, 49, 50, 51, 52, 53, 54}, 0.95)
	require.Equal(t, want, NewFidelity([]Cell{c}, []Cell{c}, nil, 0.95).Cells[1].LiveCI)
}

func TestFidelityOrders(t *testing.T) {
	t.Parallel()
	live := []Cell{fidelityCell("a", 0.5, 100, &Interval{90, 110}), fidelityCell("b", 0.5, 120, &Interval{109, 130}), fidelityCell("c", 0.5, 300, &Interval{280, 320}),
		fidelityCell("a", 0.8, 1, nil), fidelityCell("b", 0.8, 2, nil), fidelityCell("a", 0.9, 1, nil)}
	sim := []Cell{fidelityCell("a", 0.5, 130, nil), fidelityCell("b", 0.5, 120, nil), fidelityCell("c", 0.5, 125, nil),
		fidelityCell("a", 0.8, 2, nil), fidelityCell("b", 0.8, 1, nil), fidelityCell("a", 0.9, 1, nil)}
	got := NewFidelity(live, sim, live, 0.95).Orders()
	require.Len(t, got, 6, "three loads, as it is and calibrated")
	// live a < b < c, simulated b < c < a: one pair of three alike. a and b overlap.
	require.InDelta(t, -1.0/3, *got[0].Tau, 1e-12)
	require.Equal(t, [4]any{3, 2, 1, true}, [4]any{got[0].Policies, got[0].Separated, got[0].Kept, got[0].Intervals})
	require.InDelta(t, 1, *got[1].Tau, 1e-12)
	require.Equal(t, [3]any{true, 2, 2}, [3]any{got[1].Calibrated, got[1].Separated, got[1].Kept})
	require.InDelta(t, -1, *got[2].Tau, 1e-12)
	require.False(t, got[2].Intervals)
	require.Nil(t, got[4].Tau, "one policy has no order")
}

// Whatever the values: τ lies in [−1, 1], kept pairs are among the separated ones, and
// a perfect simulator keeps everything.
func TestFidelityOrderProperties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var live, sim []Cell
		n := rapid.IntRange(2, 6).Draw(t, "policies")
		for i := range n {
			name := string(rune('a' + i))
			v, w := rapid.Float64Range(1, 100).Draw(t, "live")+float64(i)*1e-6, rapid.Float64Range(0, 0.5).Draw(t, "width")
			live = append(live, fidelityCell(name, 0.5, v, &Interval{v * (1 - w), v * (1 + w)}))
			sim = append(sim, fidelityCell(name, 0.5, rapid.Float64Range(1, 100).Draw(t, "sim")+float64(i)*1e-6, nil))
		}
		o := NewFidelity(live, sim, live, 0.95).Orders()
		require.Len(t, o, 2)
		require.True(t, *o[0].Tau >= -1 && *o[0].Tau <= 1)
		require.True(t, o[0].Kept <= o[0].Separated && o[0].Separated <= n*(n-1)/2)
		require.Equal(t, o[0].Separated, o[1].Separated)
		require.Equal(t, o[1].Separated, o[1].Kept)
	})
}

func TestRunFolder(t *testing.T) {
	t.Parallel()
	w, err := CreateRun(t.TempDir(), "x", time.Unix(0, 0))
	require.NoError(t, err)
	in := w.Folder("live")
	require.Equal(t, w.ID(), in.ID())
	require.NoError(t, in.WriteSummary(&Summary{Schema: SummarySchema, Host: "live"}))
	require.NoError(t, w.Write("fidelity.json", []byte("{}")))
	at, err := in.Finish(Manifest{Status: RunComplete, Host: "live"})
	require.NoError(t, err)
	dir, err := w.Finish(Manifest{Status: RunComplete, Host: "both"})
	require.NoError(t, err)
	require.Equal(t, in.Dir(), at)
	r, err := OpenRun(at)
	require.NoError(t, err, "a folder is a run directory of its own")
	require.Empty(t, r.Lost)
	require.Equal(t, "live", r.Summary.Host)
	var m Manifest
	data, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &m))
	require.Contains(t, m.Files, "live/summary.json")
	require.Contains(t, m.Files, "live/manifest.json")
	require.Contains(t, m.Files, "fidelity.json")
}
