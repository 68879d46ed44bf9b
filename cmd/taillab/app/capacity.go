package app

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"time"

	"taillab/reports"
	"taillab/reports/chart"
	"taillab/reports/render"
	"taillab/scenarios"
)

// capacityCmd is `taillab capacity`: how hard each policy can be driven while it
// meets a rule.
type capacityCmd struct {
	Scenario   string        `arg:"" help:"Path, name of an embedded scenario, or - for stdin."`
	SLO        string        `name:"slo" required:"" help:"The rule, such as 'p99() < 600ms': a gate without policy and place." placeholder:"EXPR"`
	Over       string        `help:"Vary a whole number in place of the load: replicas=10..120, or a key PATH=LO..HI of which more is easier (HI..LO: less is)." placeholder:"PATH=LO..HI"`
	At         string        `help:"With --over: the traffic, load=X of the scenario's own fleet, or rate=X per second. Default: the scenario's highest." placeholder:"load=X"`
	Step       float64       `default:"0.005" help:"Step of the loads tried, 0.0005…0.1: the resolution of the answer." placeholder:"X"`
	Out        string        `short:"o" default:"runs" help:"Run directories go below DIR." placeholder:"DIR"`
	Jobs       int           `short:"j" help:"Parallel runs; the result never depends on it. Default: all cores." placeholder:"N"`
	Only       []string      `sep:"none" help:"Subset, e.g. policy=jiq; repeatable." placeholder:"KEY=VALUE,…"`
	Format     string        `default:"table" help:"table md json csv html svg png; FMT=PATH writes to a file; at most one goes to stdout." placeholder:"LIST"`
	Confidence float64       `default:"0.95" help:"Confidence of intervals, 0.80…0.999." placeholder:"P"`
	UI         string        `name:"ui" enum:"auto,bar,plain,none" default:"auto" help:"Progress on stderr: ${enum}." placeholder:"HOW"`
	Open       bool          `help:"Open the HTML report (terminal only)."`
	Scenarios  scenarioFlags `embed:""`
	Common     common        `embed:""`
}

// Help implements kong.HelpProvider.
func (c *capacityCmd) Help() string {
	return `The load at which the rule stops holding is bisected for every policy, with the seeds of the scenario; near the threshold twice as many (at least 10) decide. All policies meet the same arrivals. The interval holds the loads that these seeds cannot tell from the threshold: at its lower end the rule is met with confidence, and that is the load to plan for. With measure.warmup: auto, every load that is tried has a pilot of its own.

	taillab capacity wechat-jiq --slo 'p99() < 600ms'
	taillab capacity wechat-jiq --slo 'p99() < 600ms' --over replicas=40..160

The second asks how many replicas the scenario's traffic needs. Exit 1 if no policy meets the rule anywhere.`
}

func (c *capacityCmd) check() error {
	switch {
	case c.Jobs < 0:
		return fmt.Errorf("--jobs is %d: it must be at least 1, or left out for all cores", c.Jobs)
	case !(c.Confidence >= reports.MinConfidence && c.Confidence <= reports.MaxConfidence):
		return fmt.Errorf("--confidence is %g: it must lie in [0.80, 0.999]", c.Confidence)
	case !(c.Step >= 0.0005 && c.Step <= 0.1):
		return fmt.Errorf("--step is %g: it must lie in [0.0005, 0.1]", c.Step)
	case c.Scenarios.Seeds == 1:
		return fmt.Errorf("--seeds is 1: an interval needs at least 2")
	case c.At != "" && c.Over == "":
		return fmt.Errorf("--at %s: the load is what is looked for; it is given with --over", c.At)
	}
	return nil
}

func (c *capacityCmd) run(s *session) int {
	started := time.Now()
	outs, err := parseFormats(c.Format, false, "junit", "github")
	rule, errRule := reports.ParseSLO(c.SLO)
	selections, errOnly := parseOnly(c.Only)
	at, unit, errAt := parseAt(c.At)
	if err := cmp.Or(c.check(), err, errRule, errOnly, errAt); err != nil {
		return s.fail(exitUsage, "", "%v", err)
	}
	plans, code := s.load([]string{c.Scenario}, &c.Scenarios)
	if plans == nil {
		return code
	}
	q := &quest{s: s, cmd: c, plan: plans[0], rule: rule, selections: selections, started: started}
	if err := q.prepare(at, unit); err != nil {
		return s.fail(exitUsage, "", "%v", err)
	}
	return q.do(outs)
}

