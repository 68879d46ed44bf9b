package app

import (
	"fmt"
	"math"

	"taillab/cmd/taillab/internal/runner"
	"taillab/reports"
	"taillab/reports/chart"
	"taillab/reports/render"
	"taillab/scenarios"
)

// runData is what charts need beside the summary: from runs that have just
// finished, or from a run directory.
type runData interface {
	// hists are those of all seeds of a cell, merged.
	hists(cell int) []reports.TaggedHist
	// timeline is that of the first seed there is.
	timeline(cell int) (rows []reports.TimelineRow, services []string, seed int)
	// telemetry is the CSV of what was seen of the machines during the first seed there
	// is; nil without any.
	telemetry(cell int) []byte
}

// finishedRuns is the result of this command.
type finishedRuns struct {
	plan   *scenarios.Plan
	result *runner.Result
	live   *live // nil: simulated
}

func (f *finishedRuns) hists(cell int) []reports.TaggedHist {
	var runs []*reports.Collector
	for i := range f.result.Runs {
		if r := &f.result.Runs[i]; r.Index == cell && r.Collector != nil {
			runs = append(runs, r.Collectors()...)
		}
	}
	return reports.MergedHists(runs)
}

func (f *finishedRuns) timeline(cell int) ([]reports.TimelineRow, []string, int) {
	for i := range f.result.Runs {
		if r := &f.result.Runs[i]; r.Index == cell && r.Collector != nil {
			return r.Timeline, serviceNames(r.Cell), r.Rep + 1
		}
	}
	return nil, nil, 0
}

func (f *finishedRuns) telemetry(cell int) []byte {
	for i := range f.result.Runs {
		if r := &f.result.Runs[i]; r.Index == cell && r.Collector != nil {
			if data, err := f.live.telemetry(runID{cell, r.Rep}); err == nil && data != nil {
				return data
			}
		}
	}
	return nil
}

// charts draws the latency distribution and the timeline at the load that the
// table shows.
func charts(sum *reports.Summary, o render.Options, data runData) []chart.Figure {
	if len(sum.Cells) == 0 {
		return nil
	}
	at := render.ShownAt(sum, o)
	byRate := chart.ByRate(sum.Cells)
	place := chart.PlaceName(at, byRate)
	tails := chart.CCDFInput{Origin: chart.OriginOf(sum), At: place}
	tails.Requests = 0
	times := timelines{}
	fleet := chart.FleetInput{Origin: chart.OriginOf(sum)}
	for i := range sum.Cells {
		c := &sum.Cells[i]
		if chart.PlaceOf(*c, byRate) != at {
			continue
		}
		tails.Requests += c.Requests
		if s, ok := tailOf(c, data.hists(i)); ok {
			tails.Series = append(tails.Series, s)
		}
		times.add(chart.Label(*c), data, i)
		addFleet(&fleet, chart.FleetSeries{Label: chart.Label(*c)}, data, i)
		for _, p := range machinePanels(chart.Label(*c), data.telemetry(i)) {
			times.put(p.Name, p.Series[0])
		}
	}
	in := chart.TimelineInput{Origin: chart.OriginOf(sum), At: place, Panels: times.panels()}
	in.Requests, in.Seeds = 0, 0
	if times.seed > 0 {
		in.At += fmt.Sprintf(", seed %d", times.seed)
	}
	out := []chart.Figure{chart.CCDF(tails, chart.Light()), chart.Timeline(in, chart.Light())}
	if len(fleet.Policies) > 0 {
		fleet.At, fleet.Requests, fleet.Seeds = in.At, 0, 0
		out = append(out, chart.FleetTimeline(fleet, chart.Light()))
	}
	return out
}

// fleetStep is how many rows of the timeline, seconds, make a point of the load: single
// seconds of random arrivals hide its course.
const fleetStep = 10

