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
	"taillab/scenarios"
	"taillab/sim/gpu"
)

// A profile that was fitted is a latency model of a scenario.
func TestFittedProfilesAreModels(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	profile := filepath.Join(dir, "p.yaml")
	for kind, x := range map[string]struct{ csv, says, has string }{
		"affine":        {"batch,ms\n1,3\n2,4\n4,6\n8,10\n", "t(B) = 2ms + 1ms·B", "max_batch: 8\n"},
		"affine-tokens": {"items,tokens,tokens_sq,ms\n1,100,10000,3\n1,200,40000,5\n2,200,20000,4\n2,800,320000,26\n4,400,40000,6\n4,1600,640000,50\n", "t = 1.92706ms + 3.61761us·tokens + 65.244ns·ΣS²", "n: 6\n"},
		"hinge":         {"# a comment\ntokens,latency_ms\n1,10\n2,10\n4,10\n8,12\n16,16\n32,24\n", "t(n) = 10ms + 500us·max(0, n − 4)", "k: 4\n"},
		"table":         {"batch,ms\n1,2\n2,5\n3,4\n4,8\n", "t = linear table of 4 points over [1, 4]", "y: [2ms, 4.39024ms, 4.39024ms, 8ms]\n"},
		"smooth-max":    {"tokens,ms\n1,10\n10,10\n100,10\n200,12\n400,20.2\n800,40\n1600,80\n", "points     7   mean error", "kind: smooth-max\n"},
	} {
		r := call(Process{Args: []string{"calibrate", "--points", "-", "--kind", kind, "--profile", profile}, Stdin: strings.NewReader(x.csv)})
		require.Equal(t, exitOK, r.code, r.err)
		require.Contains(t, r.out, x.says)
		text, err := os.ReadFile(profile)
		require.NoError(t, err)
		require.Contains(t, string(text), x.has)
		r = checkProfile(profile)
		require.Equal(t, exitOK, r.code, r.err)
	}
}

// checkProfile checks a scenario whose fleet runs by a profile.
func checkProfile(profile string) result {
	return call(Process{Args: []string{"check", "-", "--set", "workload.input=100", "--set", "fleet.gpu=" + profile},
		Stdin: strings.NewReader(strings.Replace(small, "demand: {lognormal: {mean: 10ms, cv: 1}}", "output: 1", 1))})
}

// sweep measures a backend of the model by calibrate --sweep 4, which writes a profile.
func sweep(t *testing.T, spec gpu.Spec, transport string, args ...string) (r result, profile string) {
	t.Helper()
	model, problems := gpu.New(spec)
	require.Empty(t, problems)
	f, err := emulator.Start(t.Context(), emulator.Config{Replicas: []emulator.Replica{{Model: model}}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, f.Close()) })
	dir := t.TempDir()
	targets, profile := filepath.Join(dir, "targets.yaml"), filepath.Join(dir, "p.yaml")
	require.NoError(t, os.WriteFile(targets, []byte("version: 1\nservices: {main: {transport: "+transport+", targets: ['"+f.URLs()[0]+"']}}\n"), 0o600))
	r = call(Process{Args: append([]string{"calibrate", targets, "--sweep", "4", "--profile", profile}, args...)})
	require.Equal(t, exitOK, r.code, r.err)
	return r, profile
}

// Batches that are measured at a backend tell its curve, and the profile is a model.
func TestSweptProfilesAreModels(t *testing.T) {
	t.Parallel()
	spec := gpu.Defaults(gpu.Affine)
	spec.A, spec.B, spec.MaxBatch = gpu.Nanos(20*time.Millisecond), gpu.Nanos(10*time.Millisecond), 8
	r, profile := sweep(t, spec, "http-json")
	found := regexp.MustCompile(`t\(B\) = (\S+) \+ (\S+)·B`).FindStringSubmatch(r.out)
	require.NotNil(t, found, r.out)
	for _, text := range found[1:] { // how well it fits is the machine's: a busy one delays answers
		d, err := time.ParseDuration(text)
		require.NoError(t, err)
		require.GreaterOrEqual(t, d, time.Duration(0))
	}
	text, err := os.ReadFile(profile)
	require.NoError(t, err)
	require.Contains(t, string(text), "bursts of requests of 16 tokens")
	r = checkProfile(string(text))
	require.Equal(t, exitOK, r.code, r.err)
}

// Closed loops at a backend that makes tokens give a profile of their kind.
func TestSweptLoopsAreModels(t *testing.T) {
	t.Parallel()
	spec := gpu.Defaults(gpu.Tokens)
	spec.Step, spec.Prefill, spec.Slots = gpu.Step{Base: 1e6, PerSeq: 0.2e6}, gpu.Prefill{PerToken: 20_000}, 8
	r, profile := sweep(t, spec, "openai-chat", "--kind", "tokens", "--output", "16")
	require.Equal(t, 12, strings.Count(r.out, "TPOT"))
	p, err := scenarios.Profile(profile, "")
	require.NoError(t, err)
	require.Equal(t, 4, p.Slots)
	require.Positive(t, p.Step.Base, "how well it fits is the machine's")
	require.Equal(t, exitOK, checkProfile(profile).code)
}

func TestPointsThatAreRefused(t *testing.T) {
	t.Parallel()
	for csv, want := range map[string]string{"": "no header", "batch,seconds\n1,2\n": `unknown column "seconds"`, "batch,ms\n1,x\n": `stdin:2: ms is "x", no number`,
		"batch,ms\n1,0\n": "ms is 0: it must be above 0", "batch,ms\n": "no measured points", "batch,ms\n1\n": "wrong number of fields",
		"batch,ms\n1,5\n2,5\n4,5\n": "what fits best is no model", "concurrency,input,output,tpot_ms\n1,1,8,1\n": "--kind tokens"} {
		r := call(Process{Args: []string{"calibrate", "--points", "-", "--profile", filepath.Join(t.TempDir(), "p")}, Stdin: strings.NewReader(csv)})
		require.Contains(t, []int{exitUsage, exitBroken}, r.code, r.err)
		require.Contains(t, r.err, want)
	}
	for _, args := range [][]string{{}, {"emulator", "--points", "x.csv"}, {"--points", "x.csv", "--sweep", "4"}, {"emulator", "--sweep", "1"}, {"emulator", "--sweep", "4", "--kind", "hinge"}, {"--points", "missing.csv"},
		{"--points", "x.csv", "--slots", "4"}, {"--points", "x.csv", "--slots", "-1"}, {"emulator", "--scale", "h100-8b"}, {"--points", "x.csv", "--scale", "h100-8b", "--kind", "hinge"}, {"--points", "x.csv", "--scale", "h100-8b", "--residuals", "r.csv"}} {
		r := call(Process{Args: append([]string{"calibrate", "--profile", "p"}, args...)})
		require.Equal(t, exitUsage, r.code, r.err)
	}
}
