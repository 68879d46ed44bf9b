package reports

import (
	"bytes"
	"encoding/json"
)

// SummarySchema is the schema name of Summary; v1 only ever gains fields.
const SummarySchema = "taillab/summary/v1"

// Summary is what one command found: cells, gates, warnings. Every renderer
// draws from it and computes no statistic of its own. Units are in the names:
// _ms milliseconds, _s seconds, _rps per second; ratios are fractions. A nil
// pointer is "unknown or not applicable" and prints as null.
type Summary struct {
	Schema       string    `json:"schema"`
	ToolVersion  string    `json:"tool_version"`
	Scenario     string    `json:"scenario"`
	ScenarioHash string    `json:"scenario_hash"` // sha256 of the expanded plan without gates and seed count
	RunID        string    `json:"run_id"`
	Host         string    `json:"host"` // sim or live
	Seed         uint64    `json:"seed"`
	Git          *Git      `json:"git,omitempty"`
	Machine      Machine   `json:"machine"`
	StartedAt    string    `json:"started_at"` // RFC 3339, UTC
	WallS        float64   `json:"wall_s"`
	Complete     bool      `json:"complete"`
	Confidence   float64   `json:"confidence"`
	Verdict      Verdict   `json:"verdict"`
	Cells        []Cell    `json:"cells"`
	Gates        []Gate    `json:"gates"`
	Warnings     []Warning `json:"warnings"`

	AllowOverload bool `json:"allow_overload,omitempty"` // latency gates of unstable cells were judged
}

// Git names the commit of the working directory.
type Git struct {
	Commit string `json:"commit"`
	Dirty  bool   `json:"dirty"`
}

// Machine says where the run was made.
type Machine struct {
	OS    string `json:"os"`
	Arch  string `json:"arch"`
	CPU   string `json:"cpu"`
	Cores int    `json:"cores"`
}

// Verdict of a gate or of a whole summary.
type Verdict string

// The verdicts; VerdictNone is only for a summary without gates.
const (
	Pass         Verdict = "pass"
	Fail         Verdict = "fail"
	Inconclusive Verdict = "inconclusive"
	Invalid      Verdict = "invalid"
	VerdictNone  Verdict = "none"
)

// Cell is one policy at one point of the sweep, over all its parts.
type Cell struct {
	Policy     string         `json:"policy"`
	PolicyType string         `json:"policy_type"`
	Family     string         `json:"family"`
	Params     map[string]any `json:"params"`
	Load       *float64       `json:"load"`
	Axes       map[string]any `json:"axes"`
	RateRPS    float64        `json:"rate_rps"`
	TimeScale  *float64       `json:"time_scale"`
	Unit       string         `json:"unit"` // seed, block or section
	Seeds      int            `json:"seeds"`
	Requests   int64          `json:"requests"`
	Completed  int64          `json:"completed"`

	Errors    map[string]int64 `json:"errors"`
	ErrorRate *float64         `json:"error_rate"`

	MeanMS *float64 `json:"mean_ms"`
	MaxMS  *float64 `json:"max_ms"`
	P50MS  *float64 `json:"p50_ms"`
	P90MS  *float64 `json:"p90_ms"`
	P95MS  *float64 `json:"p95_ms"`
	P99MS  *float64 `json:"p99_ms"`
	P999MS *float64 `json:"p999_ms"`

	P50CI  *Interval `json:"p50_ci_ms"`
	P99CI  *Interval `json:"p99_ci_ms"`
	P999CI *Interval `json:"p999_ci_ms"`

	TTFTP50MS *float64 `json:"ttft_p50_ms"`
	TTFTP99MS *float64 `json:"ttft_p99_ms"`
	TPOTP50MS *float64 `json:"tpot_p50_ms"`
	TPOTP99MS *float64 `json:"tpot_p99_ms"`

	ThroughputRPS float64  `json:"throughput_rps"`
	GoodputRPS    *float64 `json:"goodput_rps"`
	Utilization   *float64 `json:"utilization"`

	MessagesPerRequest float64             `json:"messages_per_request"`
	Metrics            map[string]*float64 `json:"metrics"`

	Groups  []Group  `json:"groups"`
	Tail    *Tail    `json:"tail"`
	Slowest []Slow   `json:"slowest"`
	GPUSec  *float64 `json:"gpu_seconds"`
	Events  *int64   `json:"events"`
	WallS   float64  `json:"wall_s"`

	LatenessP99MS *float64 `json:"lateness_p99_ms"`
	WorkloadHash  string   `json:"workload_hash"`
	ResultHash    string   `json:"result_hash"`
	Parts         []Part   `json:"parts"`
}

// Interval is a confidence interval [lo, hi] in the unit of its value.
type Interval [2]float64

// Group is a share of a cell: one tenant, class or service.
type Group struct {
	By         string   `json:"by"`
	Name       string   `json:"name"`
	Requests   int64    `json:"requests"`
	MeanMS     *float64 `json:"mean_ms"`
	P50MS      *float64 `json:"p50_ms"`
	P99MS      *float64 `json:"p99_ms"`
	ErrorRate  *float64 `json:"error_rate"`
	GoodputRPS *float64 `json:"goodput_rps"`
}

