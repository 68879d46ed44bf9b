package reports

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strings"
)

// CapacitySchema is the schema name of Capacity; v1 only ever gains fields.
const CapacitySchema = "taillab/capacity/v1"

// VaryLoad is the setting that Capacity varies unless a key was named.
const VaryLoad = "load"

// Capacity is how hard each policy can be driven while it meets a rule. Units are in
// the names as in Summary; Unit is that of the rule's metric.
type Capacity struct {
	Schema       string  `json:"schema"`
	ToolVersion  string  `json:"tool_version"`
	Scenario     string  `json:"scenario"`
	ScenarioHash string  `json:"scenario_hash"`
	RunID        string  `json:"run_id"`
	Host         string  `json:"host"`
	Seed         uint64  `json:"seed"`
	Git          *Git    `json:"git,omitempty"`
	Machine      Machine `json:"machine"`
	StartedAt    string  `json:"started_at"`
	WallS        float64 `json:"wall_s"`
	Complete     bool    `json:"complete"`
	Confidence   float64 `json:"confidence"`

	SLO   string  `json:"slo"`   // p99 < 600ms
	Unit  string  `json:"unit"`  // of Limit and of the points' values: ms rps s ratio
	Limit float64 `json:"limit"` // of the rule

	Vary     string   `json:"vary"`     // load, or the scenario key that is varied
	Easiest  float64  `json:"easiest"`  // ends of the range searched
	Hardest  float64  `json:"hardest"`  //
	Step     float64  `json:"step"`     // of the settings tried: the resolution
	RateRPS  *float64 `json:"rate_rps"` // the traffic, when not the load is varied
	Replicas int      `json:"replicas"` // of the fleet as the scenario has it

	Runs     int           `json:"runs"` // simulated for this answer
	Policies []CapacityRow `json:"policies"`
	Warnings []Warning     `json:"warnings"`
}

// Outcomes of the search for one policy.
const (
	CapacityFound  = "found"
	CapacityNever  = "never"  // the rule is not met at the easiest setting either
	CapacityAlways = "always" // it is not missed at the hardest setting either
	CapacityOpen   = "open"   // the search was interrupted
)

// CapacityRow is the answer for one policy.
type CapacityRow struct {
	Policy     string         `json:"policy"`
	PolicyType string         `json:"policy_type"`
	Axes       map[string]any `json:"axes"`
	Outcome    string         `json:"outcome"`

	// Capacity is where the estimate crosses the limit. CI holds the settings that the
	// measurement cannot tell from it: its ends were measured, and at the easier one the
	// rule is met with confidence.
	Capacity *float64  `json:"capacity"`
	CI       *Interval `json:"capacity_ci"`
	RateRPS  *float64  `json:"rate_rps"` // the traffic at Capacity

	Met    *CapacityPoint `json:"met"`    // the hardest setting at which the rule is met with confidence
	Missed *CapacityPoint `json:"missed"` // the easiest at which it is missed with confidence

	// Replicas is how many carry the traffic that the least capable policy manages with
	// the whole fleet, at most; Saved is their share that this policy does without.
	Replicas *float64 `json:"replicas"`
	Saved    *float64 `json:"saved"`

	Runs   int             `json:"runs"`
	Points []CapacityPoint `json:"points"` // everything measured, by setting
}

// CapacityPoint is one setting measured.
type CapacityPoint struct {
	At      float64   `json:"at"` // the value of the setting that is varied
	Load    *float64  `json:"load"`
	RateRPS float64   `json:"rate_rps"`
	Seeds   int       `json:"seeds"`
	Value   *float64  `json:"value"` // of the rule's metric
	CI      *Interval `json:"ci"`
	Verdict Verdict   `json:"verdict"` // pass: met with confidence; fail: missed with confidence
	Reason  *string   `json:"reason"`
	Below   bool      `json:"estimate_meets"`
}

// JudgeSLO holds one cell against a rule of ParseSLO. Unlike a gate it never leaves a
// cell that does not settle, or that loses more requests than the percentile may
// miss, undecided: such a policy does not meet the rule there. A run that is short
// for its percentile is judged by its interval; the warnings say so.
func JudgeSLO(rule GateExpr, c *Cell, opt JudgeOptions) CapacityPoint {
	label, _, _ := strings.Cut(c.Policy, "/")
	gates, _ := Judge([]PlacedGate{{Expr: rule.Of(label)}}, []Cell{*c}, opt)
	g := gates[0]
	p := CapacityPoint{Load: c.Load, RateRPS: c.RateRPS, Seeds: c.Seeds, Value: g.Value, Verdict: g.Verdict, Reason: g.Reason}
	j := judging{opt: opt}
	q := j.quantity(rule.Left, rule.Den)
	lost := ""
	if held := j.held(q, c); strings.HasPrefix(held, "unfinished") || strings.HasPrefix(held, "survivor-bias") {
		lost = held
	}
	if why := j.barred(q, c); why != "" || lost != "" {
		p.Verdict, p.Reason = Fail, text(why+lost)
		return p
	}
	if g.Value == nil || g.Limit == nil {
		return p
	}
	above := rule.Op == OpGreater || rule.Op == OpGreaterEq
	p.Below = *g.Value != *g.Limit && (*g.Value > *g.Limit) == above || *g.Value == *g.Limit && rule.Op != OpLess && rule.Op != OpGreater
	if g.ChangeCI == nil {
		return p
	}
	p.CI = interval(*g.Limit*(1+g.ChangeCI[0]), *g.Limit*(1+g.ChangeCI[1]))
	if lo, hi := g.ChangeCI[0], g.ChangeCI[1]; g.Verdict == Inconclusive && (lo > 0 || hi < 0) {
		p.Verdict = Fail
		if (lo > 0) == above {
			p.Verdict = Pass
		}
	}
	return p
}

