package app

import (
	"bytes"
	"fmt"
	"io"
	"path/filepath"

	"taillab/reports"
	"taillab/reports/chart"
	"taillab/reports/render"
	"taillab/scenarios"
)

// calibrated makes the plans of the calibrated simulator; nil ones without an overhead.
func calibrated(plans []*scenarios.Plan, overhead *scenarios.Overhead) ([]*scenarios.Plan, error) {
	out := make([]*scenarios.Plan, len(plans))
	if overhead == nil {
		return out, nil
	}
	for i, p := range plans {
		var err error
		if out[i], err = p.WithOverhead(overhead.Overhead); err != nil {
			return nil, fmt.Errorf("--profile with %s: %w", p.File, err)
		}
	}
	return out, nil
}

// both simulates the live schedule, drives it live, and compares. The simulator comes
// first and alone: beside it a live run would not be sound, and after one that broke
// there is nothing to compare with.
func (j *job) both() int {
	s := j.s
	root, err := reports.CreateRun(j.cmd.Out, j.plan.Name, j.started)
	if err != nil {
		return s.fail(exitUsage, "choose another folder with --out DIR", "%v", err)
	}
	j.git = askGit(s.ctx)
	hosts := j.hosts(root)
	broken := false
	for i := len(hosts) - 1; i >= 0 && !broken; i-- { // the live run is the first of the list
		broken = hosts[i].drive()
	}
	if j.result == nil || j.finished() == 0 {
		if err := root.Discard(); err != nil {
			s.note("taillab: %v", err)
		}
		if c := s.stopped.get(); c != 0 {
			return s.fail(c, "", "interrupted before any live run of %s had finished; nothing was kept", j.plan.Name)
		}
		return exitBroken
	}
	for _, h := range hosts {
		h.summarise(j.git())
	}
	return j.compare(root, hosts, broken)
}

// hosts are the jobs of a comparison: live, simulated, and calibrated if there is a
// profile.
func (j *job) hosts(root *reports.RunWriter) []*job {
	j.dir = root.Folder("live")
	sim := *j
	sim.live, sim.dir = nil, root.Folder("sim")
	out := []*job{j, &sim}
	if j.twin != nil {
		twin := sim
		twin.plan, twin.dir = j.twin, root.Folder("calibrated")
		out = append(out, &twin)
	}
	return out
}

// compare writes the run directory and the formats, and returns the exit code: that
// of the live run.
func (j *job) compare(root *reports.RunWriter, hosts []*job, broken bool) int {
	s := j.s
	code := reports.ExitCode(j.sum.Gates, j.cmd.Strict)
	doc := j.comparison(hosts)
	doc.Fidelity.RunID = root.ID()
	if doc.Invalid != "" {
		code = worst(code, s.fail(exitBroken, "", "%s", doc.Invalid))
	}
	if broken {
		code = worst(code, exitBroken)
	}
	options := j.options
	options.ReportPath = filepath.Join(root.Dir(), "index.html")
	dir, err := j.saveBoth(root, hosts, doc, &options, broken)
	if err != nil {
		code = worst(code, s.fail(exitBroken, "", "%v", err))
	}
	if err := s.writeDoc(doc, j.outs, options); err != nil {
		code = worst(code, s.fail(exitBroken, "", "%v", err))
	}
	return j.leave(code, "live runs", dir, options.ReportPath)
}

// comparison joins what the hosts found.
func (j *job) comparison(hosts []*job) bothDoc {
	doc := bothDoc{render.Both{Live: j.sum, Sim: hosts[1].sum, Invalid: j.live.unsound()}}
	var better []reports.Cell
	if len(hosts) > 2 {
		better = hosts[2].sum.Cells
		doc.Overhead = fmt.Sprintf("%v idle overhead added to every answer", rounded(j.overhead.Overhead))
		if j.overhead.Source != "" {
			doc.Overhead += " (" + j.overhead.Source + ")"
		}
	}
	doc.Fidelity = reports.NewFidelity(j.sum.Cells, hosts[1].sum.Cells, better, j.cmd.Confidence)
	return doc
}

