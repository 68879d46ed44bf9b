package presets

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"

	"taillab/sim/gpu"
)

func load(t *testing.T) map[string]gpu.Profile {
	t.Helper()
	names, err := fs.Glob(FS, "*.yaml")
	require.NoError(t, err)
	out := map[string]gpu.Profile{}
	for _, name := range names {
		text, err := fs.ReadFile(FS, name)
		require.NoError(t, err)
		var head struct {
			Kind gpu.Kind `yaml:"kind"`
		}
		require.NoError(t, yaml.Unmarshal(text, &head), name)
		p := gpu.Profile{Spec: gpu.Defaults(head.Kind)}
		d := yaml.NewDecoder(bytes.NewReader(text))
		d.KnownFields(true)
		require.NoError(t, d.Decode(&p), name)
		require.Equal(t, name, p.Name+".yaml")
		out[p.Name] = p
	}
	return out
}

// Every file decodes without an unknown key, has a source and makes a model.
func TestEveryPreset(t *testing.T) {
	t.Parallel()
	all := load(t)
	require.Equal(t, 30+1+3+6+18, len(all), "MLPerf, A10 BERT, B200, BERT-base, tokens")
	for name, p := range all {
		require.NotEmpty(t, p.Source, name)
		require.NotEmpty(t, p.Model, name)
		require.NotEmpty(t, p.GPU, name)
		m, problems := gpu.New(p.Spec)
		require.Empty(t, problems, name)
		require.Positive(t, m.Best(gpu.Mix{Input: 512, Output: 180}), name)
		require.Equal(t, gpu.PerRequest, p.Noise.Per, name)
		if p.Kind == gpu.Tokens {
			require.True(t, p.Derived, name)
			require.Equal(t, 64, p.Slots, name)
			require.Equal(t, .03, p.Noise.Sigma, name)
		} else {
			require.Equal(t, 32, p.MaxBatch, name)
			require.Equal(t, 1, p.Slots, name)
		}
		require.Equal(t, strings.HasPrefix(name, "b200-") || name == "a10-bert" || strings.HasSuffix(name, "-torchscript") ||
			p.Kind == gpu.Tokens, p.Derived, name)
	}
}

// A few parameters read back from the table they come from, so that a unit slip shows.
func TestParametersOfSomePresets(t *testing.T) {
	t.Parallel()
	all := load(t)
	const us, ms = 1e3, 1e6
	for name, ab := range map[string][2]float64{
		"t4-resnet50": {.83 * ms, .164 * ms}, "a100-pcie-ssd": {.83 * ms, 1.10 * ms}, "a100-ssd": {.69 * ms, 1.006 * ms},
		"l4-retinanet": {.53 * ms, 5.57 * ms}, "a100-mig-1g-bert": {1.86 * ms, 1.99 * ms}, "h100-dlrm": {0, 1.34 * us},
		"a10-bert": {1.26 * ms, .91 * ms}, "h100-resnet50": {.5 * ms, 10.9 * us}, "b200-resnet50": {.25 * ms, 5.45 * us},
	} {
		p, ok := all[name]
		require.True(t, ok, name)
		require.InDelta(t, ab[0], float64(p.A), 1e-6, name)
		require.InDelta(t, ab[1], float64(p.B), 1e-6, name)
	}
	v100 := all["v100-bert-base"]
	require.InDeltaSlice(t, []float64{1.21 * ms, 2.67 * us, 1.81}, []float64{float64(v100.A), float64(v100.B), float64(v100.C)}, 1e-6)
	for name, want := range map[string][6]float64{ // base, per_seq, per_kv, floor, per_token, knee
		"h100-8b":          {6.4 * ms, 0, 50, 0, 19.6 * us, 0},
		"h100-tp4-32b":     {9.3 * ms, .061 * ms, 25, 0, 29 * us, 0},
		"b200-tp4-70b-fp4": {6.6 * ms, .014 * ms, 8, 0, 16 * us, 0},
		"h100-tp8-70b":     {29.6 * ms, .2 * ms, 0, 22.2 * ms, 81 * us, 999},
	} {
		p := all[name]
		got := [6]float64{float64(p.Step.Base), float64(p.Step.PerSeq), float64(p.Step.PerKV), float64(p.Prefill.Floor), float64(p.Prefill.PerToken), p.Prefill.Knee}
		require.InDeltaSlice(t, want[:], got[:], 1e-6, name)
	}
	// 2048 tokens on eight H100: the published 137 ms include one step of 29.8.
	tp8 := all["h100-tp8-70b"]
	require.InDelta(t, 137, (float64(tp8.Prefill.Floor)+float64(tp8.Prefill.PerToken)*(2048-tp8.Prefill.Knee)+float64(tp8.Step.Base)+float64(tp8.Step.PerSeq))/ms, .1)
}