// quest is one capacity command while it runs.
type quest struct {
	s          *session
	cmd        *capacityCmd
	plan       *scenarios.Plan
	rule       reports.GateExpr
	selections []selection
	started    time.Time

	vary      variable
	few, many int // seeds for looking and for deciding
	series    []*series
	runs      int
	broken    bool
	doc       reports.Capacity
}

// prepare checks what the rule asks of the scenario and sets up the searches.
func (q *quest) prepare(at *float64, unit string) error {
	if err := only(q.plan, q.selections); err != nil {
		return err
	}
	setup := q.plan.Cells[0].Setup
	switch {
	case setup.Measure.Transient && q.rule.Latency():
		return fmt.Errorf("%s is transient: it has no steady state that a rule could hold in", q.plan.Name)
	case policyChanceOnly(q.plan):
		return fmt.Errorf("all seeds of %s share one trace as it is: no interval can be had; set rotate: true", q.plan.Name)
	}
	var err error
	if q.cmd.Over == "" {
		q.vary, err = newLoads(q.plan, q.cmd.Step)
	} else {
		q.vary, err = newKey(q, at, unit)
	}
	if err != nil {
		return err
	}
	q.many = q.cmd.Scenarios.Seeds
	if q.many == 0 {
		q.many = max(2*q.plan.Seeds, 10)
	}
	q.few = max(2, q.many/2)
	for _, cell := range q.plan.Cells {
		q.addSeries(cell)
	}
	return nil
}

// do searches, saves and prints.
func (q *quest) do(outs []output) int {
	s := q.s
	dir, err := reports.CreateRun(q.cmd.Out, q.plan.Name, q.started)
	if err != nil {
		return s.fail(exitUsage, "choose another folder with --out DIR", "%v", err)
	}
	complete := q.search()
	if q.runs == 0 {
		if err := dir.Discard(); err != nil {
			s.note("taillab: %v", err)
		}
		if c := s.stopped.get(); c != 0 {
			return s.fail(c, "", "interrupted before any run of %s had finished; nothing was kept", q.plan.Name)
		}
		return exitBroken
	}
	q.document(dir.ID(), complete)
	code := exitOK
	if q.broken {
		code = exitBroken
	} else if complete && q.nowhere() {
		code = exitFailed
	}
	o := render.Options{Width: s.width(s.Stdout), Color: s.stdoutColor(), ASCII: s.asciiOnly(),
		ReportPath: filepath.Join(dir.Dir(), "index.html"), AgainCommand: q.again()}
	where, err := q.save(dir, o)
	if err != nil {
		code = worst(code, s.fail(exitBroken, "", "%v", err))
	}
	if err := s.writeDoc(capacityDoc{&q.doc}, outs, o); err != nil {
		code = worst(code, s.fail(exitBroken, "", "%v", err))
	}
	if c := s.stopped.get(); c != 0 {
		code = worst(code, c)
		fmt.Fprintf(s.err, "taillab: interrupted: what was found is kept in %s\n", where)
	}
	if q.cmd.Open && isTTY(s.Stdout) && err == nil {
		if err := openFile(o.ReportPath); err != nil {
			s.note("taillab: cannot open the report: %v", err)
		}
	}
	return code
}

// nowhere is true if no policy meets the rule at any setting.
func (q *quest) nowhere() bool {
	for _, r := range q.doc.Policies {
		if r.Outcome != reports.CapacityNever {
			return false
		}
	}
	return true
}

