package app

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/scenarios"
	"taillab/sim/gpu/fit"
)

// servedBy is the CSV of 240 requests that a preset has served, all of its times
// multiplied by a factor.
func servedBy(t *testing.T, preset string, factor float64) string {
	t.Helper()
	p, err := scenarios.Preset(preset)
	require.NoError(t, err)
	dice, at, run := rand.New(rand.NewPCG(3, 4)), 0.0, []fit.Served(nil)
	for range 240 {
		at += 25 * dice.ExpFloat64()
		run = append(run, fit.Served{Arrival: at, First: at, Last: at, Input: float64(100 + dice.IntN(2000)), Output: float64(2 + dice.IntN(300))})
	}
	run, err = fit.Play(fit.Scaled(p.Spec, factor), run)
	require.NoError(t, err)
	var b strings.Builder
	fmt.Fprintln(&b, "arrival_s,input,output,ttft_ms,e2e_ms")
	for _, r := range run {
		fmt.Fprintf(&b, "%.6f,%g,%g,%.4f,%.4f\n", r.Arrival/1e3, r.Input, r.Output, r.First-r.Arrival, r.Last-r.Arrival)
	}
	return b.String()
}

// A run that was served makes a profile of kind tokens, which foretells two thirds of
// it from one, and which a scenario takes by its file.
func TestServedRunsMakeProfiles(t *testing.T) {
	t.Parallel()
	profile := filepath.Join(t.TempDir(), "p.yaml")
	r := call(Process{Args: []string{"calibrate", "--points", "-", "--kind", "tokens", "--slots", "64", "--profile", profile}, Stdin: strings.NewReader(servedBy(t, "h100-8b", 1))})
	require.Equal(t, exitOK, r.code, r.err)
	require.Regexp(t, `points     240   mean error [01]\.\d%, each left out [01]\.\d%`, r.out)
	require.Regexp(t, `fitted to the first third, foretold the others \(160\)\n.*\nTTFT .*\nTPOT .*\nE2E .*\n`, r.out)
	p, err := scenarios.Profile(profile, "")
	require.NoError(t, err)
	require.InEpsilon(t, 6.4e6, float64(p.Step.Base), 0.03)
	require.InEpsilon(t, 19_600, float64(p.Prefill.PerToken), 0.2)
	require.Equal(t, 64, p.Slots)
	require.Equal(t, exitOK, checkProfile(profile).code)
}

// One factor is found again, and the errors on the other requests vanish with it.
func TestScaledProfiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	profile, run := filepath.Join(dir, "p.yaml"), servedBy(t, "h100-8b", 1.2)
	r := call(Process{Args: []string{"calibrate", "--points", "-", "--scale", "h100-8b", "--profile", profile}, Stdin: strings.NewReader(run)})
	require.Equal(t, exitOK, r.code, r.err)
	require.Contains(t, r.out, "factor     1.2 on all times of h100-8b, found on the first 80 of 240 requests")
	require.Regexp(t, `times 1\.2 \(160\)\n.*\nTTFT( .* [+-]0\.\d%){4}\nTPOT( .* [+-]0\.\d%){4}\nE2E( .* [+-]0\.\d%){4}\n`, r.out)
	p, err := scenarios.Profile(profile, "")
	require.NoError(t, err)
	require.Equal(t, "h100-8b-scaled", p.Name)
	require.Equal(t, 64, p.Slots)
	require.InEpsilon(t, 1.2*6.4e6, float64(p.Step.Base), 1e-3)
	require.InDelta(t, 0.03, p.Noise.Sigma, 0)
	require.Equal(t, exitOK, checkProfile(profile).code)

	// Once more from the scaled profile: nothing is left to do.
	again := filepath.Join(dir, "again.yaml")
	r = call(Process{Args: []string{"calibrate", "--points", "-", "--scale", profile, "--profile", again}, Stdin: strings.NewReader(run)})
	require.Equal(t, exitOK, r.code, r.err)
	require.Contains(t, r.out, "factor     1 on all times of h100-8b-scaled")
	for _, c := range []struct{ scale, csv, want string }{{"h100-9b", run, `no GPU preset called "h100-9b"`}, {"missing.yaml", run, "missing.yaml"},
		{"h100-8b", "batch,ms\n1,2\n", "needs a served run"}, {"h100-8b", "arrival_s,input\n1,2\n", "needs e2e_ms"}, {"h100-8b", servedBy(t, "h100-8b", 4), "not a model of this run"}} {
		r = call(Process{Args: []string{"calibrate", "--points", "-", "--scale", c.scale, "--profile", again}, Stdin: strings.NewReader(c.csv)})
		require.Equal(t, exitUsage, r.code, r.err)
		require.Contains(t, r.err, c.want)
	}
}

