package scenarios

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestEmbedded: every shipped scenario is sound; `trace` says what it waits for.
func TestEmbedded(t *testing.T) {
	t.Parallel()
	var names []string
	for _, i := range Embedded() {
		names = append(names, i.Name)
		require.NotEmpty(t, i.About, i.Name)
		s, note, err := Read(i.Name, nil)
		require.NoError(t, err)
		require.Empty(t, note)
		require.Equal(t, i.Name+" (embedded)", s.Name)
		require.True(t, strings.HasPrefix(string(s.Data), "# yaml-language-server: $schema=scenario.schema.json\n"), i.Name)
		plans, problems := Load([]Source{s}, Options{Catalog: Catalog(), Seed: 1})
		if i.Name == "trace" {
			require.Len(t, problems, 1)
			require.Equal(t, "set it: --set workload.arrivals.trace.file=PATH", problems[0].Hint)
			continue
		}
		require.Empty(t, problems, i.Name)
		require.Equal(t, i.Name, plans[0].Name)
		require.NotEmpty(t, plans[0].Gates)
	}
	require.True(t, slices.IsSorted(names))
	require.Contains(t, names, "wechat-jiq")
}

// TestEmbeddedTrace loads the public traces.
func TestEmbeddedTrace(t *testing.T) {
	t.Parallel()
	s, _, err := Read("trace", nil)
	require.NoError(t, err)
	for file, rows := range map[string]int{"azure_llm_2023_conv.csv.gz": 19366, "mooncake_synthetic.jsonl.gz": 3993} {
		t.Run(file, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join("..", "..", "shared", "data", "traces", file)
			if _, err := os.Stat(path); err != nil {
				t.Skipf("the public trace %s is not there", path)
			}
			plans, problems := Load([]Source{s}, Options{Catalog: Catalog(), Set: []string{"workload.arrivals.trace.file=" + path}})
			require.Empty(t, problems)
			c := plans[0].Cells[0]
			require.Equal(t, rows, c.Setup.Measure.Requests)
			require.InDelta(t, 0.7, *c.Load, 0)
			require.Greater(t, *c.TimeScale, 1.0)
		})
	}
}

func TestRead(t *testing.T) {
	t.Chdir(t.TempDir())
	require.NoError(t, os.WriteFile("mine.yaml", []byte(good), 0o600))
	require.NoError(t, os.WriteFile("wechat-jiq", []byte(good), 0o600))
	require.NoError(t, os.Mkdir("folder", 0o700))
	require.NoError(t, os.Mkdir("azure-conv", 0o700))

	s, note, err := Read("mine.yaml", nil)
	require.NoError(t, err)
	require.Empty(t, note)
	require.Equal(t, Source{Name: "mine.yaml", Data: []byte(good)}, s)

	s, note, err = Read("wechat-jiq", nil)
	require.NoError(t, err)
	require.Contains(t, note, "using the file wechat-jiq")
	require.Equal(t, good, string(s.Data), "a path wins")

	s, _, err = Read("azure-conv", nil)
	require.NoError(t, err)
	require.Equal(t, "azure-conv (embedded)", s.Name, "a folder is no scenario")

	s, _, err = Read("-", strings.NewReader("version: 1"))
	require.NoError(t, err)
	require.Equal(t, Source{Name: "stdin", Data: []byte("version: 1")}, s)

	_, _, err = Read("folder", nil)
	require.ErrorContains(t, err, "folder is a folder")
	_, _, err = Read("wechat-jik", nil)
	require.ErrorContains(t, err, `did you mean "wechat-jiq"?`)
}
