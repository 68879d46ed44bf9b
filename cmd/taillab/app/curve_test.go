package app

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/realrun/emulator"
	"taillab/sim/gpu"
)

// A profile that was fitted is a latency model of a scenario.
func TestFittedProfilesAreModels(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	profile := filepath.Join(dir, "p.yaml")
	for kind, x := range map[string]struct{ csv, says, has string }{
		"affine":        {"batch,ms\n1,3\n2,4\n4,6\n8,10\n", "kind: affine, a: 2ms, b: 1ms\npoints     4   mean error 0.0%", "max_batch: 8\n"},
		"affine-tokens": {"items,tokens,tokens_sq,ms\n1,100,10000,3\n1,200,40000,5\n2,200,20000,4\n2,800,320000,26\n4,400,40000,6\n4,1600,640000,50\n", "kind: affine-tokens", "n: 6\n"},
		"hinge":         {"# a comment\ntokens,latency_ms\n1,10\n2,10\n4,10\n8,12\n16,16\n32,24\n", "kind: hinge, f: 10ms, s: 500us, k: 4", "k: 4\n"},
	} {
		r := call(Process{Args: []string{"calibrate", "--points", "-", "--kind", kind, "--profile", profile}, Stdin: strings.NewReader(x.csv)})
		require.Equal(t, exitOK, r.code, r.err)
		require.Contains(t, strings.ReplaceAll(r.out, "µs", "us"), x.says)
		text, err := os.ReadFile(profile)
		require.NoError(t, err)
		require.Contains(t, string(text), x.has)
		r = call(Process{Args: []string{"check", "-", "--set", "workload.input=100", "--set", "fleet.gpu=" + string(text)},
			Stdin: strings.NewReader(strings.Replace(small, "demand: {lognormal: {mean: 10ms, cv: 1}}", "output: 1", 1))})
		require.Equal(t, exitOK, r.code, r.err)
	}
}

// Batches that are measured at a backend tell its curve, and the profile is a model.
func TestSweptProfilesAreModels(t *testing.T) {
	t.Parallel()
	spec := gpu.Defaults(gpu.Affine)
	spec.A, spec.B, spec.MaxBatch = gpu.Nanos(20*time.Millisecond), gpu.Nanos(10*time.Millisecond), 8
	model, problems := gpu.New(spec)
	require.Empty(t, problems)
	f, err := emulator.Start(t.Context(), emulator.Config{Replicas: []emulator.Replica{{Model: model}}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	dir := t.TempDir()
	targets, profile := filepath.Join(dir, "targets.yaml"), filepath.Join(dir, "p.yaml")
	require.NoError(t, os.WriteFile(targets, []byte("version: 1\nservices: {main: {targets: ['"+f.URLs()[0]+"']}}\n"), 0o600))
	r := call(Process{Args: []string{"calibrate", targets, "--sweep", "4", "--profile", profile}})
	require.Equal(t, exitOK, r.code, r.err)
	found := regexp.MustCompile(`kind: affine, a: (\S+), b: (\S+)`).FindStringSubmatch(r.out)
	require.NotNil(t, found, r.out)
	for _, text := range found[1:] { // how well it fits is the machine's: a busy one delays answers
		d, err := time.ParseDuration(text)
		require.NoError(t, err)
		require.GreaterOrEqual(t, d, time.Duration(0))
	}
	text, err := os.ReadFile(profile)
	require.NoError(t, err)
	require.Contains(t, string(text), "bursts of requests of 16 tokens")
	r = call(Process{Args: []string{"check", "-", "--set", "workload.input=100", "--set", "fleet.gpu=" + string(text)},
		Stdin: strings.NewReader(strings.Replace(small, "demand: {lognormal: {mean: 10ms, cv: 1}}", "output: 1", 1))})
	require.Equal(t, exitOK, r.code, r.err)
}

func TestPointsThatAreRefused(t *testing.T) {
	t.Parallel()
	for csv, want := range map[string]string{"": "no header", "batch,seconds\n1,2\n": `unknown column "seconds"`, "batch,ms\n1,x\n": `point 1: "x" is no number`,
		"batch,ms\n1,0\n": "all must be above 0", "batch,ms\n": "no measured points", "batch,ms\n1\n": "wrong number of fields"} {
		r := call(Process{Args: []string{"calibrate", "--points", "-", "--profile", filepath.Join(t.TempDir(), "p")}, Stdin: strings.NewReader(csv)})
		require.Equal(t, exitUsage, r.code, r.err)
		require.Contains(t, r.err, want)
	}
	for _, args := range [][]string{{}, {"emulator", "--points", "x.csv"}, {"--points", "x.csv", "--sweep", "4"}, {"emulator", "--sweep", "1"}, {"emulator", "--sweep", "4", "--kind", "hinge"}, {"--points", "missing.csv"}} {
		r := call(Process{Args: append([]string{"calibrate", "--profile", "p"}, args...)})
		require.Equal(t, exitUsage, r.code, r.err)
	}
}
