package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
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

func TestPointsThatAreRefused(t *testing.T) {
	t.Parallel()
	for csv, want := range map[string]string{"": "no header", "batch,seconds\n1,2\n": `unknown column "seconds"`, "batch,ms\n1,x\n": `point 1: "x" is no number`,
		"batch,ms\n1,0\n": "all must be above 0", "batch,ms\n": "no measured points", "batch,ms\n1\n": "wrong number of fields"} {
		r := call(Process{Args: []string{"calibrate", "--points", "-", "--profile", filepath.Join(t.TempDir(), "p")}, Stdin: strings.NewReader(csv)})
		require.Equal(t, exitUsage, r.code, r.err)
		require.Contains(t, r.err, want)
	}
	for _, args := range [][]string{{}, {"emulator", "--points", "x.csv"}, {"--points", "missing.csv"}} {
		r := call(Process{Args: append([]string{"calibrate", "--profile", "p"}, args...)})
		require.Equal(t, exitUsage, r.code, r.err)
	}
}
