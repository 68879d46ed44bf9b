package taillab_test

import (
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/policies/balance"
	"taillab/scenarios"
)

// TestGPUExample holds the example servers together without a GPU: the scenarios load,
// their targets fit them, the profiles are models, and Python reads its files.
func TestGPUExample(t *testing.T) {
	t.Parallel()
	dir := filepath.Join("examples", "gpu")
	read := func(name string) scenarios.Source {
		src, _, err := scenarios.Read(filepath.Join(dir, name), nil)
		require.NoError(t, err)
		return src
	}
	for scenario, targets := range map[string]string{"scenario.yaml": "targets.yaml", "chat.yaml": "chat-targets.yaml"} {
		plans, problems := scenarios.Load([]scenarios.Source{read(scenario)}, scenarios.Options{Catalog: balance.Catalog(), Seed: 1, Dir: dir})
		require.Empty(t, problems)
		for _, live := range []bool{true, false} {
			list, problems := scenarios.LoadTargets(read(targets), scenarios.TargetOptions{Plan: plans[0], Live: live})
			require.Empty(t, problems)
			require.Equal(t, plans[0].Cells[0].Setup.Services[0].Replicas(), len(list.Services[0].Targets))
			require.Empty(t, scenarios.CheckLive(plans[0], list))
		}
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not installed: the servers' own files were not read")
	}
	files, err := filepath.Glob(filepath.Join(dir, "*.py"))
	require.NoError(t, err)
	require.Greater(t, len(files), 4)
	for _, f := range files {
		out, err := exec.CommandContext(t.Context(), python, "-c", "import ast, sys; ast.parse(open(sys.argv[1], encoding='utf-8').read(), sys.argv[1])", f).CombinedOutput()
		require.NoError(t, err, "%s", out)
	}
}
