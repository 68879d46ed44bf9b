package reports

import (
	"fmt"
	"math"

	"gonum.org/v1/gonum/stat/distuv"
)

// TheorySchema is the schema name of Theory; v1 only ever gains fields.
const TheorySchema = "taillab/verify/v1"

// Theory says how well simulations agree with closed forms.
type Theory struct {
	Schema      string        `json:"schema"`
	ToolVersion string        `json:"tool_version"`
	Git         *Git          `json:"git,omitempty"`
	Machine     Machine       `json:"machine"`
	WallS       float64       `json:"wall_s"`
	Seed        uint64        `json:"seed"`       // base seed
	Confidence  float64       `json:"confidence"` // of the intervals; 1 − it is the family-wise false-alarm rate
	Correction  string        `json:"correction"` // holm or none
	Verdict     Verdict       `json:"verdict"`
	Checks      []TheoryCheck `json:"checks"`
}

// TheoryCheck is one quantity of one case in both: theory and simulation.
type TheoryCheck struct {
	Case   string         `json:"case"`
	Params map[string]any `json:"params"`
	Label  string         `json:"label"`  // the case with its parameters, in words
	Metric string         `json:"metric"` // mean p50 p90 p99 p999, busy or blocked (shares)
	Unit   string         `json:"unit"`   // service (mean service times), ms or ratio
	Theory float64        `json:"theory"`
	// Simulated is the mean over seeds, of percentiles the geometric one.
	Simulated float64   `json:"simulated"`
	CI        *Interval `json:"ci"`
	Slack     float64   `json:"slack"` // what the simulation may be off by beyond chance, in Unit
	// T is how many standard errors it is off beyond that, 0 if it is not.
	T        float64 `json:"t"`
	P        float64 `json:"p"`        // chance of such a T, or a larger one, if theory holds
	Adjusted float64 `json:"adjusted"` // P with regard to all checks of the command
	Verdict  Verdict `json:"verdict"`
	Repeated bool    `json:"repeated"` // simulated again with other seeds and more requests
	Seeds    int     `json:"seeds"`
	Requests int64   `json:"requests"` // measured, of each seed
}

// NewTheory gathers checks that were judged.
func NewTheory(checks []*TheoryCheck, confidence float64, correction string) *Theory {
	t := &Theory{Schema: TheorySchema, Confidence: confidence, Correction: correction, Verdict: Pass, Checks: []TheoryCheck{}}
	for _, c := range checks {
		t.Checks = append(t.Checks, *c)
		if c.Verdict == Fail {
			t.Verdict = Fail
		}
	}
	return t
}

// maxT stands for more standard errors than anyone counts, such as a difference
// between values that do not vary at all.
const maxT = 1e6

// AgreeMean tests a mean over seeds against theory: T = (|x̄ − theory| − slack)/se.
func (c *TheoryCheck) AgreeMean(values []float64, confidence float64) {
	e := estimateOf(values)
	c.Simulated, c.Seeds = e.mean, e.n
	if h := e.half(confidence); e.n > 1 {
		c.CI = interval(e.mean-h, e.mean+h)
	}
	c.judge(math.Abs(e.mean-c.Theory)-c.Slack, e)
}

// AgreeQuantile tests a percentile against theory. quantiles are those of the seeds;
// below and above are the shares of their requests up to Theory − Slack and up to
// Theory + Slack. If the percentile lies between, the first is at most p and the
// second at least: these shares are means over requests, so they have none of the
// bias that a percentile of a short run has, and need no density where F jumps.
func (c *TheoryCheck) AgreeQuantile(p float64, quantiles, below, above []float64, confidence float64) {
	c.Seeds = len(quantiles)
	if v, ci := LogInterval(quantiles, confidence); v != nil {
		c.Simulated, c.CI = *v, ci
	}
	lo, hi := estimateOf(below), estimateOf(above)
	if low, high := lo.mean-p, p-hi.mean; low >= high {
		c.judge(low, lo)
	} else {
		c.judge(high, hi)
	}
}

// judge sets T and the two-sided P of an excess over what is allowed.
func (c *TheoryCheck) judge(excess float64, e estimate) {
	c.T, c.P = 0, 1
	if !(excess > 0) {
		return
	}
	c.T = maxT
	if se := e.s / math.Sqrt(float64(e.n)); se > 0 {
		c.T = min(excess/se, maxT)
	}
	c.P = 2 * distuv.StudentsT{Sigma: 1, Nu: float64(max(e.n-1, 1))}.Survival(c.T)
}

// JudgeTheory adjusts the checks that were made together and gives each its verdict.
// With Holm's correction at least one of them fails by chance in at most a share
// 1 − confidence of all commands; without it, each of them does.
func JudgeTheory(checks []*TheoryCheck, confidence float64, correction string) {
	p := make([]float64, len(checks))
	for i, c := range checks {
		p[i] = c.P
	}
	if correction == CorrectionHolm {
		p = Holm(p)
	}
	for i, c := range checks {
		c.Adjusted, c.Verdict = p[i], Pass
		if p[i] < 1-confidence {
			c.Verdict = Fail
		}
	}
}

// The corrections for many comparisons.
const (
	CorrectionNone = "none"
	CorrectionHolm = "holm"
)

// JSON is the document.
func (t *Theory) JSON() ([]byte, error) {
	b, err := encodeJSON(t)
	if err != nil {
		return nil, fmt.Errorf("writing the comparison with theory as JSON: %w", err)
	}
	return b, nil
}
