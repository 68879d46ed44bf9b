package scenarios

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/sim/gpu"
)

const onProfile = "version: 1\nname: s\nworkload: {input: 100, output: 10}\nfleet: {replicas: 2, gpu: GPU}\nsweep: {load: [0.5]}\n"

func loadOn(t *testing.T, gpu, dir string) (*Plan, []Problem) {
	t.Helper()
	plans, problems := Load([]Source{{Name: "s.yaml", Data: []byte(strings.ReplaceAll(onProfile, "GPU", gpu))}}, Options{Catalog: Catalog(), Seed: 1, Dir: dir})
	if len(problems) > 0 {
		return nil, problems
	}
	return plans[0], nil
}

// A profile in a file is the profile written out: same plan, same hash.
func TestProfileFromAFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	text := "name: mine\nsource: measured\nkind: affine\na: 2ms\nb: 1ms\nmax_batch: 4\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mine.yaml"), []byte(text), 0o600))
	want, problems := loadOn(t, "{kind: affine, a: 2ms, b: 1ms, max_batch: 4}", "")
	require.Empty(t, problems)
	for _, name := range []string{"mine.yaml", "./mine.yaml", filepath.Join(dir, "mine.yaml")} {
		got, problems := loadOn(t, name, dir)
		require.Empty(t, problems, name)
		require.Equal(t, want.Hash, got.Hash)
	}
}

func TestProfileFilesThatAreRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for text, says := range map[string]string{
		"": `there is no GPU profile called`,
		"name: x\nsource: s\nkind: affine\nz: 3\n":   `mine.yaml:4:1: a profile has no parameter "z"`,
		"name: x\nsource: s\nkind: affine\na: 3ms\n": "b: 0ns is out of range",
	} {
		if text != "" {
			require.NoError(t, os.WriteFile(filepath.Join(dir, "mine.yaml"), []byte(text), 0o600))
		}
		_, problems := loadOn(t, "mine.yaml", dir)
		require.NotEmpty(t, problems)
		require.Contains(t, problems[0].Error(), says)
		require.Equal(t, 4, problems[0].Line)
		require.NoError(t, os.RemoveAll(filepath.Join(dir, "mine.yaml")))
	}
	_, problems := loadOn(t, "h100-9b", dir)
	require.Contains(t, problems[0].Hint, "h100-8b")
}

// What is written is read again, for every preset and for what presets leave out.
func TestProfileYAML(t *testing.T) {
	t.Parallel()
	for _, name := range PresetNames() {
		p, err := Preset(name)
		require.NoError(t, err)
		back, err := LoadProfile(Source{Name: name, Data: ProfileYAML(p)})
		require.NoError(t, err)
		require.Equal(t, p, back)
	}
	falling, loo := false, 1.25
	p := gpu.Profile{Name: "x", Source: `a "b"`, N: 3, LOOMAPE: &loo, Spec: gpu.Defaults(gpu.TableKind)}
	p.Table = gpu.Table{X: []float64{1, 2.5}, Y: []gpu.Nanos{1500, 2e6}, Scale: gpu.LogLog, Axis: gpu.AxisTokens, Monotone: &falling}
	p.Straggler.FastFor, p.Straggler.SlowFor, p.MaxDelay = 5e9, 1e9, 2e6
	back, err := LoadProfile(Source{Name: "x", Data: ProfileYAML(p)})
	require.NoError(t, err)
	require.Equal(t, p, back)
}