// Closed loops make a profile of kind tokens; every row is written beside what the
// model says of it.
func TestLoopsMakeProfiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	profile, residuals := filepath.Join(dir, "p.yaml"), filepath.Join(dir, "r.csv")
	rows := "concurrency,input,output,tpot_ms,ttft_ms\n"
	for _, n := range []float64{1, 8, 32} {
		for _, in := range []float64{256, 1024, 4096} {
			const out = 128
			tpot := 6.4 + 0.00005*n*(in+out/2) + 0.0196*(n-1)*in/out
			rows += fmt.Sprintf("%g,%g,%g,%.6f,%.6f\n", n, in, float64(out), tpot, tpot+3+0.0196*in)
		}
	}
	r := call(Process{Args: []string{"calibrate", "--points", "-", "--kind", "tokens", "--profile", profile, "--residuals", residuals}, Stdin: strings.NewReader(rows)})
	require.Equal(t, exitOK, r.code, r.err)
	require.Contains(t, r.out, "points     9   mean error 0.0%, each left out 0.0%")
	p, err := scenarios.Profile(profile, "")
	require.NoError(t, err)
	require.Equal(t, 32, p.Slots)
	require.InEpsilon(t, 3e6, float64(p.Prefill.Floor), 1e-3)
	require.InEpsilon(t, 50, float64(p.Step.PerKV), 1e-3)
	text, err := os.ReadFile(residuals)
	require.NoError(t, err)
	require.Len(t, strings.Split(strings.TrimSpace(string(text)), "\n"), 10)
	require.Contains(t, string(text), "point,measured_ms,predicted_ms,error\n1,")
	r = call(Process{Args: []string{"calibrate", "--points", "-", "--kind", "tokens", "--profile", profile}, Stdin: strings.NewReader("concurrency,input,output,tpot_ms\n1,10,1,5\n")})
	require.Equal(t, exitUsage, r.code)
	require.Contains(t, r.err, "2 or more output tokens")
}

// One bad row in a hundred is left out and told; more are refused.
func TestBadRows(t *testing.T) {
	t.Parallel()
	profile := filepath.Join(t.TempDir(), "p.yaml")
	var rows strings.Builder
	fmt.Fprint(&rows, "batch,ms\n4,n/a\n")
	for i := range 100 {
		fmt.Fprintf(&rows, "%d,%d\n", i+1, i+3)
	}
	r := call(Process{Args: []string{"calibrate", "--points", "-", "--profile", profile}, Stdin: strings.NewReader(rows.String())})
	require.Equal(t, exitOK, r.code, r.err)
	require.Contains(t, r.err, `left out: stdin:2: ms is "n/a", no number`)
	bad := "batch,ms\n1,3\n2,4\n3,-1\n4,6\n5,NaN\n6,8\n"
	r = call(Process{Args: []string{"calibrate", "--points", "-", "--profile", profile}, Stdin: strings.NewReader(bad)})
	require.Equal(t, exitUsage, r.code, r.err)
	require.Contains(t, r.err, "2 of 6 rows cannot be used, the first: stdin:4: ms is -1")
	r = call(Process{Args: []string{"calibrate", "--points", "-", "--skip-bad", "--profile", profile}, Stdin: strings.NewReader(bad)})
	require.Equal(t, exitOK, r.code, r.err)
	require.Contains(t, r.out, "t(B) = 2ms + 1ms·B")
}
