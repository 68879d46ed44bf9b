package main

import (
	"context"
	_ "embed"
	"fmt"

	"taillab/cmd/taillab/internal/runner"
	"taillab/policies/balance"
	"taillab/reports"
	"taillab/scenarios"
	"taillab/sim"
)

//go:embed limit.yaml
var scenario []byte

// runWhole loads the scenario and runs it as `taillab run` does.
func (o *options) runWhole(n int, c *clock) error {
	plans, problems := scenarios.Load([]scenarios.Source{{Name: "limit.yaml", Data: scenario}}, scenarios.Options{
		Catalog: balance.Catalog(), Seed: o.seed,
		Set: []string{fmt.Sprintf("fleet.replicas=%d", n), fmt.Sprintf("measure.requests=%d", o.count(n)),
			"policies.balance=" + o.policy, fmt.Sprintf("frontends.count=%d", o.fronts)}})
	if len(problems) > 0 {
		return problems[0]
	}
	res := runner.Do(context.Background(), timed{c}, plans[0], runner.Options{Jobs: 1})
	if err := res.Err(); err != nil {
		return err
	}
	c.events = res.Runs[0].Collector.Requests() + res.Runs[0].Collector.Part().Completed
	return nil
}

// timed is the simulator under the clock.
type timed struct{ c *clock }

// Run implements runner.Host.
func (t timed) Run(ctx context.Context, runs []scenarios.Run, rec reports.Recorder) error {
	return sim.Host{}.Run(ctx, runs, started{rec, t.c})
}

// started starts the clock when set-up is over and the first event is next, and
// stops it when the run is done.
type started struct {
	reports.Recorder
	c *clock
}

// Begin implements reports.Recorder.
func (s started) Begin(run int, setup reports.Setup) *reports.Collector {
	col := s.Recorder.Begin(run, setup)
	s.c.start()
	return col
}

// Done implements reports.Recorder.
func (s started) Done(run int) {
	s.c.stop(0) // they are counted when the run is over
	s.Recorder.Done(run)
}
