package reports

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
)

// BaselineFile is a committed reference: a summary cut to what comparisons need.
// Its schema is that of the summary; key order is fixed and what differs from one
// making to the next is left out, so diffs are readable.
type BaselineFile struct {
	Schema       string          `json:"schema"`
	Scenario     string          `json:"scenario"`
	ScenarioHash string          `json:"scenario_hash"`
	Host         string          `json:"host"`
	Machine      *Machine        `json:"machine,omitempty"` // live only: part of the key
	Plan         json.RawMessage `json:"plan,omitempty"`    // normalised, to name what changed
	Cells        []Cell          `json:"cells"`
}

// MakeBaseline cuts a summary down. plan is the normalised plan as JSON.
func MakeBaseline(s *Summary, plan json.RawMessage) BaselineFile {
	b := BaselineFile{Schema: SummarySchema, Scenario: s.Scenario, ScenarioHash: s.ScenarioHash,
		Host: s.Host, Plan: plan, Cells: make([]Cell, len(s.Cells))}
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

// Stored is what comparisons read: a baseline file, a summary or a run directory.
type Stored struct {
	Path string
	Plan json.RawMessage // normalised; nil if it was not kept
	Summary
}

// ReadStored reads a baseline, a summary, or a run directory with its plan. A path
// that does not exist is an error that wraps fs.ErrNotExist.
func ReadStored(path string) (*Stored, error) {
	file, dir := path, ""
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		file, dir = filepath.Join(path, "summary.json"), path
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var plan struct {
		Plan json.RawMessage `json:"plan"`
	}
	b := &Stored{Path: path}
	if err := decodeSchema(data, SummarySchema, &b.Summary); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if dir != "" { // a lost plan only costs the names of what changed
		if kept, err := os.ReadFile(filepath.Join(dir, "plan.json")); err == nil {
			data = kept
		}
	}
	if json.Unmarshal(data, &plan) == nil {
		b.Plan = plan.Plan
	}
	return b, nil
}

// Key is what must be equal for results to be held against a baseline.
type Key struct {
	ScenarioHash string
	Host         string
	Machine      Machine         // live only
	Plan         json.RawMessage // to name what changed; may be nil
}

// Differs lists why results of key k cannot be held against b: a changed host,
// machine (live) or plan, key by key. Empty if the keys agree.
func (b *Stored) Differs(k Key) []string {
	var out []string
	if b.Host != k.Host {
		out = append(out, fmt.Sprintf("host: %s → %s", b.Host, k.Host))
	}
	if k.Host == "live" && b.Host == "live" && b.Machine != k.Machine {
		out = append(out, fmt.Sprintf("machine: %s → %s", b.Machine, k.Machine))
	}
	if b.ScenarioHash == k.ScenarioHash {
		return out
	}
	changes := PlanChanges(b.Plan, k.Plan)
	if len(changes) == 0 {
		changes = []string{fmt.Sprintf("scenario_hash: %s → %s", b.ScenarioHash, k.ScenarioHash)}
	}
	return append(out, changes...)
}

// String names the machine in one line.
func (m Machine) String() string {
	return fmt.Sprintf("%s/%s, %s, %d cores", m.OS, m.Arch, m.CPU, m.Cores)
}

// SameProgram says whether two results come from one commit without changes, one
// version of the program and one kind of processor: a simulator must then repeat
// every bit. Unknown is no.
func SameProgram(a, b *Summary) bool {
	return a.Host == "sim" && b.Host == "sim" && a.ScenarioHash == b.ScenarioHash && a.Seed == b.Seed &&
		a.Git != nil && b.Git != nil && a.Git.Commit == b.Git.Commit && !a.Git.Dirty && !b.Git.Dirty &&
		a.ToolVersion != "" && a.ToolVersion == b.ToolVersion && a.Machine.Arch == b.Machine.Arch && a.Machine.CPU == b.Machine.CPU
}
