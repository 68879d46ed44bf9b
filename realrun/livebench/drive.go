package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/realrun"
	"taillab/reports"
	"taillab/scenarios"
)

// work is one run of our driver against servers.
type work struct {
	URLs   []string
	Slots  int
	Policy string
	Rate   float64 // requests/s, Poisson
	Length time.Duration
	Pacing string
	Warm   int // connections opened before
	Seed   uint64
}

// outcome is what a run gave; of a peer, as far as it tells.
type outcome struct {
	Scheduled, Completed int64
	P50, P95, P99        float64       // latency since the intended arrival, ms
	LagP50, LagP99       float64       // intended → handed over, µs
	CPU                  time.Duration // of the process
	Unsound              []string
}

const scenario = `version: 1
name: livebench
workload: {arrivals: {poisson: {rate: %g/s}}, demand: {exponential: {mean: 5ms}}}
fleet: {replicas: %d, slots: %d}
policies: {balance: %s}
sweep: {seeds: 1}
measure: {horizon: %s, warmup: 0}
live: {pacing: %s, warm: %s, validity: {steal: 100%%}}
`

// drive is the driver process.
func drive(ctx context.Context, in io.Reader, out io.Writer) error {
	var w work
	if err := json.NewDecoder(in).Decode(&w); err != nil {
		return err
	}
	warm := "off"
	if w.Warm > 0 {
		warm = fmt.Sprint(max(w.Warm, scenarios.MinWarm))
	}
	text := fmt.Sprintf(scenario, w.Rate, len(w.URLs), w.Slots, w.Policy, w.Length, w.Pacing, warm)
	plans, problems := scenarios.Load([]scenarios.Source{{Name: "livebench", Data: []byte(text)}}, scenarios.Options{Catalog: balance.Catalog(), Seed: 1})
	if len(problems) > 0 {
		return problems[0]
	}
	list, err := json.Marshal(map[string]any{"version": 1, "services": map[string]any{
		scenarios.MainService: map[string]any{"slots": w.Slots, "ready": "/health", "targets": w.URLs}}})
	if err != nil {
		return err
	}
	targets, problems := scenarios.LoadTargets(scenarios.Source{Name: "targets", Data: list}, scenarios.TargetOptions{Plan: plans[0], Live: true})
	if len(problems) > 0 {
		return problems[0]
	}
	k := &keep{}
	h := realrun.Host{Targets: targets, Lags: func(_ int, lags *reports.Hist) {
		k.LagP50, k.LagP99 = lags.Quantile(500)/1e3, lags.Quantile(990)/1e3
	}, Unsound: func(_ int, why []reports.Warning) {
		for _, x := range why {
			k.Unsound = append(k.Unsound, x.Message)
		}
	}}
	if err := h.Run(ctx, []scenarios.Run{{Cell: plans[0].Cells[0], Seed: chance.RunSeed(w.Seed, 0)}}, k); err != nil {
		return err
	}
	part := k.col.Part()
	latency := k.col.Hists()[0].Hist
	k.Scheduled, k.Completed = part.Requests, part.Completed
	k.P50, k.P95, k.P99 = latency.Quantile(500)/1e6, latency.Quantile(950)/1e6, latency.Quantile(990)/1e6
	return json.NewEncoder(out).Encode(k.outcome)
}

// keep is the reports.Recorder of one run.
type keep struct {
	outcome
	col *reports.Collector
}

func (k *keep) Begin(_ int, s reports.Setup) *reports.Collector {
	k.col = reports.NewCollector(s)
	return k.col
}
func (k *keep) Progress(int, float64)         {}
func (k *keep) Tick(int, reports.TimelineRow) {}
func (k *keep) Tape(int, string, []byte)      {}
func (k *keep) Warn(int, string, string)      {}
func (k *keep) Done(int)                      {}