// document puts together what the searches found.
func (q *quest) document(id string, complete bool) {
	b := buildOf()
	q.doc = reports.Capacity{
		Schema: reports.CapacitySchema, ToolVersion: b.Version, Scenario: q.plan.Name, ScenarioHash: q.plan.Hash, RunID: id,
		Host: "sim", Seed: q.plan.BaseSeed, Git: gitOf(context.WithoutCancel(q.s.ctx)), Machine: machineOf(),
		StartedAt: q.started.UTC().Format(time.RFC3339), Complete: complete, Confidence: q.cmd.Confidence,
		SLO: q.rule.Rule(), Unit: q.rule.Unit(), Limit: q.rule.Limit(), Runs: q.runs,
		Replicas: replicasOf(q.plan.Cells[0].Setup),
	}
	q.vary.describe(&q.doc)
	q.doc.Warnings = append(q.doc.Warnings, q.plan.Warnings...)
	for _, x := range q.series {
		row, warnings := x.row(q)
		q.doc.Policies = append(q.doc.Policies, row)
		q.doc.Warnings = append(q.doc.Warnings, warnings...)
	}
	q.doc.Settle()
	q.doc.WallS = time.Since(q.started).Seconds()
}

func replicasOf(s *scenarios.Setup) (n int) {
	for i := range s.Services {
		n += s.Services[i].Replicas()
	}
	return n
}

// save writes the run directory.
func (q *quest) save(w *reports.RunWriter, o render.Options) (string, error) {
	j := job{plan: q.plan}
	if err := j.planFiles(w); err != nil {
		return w.Partial(), err
	}
	doc := capacityDoc{&q.doc}
	data, err := q.doc.JSON()
	if err != nil {
		return w.Partial(), err
	}
	if err := w.Write(capacityFile, data); err != nil {
		return w.Partial(), err
	}
	for _, f := range doc.figures(o) {
		if err := w.Write("charts/"+string(f.Kind)+".svg", f.SVG()); err != nil {
			return w.Partial(), err
		}
	}
	var page bytes.Buffer
	if err := render.CapacityHTML(&page, &q.doc, o); err != nil {
		return w.Partial(), err
	}
	if err := w.Write("index.html", page.Bytes()); err != nil {
		return w.Partial(), err
	}
	status := reports.RunComplete
	switch {
	case q.broken:
		status = reports.RunFailed
	case !q.doc.Complete:
		status = reports.RunInterrupted
	}
	return w.Finish(reports.Manifest{Status: status, ToolVersion: q.doc.ToolVersion, Git: q.doc.Git, Host: q.doc.Host,
		Machine: q.doc.Machine, Command: q.s.command()})
}

// again is the command that repeats the search.
func (q *quest) again() string {
	c := q.cmd
	parts := []string{"taillab capacity", quote(c.Scenario), "--slo " + quote(c.SLO), fmt.Sprintf("--seed %d", c.Scenarios.Seed)}
	add := func(flag, value string) {
		if value != "" {
			parts = append(parts, flag+" "+quote(value))
		}
	}
	add("--over", c.Over)
	add("--at", c.At)
	if c.Step != defaultStep && c.Over == "" {
		add("--step", fmt.Sprint(c.Step))
	}
	if c.Scenarios.Seeds > 0 {
		add("--seeds", fmt.Sprint(c.Scenarios.Seeds))
	}
	for _, o := range c.Only {
		add("--only", o)
	}
	for _, o := range c.Scenarios.Set {
		add("--set", o)
	}
	return strings.Join(parts, " ")
}

// defaultStep is that of --step.
const defaultStep = 0.005

// capacityFile is the answer in its run directory.
const capacityFile = "capacity.json"

// capacityDoc is the answer as --format writes it.
type capacityDoc struct{ *reports.Capacity }

func (d capacityDoc) scenario() string { return d.Scenario }

func (d capacityDoc) figures(render.Options) []chart.Figure {
	return []chart.Figure{chart.Capacity(chart.CapacityOf(d.Capacity), chart.Light())}
}

func (d capacityDoc) text(w io.Writer, format string, o render.Options) error {
	switch format {
	case "md":
		return render.CapacityMarkdown(w, d.Capacity, o)
	case "json":
		return writeJSON(w, d)
	case "csv":
		return render.CapacityCSV(w, d.Capacity)
	case "html":
		return render.CapacityHTML(w, d.Capacity, o)
	}
	return render.CapacityTable(w, d.Capacity, o)
}
