package app

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os/exec"
	"path/filepath"
	"runtime"
	"time"

	"taillab/cmd/taillab/internal/tape"
	"taillab/reports"
	"taillab/reports/chart"
	"taillab/reports/render"
	"taillab/scenarios"
)

// save writes the run directory and returns its path. The summary's run_id, the
// charts and the report's path are known only here.
func (j *job) save(broken bool) (string, error) {
	w := j.dir
	j.sum.RunID = w.ID()
	j.options.ReportPath = filepath.Join(w.Dir(), "index.html")
	src := &finishedRuns{plan: j.plan, result: j.result, live: j.live}
	j.options.Charts = charts(j.sum, j.options, src)
	j.sum.WallS = time.Since(j.started).Seconds()
	if err := j.files(w); err != nil {
		return w.Partial(), err
	}
	m := j.manifest()
	m.Status = j.status(broken)
	return w.Finish(m)
}

// status is that of the run directory.
func (j *job) status(broken bool) string {
	switch {
	case broken:
		return reports.RunFailed
	case !j.result.Complete:
		return reports.RunInterrupted
	}
	return reports.RunComplete
}

// manifest is that of a complete run.
func (j *job) manifest() reports.Manifest {
	return reports.Manifest{Status: reports.RunComplete, ToolVersion: j.sum.ToolVersion, Git: j.sum.Git, Host: j.sum.Host,
		Machine: j.sum.Machine, Command: j.s.command()}
}

// planFiles writes what was run.
func (j *job) planFiles(w *reports.RunWriter) error {
	plan, err := scenarios.PlanJSON(j.plan)
	if err != nil {
		return fmt.Errorf("write plan.json: %w", err)
	}
	if err := w.Write("scenario.yaml", j.plan.Source); err != nil {
		return err
	}
	return w.Write("plan.json", plan)
}

func (j *job) files(w *reports.RunWriter) error {
	if err := j.planFiles(w); err != nil {
		return err
	}
	if err := w.WriteSummary(j.sum); err != nil {
		return err
	}
	if j.keptErr != nil {
		return j.keptErr
	}
	for i := range j.result.Runs {
		r := &j.result.Runs[i]
		if r.Collector == nil || j.isKept(r) {
			continue
		}
		if err := j.runFiles(r); err != nil {
			return err
		}
	}
	for _, f := range render.Figures(j.sum, j.options, chart.Light()) {
		if err := w.Write("charts/"+string(f.Kind)+".svg", f.SVG()); err != nil {
			return err
		}
	}
	var page bytes.Buffer
	if err := render.HTML(&page, j.sum, j.options); err != nil {
		return err
	}
	return w.Write("index.html", page.Bytes())
}

func serviceNames(c *scenarios.Cell) []string {
	var out []string
	for i := range c.Setup.Services {
		out = append(out, c.Setup.Services[i].Name)
	}
	return out
}

// tapeOf is what the replay of a run's tape needs to make the instances anew.
func (j *job) tapeOf(r *scenarios.Run) tape.Header {
	b, p := buildOf(), j.plan
	c := r.Cell
	h := tape.Header{ToolVersion: b.Version, Commit: b.Commit, Scenario: p.Name, ScenarioHash: p.Hash, Policy: c.Policy,
		Family: c.Family, Load: c.Load, Seed: r.Rep + 1, RunSeed: r.Seed, FrontEnds: c.Setup.FrontEnds.Count}
	for i := range c.Setup.Services {
		svc := &c.Setup.Services[i]
		t := j.members(svc)
		h.Services = append(h.Services, tape.Service{Later: t.Later, Hold: svc.HoldStage(), Scaler: scalerOf(c, i), Name: svc.Name, Type: c.Balancers[i].Type, Params: paramsOf(c.Balancers[i].Params), Replicas: t.N,
			Weights: t.Weights, Slots: t.Slots, Labels: t.Labels, Detect: svc.Discovery.Detect, Period: svc.Discovery.Period})
	}
	if x := &c.Limiter; x.Make != nil {
		q := c.Setup.Quota
		h.Quota = &tape.Quota{Type: x.Type, Params: paramsOf(x.Params), Share: x.Share, ShareParams: paramsOf(x.ShareParams),
			Groups: q.Groups, Loss: q.OnLoss, Cost: q.Cost, OnDenied: q.OnDenied}
	}
	return h
}

// paramsOf writes parameters as JSON; they are plain values.
func paramsOf(params map[string]any) json.RawMessage {
	data, err := json.Marshal(params)
	if err != nil {
		return []byte("{}")
	}
	return data
}

// scalerOf names the autoscaler of service i for a tape; nil without one.
func scalerOf(c *scenarios.Cell, i int) *tape.Scaler {
	if i >= len(c.Autoscalers) || c.Autoscalers[i].Make == nil {
		return nil
	}
	return &tape.Scaler{Type: c.Autoscalers[i].Type, Params: paramsOf(c.Autoscalers[i].Params)}
}

// openFile shows a file in the user's browser.
func openFile(path string) error {
	name, args := "xdg-open", []string{path}
	switch runtime.GOOS {
	case "darwin":
		name = "open"
	case "windows":
		name, args = "rundll32", []string{"url.dll,FileProtocolHandler", path}
	}
	return exec.Command(name, args...).Start()
}
