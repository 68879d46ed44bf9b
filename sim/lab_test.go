package sim

import (
	"context"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/reports"
	"taillab/scenarios"
	"taillab/sim/gpu"
	"taillab/workloads"
)

// spec describes a queueing experiment of theory: n replicas of one slot, m front
// ends, service times of mean 1 s, no network.
type spec struct {
	n, m     int
	rho      float64
	service  workloads.Dist
	make     func() balance.Balancer
	requests int
	warmup   float64
	seeds    int
	from     int // first seed
	edit     func(c *scenarios.Cell)
	spec     gpu.Spec
	heap     bool // all events in one heap
	general  bool // no request takes the direct way
}

const second = float64(time.Second)

func expo() workloads.Dist { return workloads.Dist{Kind: "exponential", Mean: second} }

func det() workloads.Dist { return workloads.Constant(second) }

func logn2() workloads.Dist { return workloads.Dist{Kind: "lognormal", Mean: second, CV: 2} }

func (s spec) cell(t testing.TB) *scenarios.Cell {
	t.Helper()
	w := workloads.NewSpec()
	w.Demand = s.service
	w.Frontends.Count = max(s.m, 1)
	c, ps := workloads.Compile(w, workloads.Options{Services: []string{"main"}})
	require.Empty(t, ps)
	if s.spec.Kind == "" {
		s.spec = gpu.Defaults(gpu.Service)
	}
	model, ps := gpu.New(s.spec)
	require.Empty(t, ps)
	cell := &scenarios.Cell{Policy: "p", PolicyType: "p", Family: "balance", RateRPS: s.rho * float64(s.n),
		Balancers: []scenarios.Policy{{Make: s.make}},
		Setup: &scenarios.Setup{
			Services:  []scenarios.Service{{Name: "main", Groups: []scenarios.Group{{Replicas: s.n, Model: model, Speed: 1, Weight: 1}}}},
			FrontEnds: w.Frontends, Workload: c,
			Measure: scenarios.Measure{Requests: s.requests, WarmupShare: s.warmup, Drain: 1000 * time.Second},
		}}
	if s.edit != nil {
		s.edit(cell)
	}
	return cell
}

// keep is a Recorder that keeps everything of its runs.
type keep struct {
	cols  []*reports.Collector
	tapes map[string][]byte
	rows  []reports.TimelineRow
	warns []string
	done  int
	bits  int
}

func (k *keep) Begin(_ int, s reports.Setup) *reports.Collector {
	s.Bits = k.bits
	k.cols = append(k.cols, reports.NewCollector(s))
	return k.cols[len(k.cols)-1]
}
func (k *keep) Progress(int, float64)               {}
func (k *keep) Tick(_ int, row reports.TimelineRow) { k.rows = append(k.rows, row) }
func (k *keep) Tape(_ int, stream string, data []byte) {
	if k.tapes == nil {
		k.tapes = map[string][]byte{}
	}
	k.tapes[stream] = append([]byte(nil), data...)
}
func (k *keep) Warn(_ int, code, message string) { k.warns = append(k.warns, code+": "+message) }
func (k *keep) Done(int)                         { k.done++ }

// simulate runs the experiment and returns its collectors, one per seed.
func (s spec) simulate(t testing.TB) *keep {
	t.Helper()
	c := s.cell(t)
	k := &keep{bits: 11}
	var runs []scenarios.Run
	for i := range max(s.seeds, 1) {
		runs = append(runs, scenarios.Run{Cell: c, Rep: i, Seed: chance.RunSeed(1, s.from+i)})
	}
	require.NoError(t, Host{heap: s.heap, general: s.general}.Run(context.Background(), runs, k))
	require.Equal(t, len(runs), k.done)
	return k
}

// meanSE is the mean and its standard error over replications.
func meanSE(xs []float64) (mean, se float64) {
	for _, x := range xs {
		mean += x / float64(len(xs))
	}
	for _, x := range xs {
		se += (x - mean) * (x - mean)
	}
	return mean, math.Sqrt(se/float64(len(xs)-1)) / math.Sqrt(float64(len(xs)))
}