// Locate fills in the answer: the settings are by index from the easiest, as the
// search numbers them; points holds those measured, at gives the value of a setting.
// passes is −1 for none, fails is n.
func (r *CapacityRow) Locate(c *Capacity, points map[int]CapacityPoint, at func(int) float64, n, passes, cross, fails int) {
	get := func(i int) *CapacityPoint {
		if p, ok := points[i]; ok {
			return &p
		}
		return nil
	}
	r.Met, r.Missed = get(passes), get(fails)
	switch {
	case r.Outcome == CapacityOpen:
	case passes < 0:
		r.Outcome = CapacityNever
	case cross == n-1:
		r.Outcome = CapacityAlways
	default:
		r.Outcome = CapacityFound
	}
	if r.Outcome != CapacityFound {
		return
	}
	// The edge of a count is the last that meets; a load has values between.
	value, end := at(cross), at(min(fails, n-1))
	if c.Vary == VaryLoad {
		value = crossing(get(cross), get(cross+1), c.Limit, value)
	} else if fails < n {
		end = at(fails - 1)
	}
	r.Capacity = finite(value)
	r.CI = interval(min(at(passes), end, value), max(at(passes), end, value))
	r.RateRPS = c.RateRPS
	if p := get(cross); c.Vary == VaryLoad && p != nil {
		r.RateRPS = finite(p.RateRPS * value / p.At)
	}
}

// crossing interpolates where the value, taken as exponential between two settings,
// reaches the limit; without both it is the first.
func crossing(a, b *CapacityPoint, limit, otherwise float64) float64 {
	if a == nil || b == nil || a.Value == nil || b.Value == nil || !(*a.Value > 0) || !(*b.Value > 0) || !(limit > 0) {
		return otherwise
	}
	share := math.Log(limit / *a.Value) / math.Log(*b.Value / *a.Value)
	if !(share >= 0 && share <= 1) {
		return otherwise
	}
	return a.At + share*(b.At-a.At)
}

// Settle orders the policies, the most capable first, and says what each saves
// against the least capable. When the load was varied the replicas are in proportion
// to capacity, which leaves out that larger fleets do a little better.
func (c *Capacity) Settle() {
	rank := func(r CapacityRow) float64 {
		switch {
		case r.Outcome == CapacityAlways:
			return math.Inf(-1)
		case r.Capacity == nil:
			return math.Inf(1)
		case c.Easiest > c.Hardest: // fewer is better
			return *r.Capacity
		}
		return -*r.Capacity
	}
	slices.SortStableFunc(c.Policies, func(a, b CapacityRow) int {
		x, y := rank(a), rank(b)
		switch {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return strings.Compare(a.Policy, b.Policy)
	})
	if c.Vary != VaryLoad && !c.CountsReplicas() {
		return
	}
	reach := func(r CapacityRow) *float64 {
		if r.Outcome == CapacityAlways {
			return &c.Hardest
		}
		return r.Capacity
	}
	var worst *float64
	for _, r := range c.Policies {
		if x := reach(r); x != nil {
			worst = x
		}
	}
	for i := range c.Policies {
		r := &c.Policies[i]
		x := reach(*r)
		if x == nil {
			continue
		}
		need, most := *x, *worst
		if c.Vary == VaryLoad {
			most = float64(c.Replicas)
			need = math.Ceil(most**worst / *x - 1e-9)
		}
		r.Replicas, r.Saved = finite(need), finite(1-need/most)
	}
}

// CountsReplicas says whether the key that is varied is a number of replicas.
func (c *Capacity) CountsReplicas() bool {
	return c.Vary == "replicas" || strings.HasSuffix(c.Vary, ".replicas")
}

// ReadCapacity reads a document of JSON. A newer major schema is an error.
func ReadCapacity(data []byte) (Capacity, error) {
	var c Capacity
	if err := json.Unmarshal(data, &c); err != nil {
		return c, fmt.Errorf("not valid JSON: %w", err)
	}
	if c.Schema != CapacitySchema {
		return c, fmt.Errorf("its schema is %q: this program reads %s", c.Schema, CapacitySchema)
	}
	return c, nil
}

// JSON is the document with an end of line; lists are never null.
func (c Capacity) JSON() ([]byte, error) {
	if c.Policies == nil {
		c.Policies = []CapacityRow{}
	}
	if c.Warnings == nil {
		c.Warnings = []Warning{}
	}
	for i := range c.Policies {
		if c.Policies[i].Points == nil {
			c.Policies[i].Points = []CapacityPoint{}
		}
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(c); err != nil {
		return nil, fmt.Errorf("writing the capacities as JSON: %w", err)
	}
	return b.Bytes(), nil
}
