package workloads

import (
	"math"
	"strings"
	"time"

	"taillab/policies"
)

// TraceSpec says which file is replayed and how. NewTrace holds the defaults.
type TraceSpec struct {
	File       string    `yaml:"file"`       // "-" = standard input; .gz and .zst are seen by content
	Format     string    `yaml:"format"`     // one of Formats; "" = by content
	TimeScale  float64   `yaml:"time_scale"` // 2 = twice as fast
	LoadScale  float64   `yaml:"load_scale"` // < 1 thins the rows, > 1 adds copies
	Loop       Loop      `yaml:"loop"`
	Window     *Window   `yaml:"window"`      // nil: all
	Limit      int       `yaml:"limit"`       // rows kept; 0 = all
	Jitter     string    `yaml:"jitter"`      // spread or none: what happens to quantised stamps
	Rotate     bool      `yaml:"rotate"`      // each seed starts at another row
	KeepOffset bool      `yaml:"keep_offset"` // do not set the first stamp to 0
	Sorted     string    `yaml:"sorted"`      // allow or required
	Columns    ColumnMap `yaml:"columns"`     // format csv
	Failed     bool      `yaml:"include_failed"`
	MinInput   uint32    `yaml:"-"` // rows below are bad; default 1
	MinOutput  uint32    `yaml:"-"`
}

// Window keeps the rows whose stamp, counted from the first, lies in [From, To).
type Window struct {
	From time.Duration `yaml:"from"`
	To   time.Duration `yaml:"to"`
}

// Loop says how often a trace is gone through: so many times, until an instant,
// or for ever. The zero value is once.
type Loop struct {
	Times   int           `yaml:"times"`
	Until   time.Duration `yaml:"until"`
	Forever bool          `yaml:"forever"`
}

// On says whether the trace is gone through more than once.
func (l Loop) On() bool { return l.Forever || l.Times > 1 || l.Until > 0 }

// ColumnMap names the columns of a csv. Only Time is needed.
type ColumnMap struct {
	Time     string `yaml:"time"`
	Unit     string `yaml:"unit"` // of time and duration: s, ms, us, ns; or rfc3339 for time
	Input    string `yaml:"input"`
	Output   string `yaml:"output"`
	Tenant   string `yaml:"tenant"`
	Size     string `yaml:"size"` // read as input where input is not named
	Duration string `yaml:"duration"`
	Session  string `yaml:"session"`
	Model    string `yaml:"model"`
}

// NewTrace returns the defaults of a trace.
func NewTrace() TraceSpec {
	return TraceSpec{TimeScale: 1, LoadScale: 1, Jitter: "spread", Rotate: true, Sorted: "allow", MinInput: 1, MinOutput: 1}
}

// Formats lists the trace formats that can be read.
func Formats() []string {
	return []string{"azure-llm", "mooncake", "burstgpt", "csv", "jsonl", "lengths"}
}

// Check returns everything that is out of range; it does not open the file.
func (t TraceSpec) Check() []policies.Problem {
	var ps []policies.Problem
	if t.File == "" {
		ps = append(ps, problem("file", "the trace has no file"))
	}
	if t.Format != "" && !oneOf(t.Format, Formats()...) {
		ps = append(ps, hint(problem("format", "no trace format called %q", t.Format), "one of: "+strings.Join(Formats(), " ")))
	}
	if t.Format == "lengths" {
		ps = append(ps, hint(problem("format", "a file of lengths has no stamps and cannot say when requests come"), "give it as workload.pairs beside an arrival process"))
	}
	if !(t.TimeScale > 0 && t.TimeScale <= 1e4) {
		ps = append(ps, problem("time_scale", "time_scale is %v: it must be above 0 and at most 1e4", t.TimeScale))
	}
	if !(t.LoadScale > 0 && t.LoadScale <= 1e3) {
		ps = append(ps, problem("load_scale", "load_scale is %v: it must be above 0 and at most 1e3", t.LoadScale))
	}
	if t.Limit < 0 || t.Limit > math.MaxInt32 {
		ps = append(ps, problem("limit", "limit is %d: it must be at least 1", t.Limit))
	}
	if w := t.Window; w != nil && (w.From < 0 || w.To <= w.From) {
		ps = append(ps, problem("window", "the window [%v, %v] is empty or begins before 0", w.From, w.To))
	}
	if t.Loop.Times < 0 || t.Loop.Until < 0 {
		ps = append(ps, problem("loop", "loop must be a number of times of at least 1, an instant, or true"))
	}
	if !oneOf(t.Jitter, "spread", "none") {
		ps = append(ps, hint(problem("jitter", "no jitter called %q", t.Jitter), "one of: spread none"))
	}
	if !oneOf(t.Sorted, "allow", "required") {
		ps = append(ps, hint(problem("sorted", "no value %q", t.Sorted), "one of: allow required"))
	}
	return append(ps, under("columns", t.Columns.check(t.Format))...)
}

func (c ColumnMap) check(format string) []policies.Problem {
	var ps []policies.Problem
	if c == (ColumnMap{}) {
		if format == "csv" {
			ps = append(ps, hint(problem("", "the format csv needs a column map"), "for example {time: t, unit: s, input: prompt_tokens}"))
		}
		return ps
	}
	if c.Time == "" {
		ps = append(ps, problem("time", "the column map does not name the time"))
	}
	if c.Unit != "" && !oneOf(c.Unit, "s", "ms", "us", "ns", "rfc3339") {
		ps = append(ps, hint(problem("unit", "no unit called %q", c.Unit), "one of: s ms us ns rfc3339"))
	}
	if format != "" && format != "csv" {
		ps = append(ps, hint(problem("", "a column map stands beside the format %s", format), "use format: csv"))
	}
	return ps
}

func oneOf(s string, list ...string) bool {
	for _, x := range list {
		if s == x {
			return true
		}
	}
	return false
}