// saveBoth writes a run directory with one folder per host, each of which `report`
// can redraw.
func (j *job) saveBoth(root *reports.RunWriter, hosts []*job, doc bothDoc, o *render.Options, broken bool) (string, error) {
	for _, h := range hosts {
		if _, err := h.save(broken); err != nil {
			return root.Partial(), err
		}
	}
	o.Charts = append(withFleets(j.options.Charts, hosts, doc, *o), quantiles(hosts, doc, *o))
	if err := j.bothFiles(root, hosts, doc, *o); err != nil {
		return root.Partial(), err
	}
	m := j.manifest()
	m.Status, m.Host = j.status(broken), "both"
	return root.Finish(m)
}

func (j *job) bothFiles(root *reports.RunWriter, hosts []*job, doc bothDoc, o render.Options) error {
	if err := j.planFiles(root); err != nil {
		return err
	}
	if err := fleetFiles(root, hosts); err != nil {
		return err
	}
	data, err := doc.Fidelity.JSON()
	if err != nil {
		return err
	}
	if err := root.Write("fidelity.json", data); err != nil {
		return err
	}
	for _, f := range doc.figures(o) {
		if f.Kind != chart.KindQQ && f.Kind != chart.KindFleet { // the others are in the folder of the live run
			continue
		}
		if err := root.Write("charts/"+string(f.Kind)+".svg", f.SVG()); err != nil {
			return err
		}
	}
	var page bytes.Buffer
	if err := render.FidelityHTML(&page, doc.Both, o); err != nil {
		return err
	}
	return root.Write("index.html", page.Bytes())
}

// quantiles draws the Q-Q chart at the load that the table shows.
func quantiles(hosts []*job, doc bothDoc, o render.Options) chart.Figure {
	live := hosts[0]
	at, byRate := render.ShownAt(live.sum, o), chart.ByRate(live.sum.Cells)
	in := chart.QQInput{Origin: chart.OriginOf(live.sum), At: chart.PlaceName(at, byRate)}
	in.Host, in.Requests = "both", 0
	for i := range live.sum.Cells {
		c := &live.sum.Cells[i]
		if chart.PlaceOf(*c, byRate) != at {
			continue
		}
		if s, ok := quantilesOf(hosts, i); ok {
			s.Label = chart.Label(*c)
			s.Error = p99Error(doc.Fidelity, c, len(hosts) > 2)
			in.Requests += c.Requests
			in.Series = append(in.Series, s)
		}
	}
	return chart.QQ(in, chart.Light())
}

// quantilesOf reads the quantiles of one cell, which has the same number in all hosts.
func quantilesOf(hosts []*job, cell int) (chart.QQSeries, bool) {
	var hists []*reports.Hist
	var s chart.QQSeries
	for _, h := range hosts {
		for _, t := range (&finishedRuns{plan: h.plan, result: h.result}).hists(cell) {
			if t.Tag == "latency" && t.Hist.Count() > 0 {
				hists = append(hists, t.Hist)
			}
		}
	}
	if len(hists) != len(hosts) {
		return s, false
	}
	s.N = hists[0].Count()
	for _, h := range hists {
		s.N = min(s.N, h.Count())
	}
	s.P = chart.QQGrid(s.N)
	lines := []*[]float64{&s.Live, &s.Sim, &s.Calibrated}
	for i, h := range hists {
		for _, p := range s.P {
			*lines[i] = append(*lines[i], h.QuantileAt(p)/1e6)
		}
	}
	return s, true
}

// p99Error finds the error of a cell's P99.
func p99Error(f *reports.Fidelity, c *reports.Cell, calibrated bool) *float64 {
	for _, x := range f.Cells {
		if x.Metric == "p99" && x.Calibrated == calibrated && x.Of(c) {
			return x.Error
		}
	}
	return nil
}

// bothDoc is the comparison as --format writes it.
type bothDoc struct{ render.Both }

func (d bothDoc) scenario() string { return d.Live.Scenario }

func (d bothDoc) figures(o render.Options) []chart.Figure {
	return render.Figures(d.Live, o, chart.Light())
}

func (d bothDoc) text(w io.Writer, format string, o render.Options) error {
	switch format {
	case "md":
		return render.FidelityMarkdown(w, d.Both, o)
	case "json":
		return writeJSON(w, d.Fidelity)
	case "csv":
		return render.FidelityCSV(w, d.Fidelity)
	case "html":
		return render.FidelityHTML(w, d.Both, o)
	case "junit":
		return render.JUnit(w, d.Live, o)
	case "github":
		return render.GitHub(w, d.Live, o)
	}
	return render.FidelityTable(w, d.Both, o)
}
