package reports

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// BaselineFile is a committed reference: a summary cut to what comparisons need.
// Its schema is that of the summary; key order is fixed, so diffs are readable.
type BaselineFile struct {
	Schema       string          `json:"schema"`
	Scenario     string          `json:"scenario"`
	ScenarioHash string          `json:"scenario_hash"`
	Host         string          `json:"host"`
	Machine      *Machine        `json:"machine,omitempty"` // live only: part of the key
	Git          *Git            `json:"git,omitempty"`
	Plan         json.RawMessage `json:"plan,omitempty"` // normalised, to name what changed
	Cells        []Cell          `json:"cells"`
}

// MakeBaseline cuts a summary down. plan is the normalised plan as JSON.
func MakeBaseline(s *Summary, plan json.RawMessage) BaselineFile {
	b := BaselineFile{Schema: SummarySchema, Scenario: s.Scenario, ScenarioHash: s.ScenarioHash,
		Host: s.Host, Git: s.Git, Plan: plan, Cells: make([]Cell, len(s.Cells))}
	if s.Host == "live" {
		machine := s.Machine
		b.Machine = &machine
	}
	for i := range s.Cells {
		c := s.Cells[i]
		c.Tail, c.Slowest, c.Events, c.WallS = nil, []Slow{}, nil, 0
		b.Cells[i] = c
	}
	return b
}

// Encode returns the bytes of the file.
func (b BaselineFile) Encode() ([]byte, error) { return encodeJSON(b) }

// WriteBaseline writes the file at path, through a neighbour that is renamed, so
// that an interrupted write leaves the old one.
func WriteBaseline(path string, b BaselineFile) error {
	data, err := b.Encode()
	if err != nil {
		return fmt.Errorf("write baseline: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		return fmt.Errorf("write baseline: %w", err)
	}
	if err := os.WriteFile(path+".partial", data, 0o666); err != nil {
		return fmt.Errorf("write baseline: %w", err)
	}
	if err := os.Rename(path+".partial", path); err != nil {
		return fmt.Errorf("write baseline: %w", err)
	}
	return nil
}

// ReadBaseline reads a baseline; nil without an error if there is none yet. A
// summary, or a run directory, serves as well.
func ReadBaseline(path string) (*BaselineFile, error) {
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		path = filepath.Join(path, "summary.json")
	}
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read baseline: %w", err)
	}
	b := new(BaselineFile)
	if err := decodeSchema(data, SummarySchema, b); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

// Differs lists why a summary cannot be held against the baseline: a changed
// host, machine (live) or plan, key by key. Empty if the keys agree.
func (b *BaselineFile) Differs(s *Summary, plan json.RawMessage) []string {
	var out []string
	if b.Host != s.Host {
		out = append(out, fmt.Sprintf("host: %s → %s", b.Host, s.Host))
	}
	if s.Host == "live" && b.Machine != nil && *b.Machine != s.Machine {
		out = append(out, fmt.Sprintf("machine: %v → %v", *b.Machine, s.Machine))
	}
	if b.ScenarioHash == s.ScenarioHash {
		return out
	}
	changes := PlanChanges(b.Plan, plan)
	if len(changes) == 0 {
		changes = []string{fmt.Sprintf("scenario_hash: %s → %s", b.ScenarioHash, s.ScenarioHash)}
	}
	return append(out, changes...)
}

// PlanChanges lists the keys that differ between two plans in JSON, in order:
// `workload.input.lognormal.mean: 512 → 600`. Unreadable plans give nothing.
func PlanChanges(before, after json.RawMessage) []string {
	a, okA := decodeAny(before)
	b, okB := decodeAny(after)
	if !okA || !okB {
		return nil
	}
	var out []string
	diffAny("", a, b, &out)
	return out
}

func decodeAny(data json.RawMessage) (any, bool) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var v any
	return v, d.Decode(&v) == nil
}

func diffAny(path string, a, b any, out *[]string) {
	ma, okA := a.(map[string]any)
	mb, okB := b.(map[string]any)
	if okA && okB {
		keys := map[string]bool{}
		for k := range ma {
			keys[k] = true
		}
		for k := range mb {
			keys[k] = true
		}
		for _, k := range sortedKeys(keys) {
			sub := k
			if path != "" {
				sub = path + "." + k
			}
			diffAny(sub, ma[k], mb[k], out)
		}
		return
	}
	la, okA := a.([]any)
	lb, okB := b.([]any)
	if okA && okB && len(la) == len(lb) {
		for i := range la {
			diffAny(fmt.Sprintf("%s[%d]", path, i), la[i], lb[i], out)
		}
		return
	}
	if x, y := oneLine(a), oneLine(b); x != y {
		*out = append(*out, fmt.Sprintf("%s: %s → %s", path, x, y))
	}
}

func oneLine(v any) string {
	if v == nil {
		return "absent"
	}
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(data)
}
