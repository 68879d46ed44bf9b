package scenarios

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"taillab/workloads"
)

// PlanSchema is the schema name of PlanJSON.
const PlanSchema = "taillab/plan/v1"

// normal is the expanded plan as it is hashed and saved: everything that decides
// a result, nothing else. Gates, seeds and prose are left out.
type normal struct {
	Scenario string        `json:"scenario"`
	Setups   []normalSetup `json:"setups"`
	Cells    []normalCell  `json:"cells"`
}

type normalSetup struct {
	Axes      map[string]any  `json:"axes"`
	Services  []normalService `json:"services"`
	Frontends any             `json:"frontends"`
	Workload  any             `json:"workload"`
	Trace     *normalTrace    `json:"trace,omitempty"`
	Faults    []any           `json:"faults"`
	Quota     any             `json:"quota,omitempty"`
	Measure   any             `json:"measure"`
	Live      any             `json:"live,omitempty"` // nil = the default
}

type normalService struct {
	Name      string `json:"name"`
	Groups    []any  `json:"groups"`
	Network   any    `json:"network"`
	Discovery any    `json:"discovery"`
	Elastic   any    `json:"elastic,omitempty"`
	Reporter  string `json:"reporter,omitempty"`
}

// normalTrace tells files with the same name apart.
type normalTrace struct {
	Rows    int     `json:"rows"`
	SpanNS  int64   `json:"span_ns"`
	Input   float64 `json:"mean_input"`
	Output  float64 `json:"mean_output"`
	InputSq float64 `json:"mean_square_input"`
}

type normalCell struct {
	Policy     string         `json:"policy"`
	PolicyType string         `json:"policy_type"`
	Family     string         `json:"family"`
	Params     map[string]any `json:"params"`
	Policies   []any          `json:"policies"` // by service
	Load       *float64       `json:"load"`
	Axes       map[string]any `json:"axes"`
	RateRPS    float64        `json:"rate_rps"`
	TimeScale  *float64       `json:"time_scale"`
}

// seal finishes a plan: warnings, the normalised form and its hash.
func (p *Plan) seal() {
	p.Warnings = warningsOf(p.Cells)
	n := normal{Scenario: p.Name, Setups: []normalSetup{}}
	seen := map[*Setup]bool{}
	for _, c := range p.Cells {
		if !seen[c.Setup] {
			seen[c.Setup] = true
			n.Setups = append(n.Setups, normaliseSetup(c))
		}
		n.Cells = append(n.Cells, normaliseCell(c))
	}
	p.normal, _ = json.Marshal(n) // numbers were checked to be finite; a failure leaves it empty
	sum := sha256.Sum256(p.normal)
	p.Hash = "sha256:" + hex.EncodeToString(sum[:])
}

func normaliseCell(c *Cell) normalCell {
	n := normalCell{Policy: c.Policy, PolicyType: c.PolicyType, Family: c.Family, Params: c.Params, Load: c.Load, Axes: c.Axes,
		RateRPS: portable(c.RateRPS), TimeScale: c.TimeScale}
	if c.TimeScale != nil {
		x := portable(*c.TimeScale)
		n.TimeScale = &x
	}
	for _, b := range c.Balancers {
		n.Policies = append(n.Policies, map[string]any{"name": b.Type, "params": b.Params})
	}
	for _, a := range c.Autoscalers {
		if a.Make != nil {
			n.Policies = append(n.Policies, map[string]any{"name": a.Type, "params": a.Params})
		}
	}
	if c.Limiter.Make != nil {
		n.Policies = append(n.Policies, map[string]any{"name": c.Limiter.Type, "params": c.Limiter.Params},
			map[string]any{"name": c.Limiter.Share, "params": c.Limiter.ShareParams})
	}
	return n
}

// portable rounds what was computed to 12 digits: processors that fuse multiplying
// with adding differ in the last ones, and a plan must have one hash everywhere.
func portable(x float64) float64 {
	rounded, err := strconv.ParseFloat(strconv.FormatFloat(x, 'g', 12, 64), 64)
	if err != nil {
		return x
	}
	return rounded
}