// addFleet adds the fleet of a policy that changes its size, the first of the run, to
// the chart; the load is that of the first policy, as all see the same.
func addFleet(in *chart.FleetInput, s chart.FleetSeries, data runData, cell int) {
	rows, services, _ := data.timeline(cell)
	for svc := range services {
		load, came, n := chart.Series{Label: "load"}, 0, 0
		for i := range rows {
			r := &rows[i]
			if r.Service != svc || r.Created == 0 && r.Desired == 0 && r.Arrived == 0 {
				continue
			}
			x := r.At.Seconds()
			s.Desired.X, s.Desired.Y = append(s.Desired.X, x), append(s.Desired.Y, float64(r.Desired))
			s.Ready.X, s.Ready.Y = append(s.Ready.X, x), append(s.Ready.Y, float64(r.Replicas))
			if r.P99 > 0 {
				s.P99.X, s.P99.Y = append(s.P99.X, x), append(s.P99.Y, float64(r.P99)/1e6)
			}
			if came, n = came+r.Arrived, n+1; n == fleetStep {
				load.X, load.Y = append(load.X, x), append(load.Y, float64(came)/fleetStep)
				came, n = 0, 0
			}
		}
		if len(s.Ready.X) == 0 {
			continue
		}
		if len(in.Policies) == 0 {
			in.Load = load
		}
		in.Policies = append(in.Policies, s)
		return
	}
}

// curvePoints is how many points a curve has at most, evenly in the logarithm of
// the share that is slower.
const curvePoints = 400

// tailOf is the share of requests slower than x, from the merged histogram. It uses
// the edges of the bins only, which a run directory keeps: the exact extremes it
// does not, and a curve drawn again must be the same.
func tailOf(c *reports.Cell, hists []reports.TaggedHist) (chart.CCDFSeries, bool) {
	s := chart.CCDFSeries{Label: chart.Label(*c), P99: chart.Value{V: c.P99MS}}
	if c.P99CI != nil {
		s.P99.CI = &[2]float64{c.P99CI[0], c.P99CI[1]}
	}
	for _, t := range hists {
		if t.Tag != "latency" || t.Hist.Count() == 0 {
			continue
		}
		s.N = t.Hist.Count()
		n, step := float64(s.N), math.Log(float64(s.N))/curvePoints
		done, last := int64(0), 0.0
		for i, b := range t.Hist.Bins() {
			if i == 0 {
				s.X, s.Y = append(s.X, float64(b.Low)/1e6), append(s.Y, 1)
			}
			done += b.Count
			left := float64(s.N-done) / n
			if left == 0 {
				break
			}
			if -math.Log(left)-last < step {
				continue
			}
			last = -math.Log(left)
			s.X, s.Y = append(s.X, float64(b.Low+b.Width)/1e6), append(s.Y, left)
		}
		return s, true
	}
	return s, false
}

// timelines collects the panels of the timeline chart.
type timelines struct {
	list []chart.Panel
	seed int
}

// quantity is one column of the timeline.
type quantity struct {
	name string
	of   func(*reports.TimelineRow) int
}

func quantities() []quantity {
	return []quantity{
		{"queue depth", func(r *reports.TimelineRow) int { return r.Queued }},
		{"in flight", func(r *reports.TimelineRow) int { return r.InFlight }},
		{"held", func(r *reports.TimelineRow) int { return r.Held }},
		{"replicas", func(r *reports.TimelineRow) int { return r.Replicas }},
	}
}

func (t *timelines) add(label string, data runData, cell int) {
	rows, services, seed := data.timeline(cell)
	if len(rows) == 0 {
		return
	}
	if t.seed == 0 {
		t.seed = seed
	}
	for svc, name := range services {
		for _, q := range quantities() {
			s := chart.Series{Label: label}
			for i := range rows {
				if rows[i].Service == svc && q.of(&rows[i]) >= 0 {
					s.X = append(s.X, rows[i].At.Seconds())
					s.Y = append(s.Y, float64(q.of(&rows[i])))
				}
			}
			if len(s.X) == 0 { // unknown throughout
				continue
			}
			title := q.name
			if len(services) > 1 {
				title += ", " + name
			}
			t.put(title, s)
		}
	}
}

func (t *timelines) put(panel string, s chart.Series) {
	for i := range t.list {
		if t.list[i].Name == panel {
			t.list[i].Series = append(t.list[i].Series, s)
			return
		}
	}
	t.list = append(t.list, chart.Panel{Name: panel, Series: []chart.Series{s}})
}

// panels leaves out quantities that never changed: replicas of a fixed fleet, a
// hold stage that was never used.
func (t *timelines) panels() []chart.Panel {
	var out []chart.Panel
	for _, p := range t.list {
		keep := p.Name == "queue depth" || p.Name == "in flight"
		for _, s := range p.Series {
			for _, y := range s.Y {
				keep = keep || y != s.Y[0]
			}
		}
		if keep {
			out = append(out, p)
		}
	}
	return out
}
