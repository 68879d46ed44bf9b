package reports

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBaselineRoundTrip(t *testing.T) {
	t.Parallel()
	cells, _ := Summarize([]CellRuns{{Policy: "jiq", Runs: seedRuns(t, 0.6, 4000, 3)}}, Options{})
	s := &Summary{Schema: SummarySchema, Scenario: "x", ScenarioHash: "sha256:1", Host: "sim", Cells: cells}
	plan := json.RawMessage(`{"workload": {"input": {"mean": 512, "cv": [1, 2]}}, "seed": 1}`)
	path := filepath.Join(t.TempDir(), "baselines", "x.json")

	_, err := ReadStored(path)
	require.ErrorIs(t, err, fs.ErrNotExist)
	require.NoError(t, WriteBaseline(path, MakeBaseline(s, plan)))
	b, err := ReadStored(path)
	require.NoError(t, err)
	key := Key{ScenarioHash: "sha256:1", Host: "sim"}
	require.Empty(t, b.Differs(key))
	require.Empty(t, b.Cells[0].Slowest)
	require.NotEmpty(t, cells[0].Slowest, "the summary keeps its own")

	g, w := Judge(place(t, "p99(jiq) within 1% of baseline"), cells, JudgeOptions{Baseline: &Baseline{Path: path, Cells: b.Cells, SameCommit: true}})
	require.Equal(t, Pass, g[0].Verdict)
	require.Equal(t, "identical", *g[0].Reason)
	require.Empty(t, w)

	key = Key{ScenarioHash: "sha256:2", Host: "live", Plan: json.RawMessage(`{"seed": 7, "workload": {"input": {"mean": 600, "cv": [1, 3]}}}`)}
	require.Equal(t, []string{"host: sim → live", "seed: 1 → 7", "workload.input.cv[1]: 2 → 3", "workload.input.mean: 512 → 600"}, b.Differs(key))
	key.Plan = nil
	require.Equal(t, []string{"host: sim → live", "scenario_hash: sha256:1 → sha256:2"}, b.Differs(key))
	b.Host = "live"
	require.Equal(t, "machine: /, , 0 cores → linux/arm64, x, 8 cores", b.Differs(Key{ScenarioHash: "sha256:1", Host: "live",
		Machine: Machine{OS: "linux", Arch: "arm64", CPU: "x", Cores: 8}})[0])

	require.NoError(t, os.WriteFile(path, []byte("nonsense"), 0o666))
	_, err = ReadStored(path)
	require.ErrorContains(t, err, "x.json")
}

// A changed plan is told as a reader of the scenario would: once, not once per cell.
func TestPlanChanges(t *testing.T) {
	t.Parallel()
	plan := func(choices, mean string, loads ...string) json.RawMessage {
		var cells []string
		for _, load := range loads {
			for _, policy := range []string{"jiq", "p2c"} {
				cells = append(cells, `{"policy":"`+policy+`","load":`+load+`,"axes":{},"rate_rps":`+load+mean+`,
					"policies":[{"name":"`+policy+`","params":{"choices":`+choices+`,"fallback":{"name":"a b"}}}]}`)
			}
		}
		return json.RawMessage(`{"scenario":"x","setups":[{"axes":{},"workload":{"input":{"mean":` + mean + `}}}],"cells":[` + strings.Join(cells, ",") + `]}`)
	}
	base := plan("2", "512", "0.8", "0.9")
	require.Empty(t, PlanChanges(base, base))
	require.Equal(t, []string{"jiq: choices: 2 → 4", "p2c: choices: 2 → 4"}, PlanChanges(base, plan("4", "512", "0.8", "0.9")))
	require.Equal(t, []string{"workload.input.mean: 512 → 600"}, PlanChanges(base, plan("2", "600", "0.8", "0.9")))
	require.Equal(t, []string{"load 0.9: removed", "load 0.7: added"}, PlanChanges(base, plan("2", "512", "0.8", "0.7")))
	other := json.RawMessage(strings.ReplaceAll(string(base), `"p2c"`, `"rr"`))
	require.Equal(t, []string{"policy p2c: removed", "policy rr: added"}, PlanChanges(base, other))
	require.Equal(t, []string{"jiq: rate_rps: 0.8512 → 0.8513", "p2c: rate_rps: 0.8512 → 0.8513"},
		PlanChanges(base, json.RawMessage(strings.ReplaceAll(string(base), "0.8512", "0.8513"))))
	require.Empty(t, PlanChanges(nil, base))
	require.Equal(t, "fleet.replicas: 1 → 2", asWritten("services[0].groups[0].replicas: 1 → 2", true))
	require.Equal(t, "services[1].fleet.groups[1].speed: 1 → 2", asWritten("services[1].groups[1].speed: 1 → 2", false))
}