// Tail is why P99 is what it is: mean step times of the completed requests from
// P99 upwards. The six sum to their mean latency.
type Tail struct {
	HeldMS    *float64 `json:"held_ms"`
	QuotaMS   *float64 `json:"quota_ms"`
	NetworkMS *float64 `json:"network_ms"`
	QueueMS   *float64 `json:"queue_ms"`
	BatchMS   *float64 `json:"batch_ms"`
	ServiceMS *float64 `json:"service_ms"`
}

// Slow is one of the slowest completed requests with its steps in order.
type Slow struct {
	Request   uint64     `json:"request"`
	Seed      int        `json:"seed"`
	LatencyMS float64    `json:"latency_ms"`
	Steps     []SlowStep `json:"steps"`
}

// SlowStep is one stretch of a slow request.
type SlowStep struct {
	Step    string  `json:"step"` // held quota network queue batch service
	MS      float64 `json:"ms"`
	Service string  `json:"service"`
	Replica *int    `json:"replica"` // nil before a replica was chosen
	Attempt int     `json:"attempt"`
}

// Part is one independent piece of a cell: a seed, a block or a section.
type Part struct {
	Seed      int              `json:"seed"`
	Index     int              `json:"index"`
	Pair      *int             `json:"pair"`
	Requests  int64            `json:"requests"`
	Completed int64            `json:"completed"`
	Errors    map[string]int64 `json:"errors"`

	MeanMS *float64 `json:"mean_ms"`
	P50MS  *float64 `json:"p50_ms"`
	P90MS  *float64 `json:"p90_ms"`
	P95MS  *float64 `json:"p95_ms"`
	P99MS  *float64 `json:"p99_ms"`
	P999MS *float64 `json:"p999_ms"`
	MaxMS  *float64 `json:"max_ms"`

	TTFTP50MS *float64 `json:"ttft_p50_ms"`
	TTFTP99MS *float64 `json:"ttft_p99_ms"`
	TPOTP50MS *float64 `json:"tpot_p50_ms"`
	TPOTP99MS *float64 `json:"tpot_p99_ms"`

	ThroughputRPS float64  `json:"throughput_rps"`
	GoodputRPS    *float64 `json:"goodput_rps"`
	ErrorRate     *float64 `json:"error_rate"`
	Utilization   *float64 `json:"utilization"`

	MessagesPerRequest float64             `json:"messages_per_request"`
	GPUSec             *float64            `json:"gpu_seconds"`
	Metrics            map[string]*float64 `json:"metrics"`
	Groups             []Group             `json:"groups"`
	ResultHash         string              `json:"result_hash"`
	WorkloadHash       string              `json:"workload_hash,omitempty"` // of this part: pairs need equal arrivals and demands
}

// Gate is one gate judged on one matched cell.
type Gate struct {
	Expr      string         `json:"expr"`
	Line      int            `json:"line"`
	Column    int            `json:"column"`
	Metric    string         `json:"metric"`
	Policy    string         `json:"policy"`
	Load      *float64       `json:"load"`
	Axes      map[string]any `json:"axes"`
	Group     *GroupRef      `json:"group"`
	Verdict   Verdict        `json:"verdict"`
	Value     *float64       `json:"value"`
	Limit     *float64       `json:"limit"`
	Unit      string         `json:"unit"` // ms rps s ratio
	Reference Reference      `json:"reference"`
	Change    *float64       `json:"change"`
	ChangeCI  *Interval      `json:"change_ci"`
	N         int            `json:"n"`
	More      *int           `json:"more"`
	Reason    *string        `json:"reason"`

	p *float64 // one-sided, that the truth lies on the good side of the bound; for Holm
}

// GroupRef names a group in a gate.
type GroupRef struct {
	By   string `json:"by"`
	Name string `json:"name"`
}

// Reference says what a gate compares with.
type Reference struct {
	Kind   string `json:"kind"` // constant, policy or baseline
	Policy string `json:"policy,omitempty"`
	Path   string `json:"path,omitempty"`
}

// Warning is a finding that does not stop anything. Codes: `taillab explain CODE`.
type Warning struct {
	Code    string   `json:"code"`
	Message string   `json:"message"`
	Policy  string   `json:"policy,omitempty"`
	Load    *float64 `json:"load,omitempty"`
	Seed    *int     `json:"seed,omitempty"`

	Axes   map[string]any `json:"axes,omitempty"`   // of the cell, when other axes are swept
	Metric string         `json:"metric,omitempty"` // the metric it is about, such as p99; empty: all
}

// MarshalJSON keeps the promise that an absent list or map is empty, not null.
func (s Summary) MarshalJSON() ([]byte, error) {
	type plain Summary
	if s.Cells == nil {
		s.Cells = []Cell{}
	}
	if s.Gates == nil {
		s.Gates = []Gate{}
	}
	if s.Warnings == nil {
		s.Warnings = []Warning{}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // whoever encodes the summary decides: its encoder still escapes
	err := e.Encode(plain(s))
	return b.Bytes(), err
}