func normaliseSetup(c *Cell) normalSetup {
	s := c.Setup
	n := normalSetup{
		Axes: c.Axes, Frontends: tree(s.FrontEnds), Measure: tree(s.Measure), Faults: []any{},
		Workload: tree(s.spec), Services: []normalService{},
	}
	if t := s.Workload.Trace(); t != nil {
		m := s.Workload.Moments()
		n.Trace = &normalTrace{Rows: t.Len(), SpanNS: int64(t.Span()), Input: portable(m.Input), Output: portable(m.Output), InputSq: portable(m.InputSq)}
	}
	live := s.Live
	live.Tape, live.Telemetry, live.Actuator = true, DefaultLive().Telemetry, defaultActuator() // they decide no result of a simulation
	if !reflect.DeepEqual(live, DefaultLive()) {
		n.Live = tree(live)
	}
	if s.Quota != nil {
		n.Quota = tree(s.Quota)
	}
	for _, f := range s.Faults {
		n.Faults = append(n.Faults, tree(f))
	}
	for _, svc := range s.Services {
		out := normalService{Name: svc.Name, Network: tree(svc.Network), Discovery: tree(svc.Discovery), Reporter: svc.Reporter}
		if svc.Elastic != nil {
			out.Elastic = tree(svc.Elastic)
		}
		for _, g := range svc.Groups {
			out.Groups = append(out.Groups, map[string]any{
				"replicas": g.Replicas, "gpu": g.Preset, "speed": g.Speed, "weight": g.Weight, "labels": g.Labels,
				"model": plainFields(reflect.ValueOf(g.Model.Spec()), false),
			})
		}
		n.Services = append(n.Services, out)
	}
	return n
}

// tree turns a value of ours into maps under the names that scenarios use: yaml
// tags, else the lower-case field name. Zero values are left out, so a new key
// with its default changes no hash.
func tree(v any) any { return treeOf(reflect.ValueOf(v)) }

func treeOf(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case time.Duration:
		return durationText(x)
	case workloads.Dist:
		return map[string]any{x.Kind: structTree(v, "kind")}
	case workloads.Arrivals:
		return map[string]any{x.Kind: arrivalTree(v, x.Kind)}
	}
	switch v.Kind() {
	case reflect.Pointer:
		return treeOf(v.Elem())
	case reflect.Struct:
		return structTree(v, "")
	case reflect.Slice:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = treeOf(v.Index(i))
		}
		return out
	}
	return v.Interface()
}

// arrivalTree keeps the parameters that the kind has.
func arrivalTree(v reflect.Value, kind string) any {
	if kind == "trace" {
		return treeOf(v.FieldByName("Trace"))
	}
	out := map[string]any{}
	for _, k := range arrivalKeys(kind) {
		if f := v.FieldByName(k.Field); f.IsValid() && !f.IsZero() {
			out[k.Name] = treeOf(f)
		}
	}
	return out
}

func structTree(v reflect.Value, without string) map[string]any {
	out := map[string]any{}
	for i := range v.NumField() {
		f := v.Type().Field(i)
		name := f.Tag.Get("yaml")
		if name == "" {
			name = snake(f.Name)
		}
		if !f.IsExported() || name == "-" || name == without || v.Field(i).IsZero() {
			continue
		}
		out[name] = treeOf(v.Field(i))
	}
	return out
}

// snake writes a field's name as a key: WarmupShare → warmup_share, SLO → slo.
func snake(name string) string {
	var out []byte
	for i := range len(name) {
		c := name[i]
		upper := c >= 'A' && c <= 'Z'
		if upper && i > 0 && name[i-1] >= 'a' && name[i-1] <= 'z' {
			out = append(out, '_')
		}
		if upper {
			c += 'a' - 'A'
		}
		out = append(out, c)
	}
	return string(out)
}

// NormalJSON is the plan as it is hashed: equal bytes, equal plan. Baselines keep
// it, so that changed keys can be named.
func NormalJSON(p *Plan) []byte { return p.normal }

// PlanJSON is the plan for the run directory: hash, seeds, gates, the normalised
// plan with its cells, and the list of runs.
func PlanJSON(p *Plan) ([]byte, error) {
	type run struct {
		Cell int    `json:"cell"`
		Rep  int    `json:"rep"`
		Seed uint64 `json:"seed"`
	}
	type gate struct {
		Expr   string `json:"expr"`
		Line   int    `json:"line"`
		Column int    `json:"column"`
	}
	out := struct {
		Schema string          `json:"schema"`
		Hash   string          `json:"scenario_hash"`
		Seed   uint64          `json:"seed"`
		Seeds  int             `json:"seeds"`
		Gates  []gate          `json:"gates"`
		Plan   json.RawMessage `json:"plan"`
		Runs   []run           `json:"runs"`
	}{Schema: PlanSchema, Hash: p.Hash, Seed: p.BaseSeed, Seeds: p.Seeds, Gates: []gate{}, Plan: p.normal, Runs: []run{}}
	for _, g := range p.Gates {
		out.Gates = append(out.Gates, gate{g.Expr.String(), g.Line, g.Column})
	}
	for _, r := range RunsOf(p) {
		out.Runs = append(out.Runs, run{r.Index, r.Rep, r.Seed})
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // gates hold < and >
	e.SetIndent("", "  ")
	if err := e.Encode(out); err != nil {
		return nil, fmt.Errorf("cannot write the plan: %w", err)
	}
	return b.Bytes(), nil
}
