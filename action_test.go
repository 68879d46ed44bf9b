package taillab_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Every input of action.yml reaches its script under its own name, and only so.
func TestActionInputs(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("action.yml")
	require.NoError(t, err)
	inputs, steps, found := strings.Cut(string(text), "\nruns:\n")
	require.True(t, found)
	var declared, passed []string
	for _, m := range regexp.MustCompile(`(?m)^  ([a-z]+):$`).FindAllStringSubmatch(inputs, -1) {
		declared = append(declared, m[1])
	}
	for _, m := range regexp.MustCompile(`(?m)^        ([A-Z]+): \$\{\{ inputs\.([a-z]+) \}\}$`).FindAllStringSubmatch(steps, -1) {
		require.Equal(t, m[1], strings.ToUpper(m[2]))
		passed = append(passed, m[2])
	}
	require.Equal(t, []string{"scenarios", "strict", "baseline", "arguments", "out"}, declared)
	require.Equal(t, declared, passed)
	require.Equal(t, len(passed), strings.Count(steps, "${{ inputs."), "an input pasted into a script could run")
}

// The action's script annotates, writes its reports and exits as the gates say.
func TestActionScript(t *testing.T) {
	t.Parallel()
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash here to run the action's script")
	}
	script, err := filepath.Abs(filepath.Join(".ci", "action"))
	require.NoError(t, err)
	dir, tools := t.TempDir(), t.TempDir()
	program, err := os.Executable() // it is taillab when it is called so, see TestMain
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(tools, "go"), []byte("#!/bin/sh\nexec ln -s '"+program+"' \"$3\" # go build -o FILE PACKAGE\n"), 0o700))
	for name, gate := range map[string]string{"good": "p50(random) < 1h", "bad one": "p50(random) < 1us"} {
		text := "version: 1\nname: " + strings.ReplaceAll(name, " ", "-") + "\nworkload: {demand: 10ms}\nfleet: {replicas: 2}\nsweep: {load: 0.5, seeds: 3}\nmeasure: {requests: 2000}\ngates: [" + gate + "]\n"
		require.NoError(t, os.WriteFile(filepath.Join(dir, strings.ReplaceAll(name, " ", "-")+".yaml"), []byte(text), 0o600))
	}
	run := func(env ...string) (string, int) {
		c := exec.CommandContext(t.Context(), bash, script)
		c.Dir = dir
		c.Env = append(os.Environ(), append([]string{"OUT=out", "STRICT=true", "BASELINE=", "ARGUMENTS=", "GITHUB_WORKSPACE=" + dir,
			"PATH=" + tools + string(os.PathListSeparator) + os.Getenv("PATH"),
			"GITHUB_STEP_SUMMARY=" + filepath.Join(dir, "step.md")}, env...)...)
		out, _ := c.CombinedOutput() // the exit code says more
		return string(out), c.ProcessState.ExitCode()
	}
	out, code := run("SCENARIOS=good.yaml\nbad-one.yaml\n", "ARGUMENTS=--seeds 2")
	require.Equal(t, 1, code, out)
	require.Contains(t, out, "::error file=bad-one.yaml,line=7,col=9,title=p50(random) < 1us at load 0.5::failed")
	require.Contains(t, out, "::notice title=good::the gate passed.")
	for _, name := range []string{"junit-good.xml", "junit-bad-one.xml", "summary-good.md", "summary-bad-one.json"} {
		require.FileExists(t, filepath.Join(dir, "out", name))
	}
	summary, err := os.ReadFile(filepath.Join(dir, "step.md"))
	require.NoError(t, err)
	require.Contains(t, string(summary), "## good: passed")
	require.Contains(t, string(summary), "## bad-one: failed")

	out, code = run("SCENARIOS=good.yaml", "BASELINE=base.json", "STRICT=false")
	require.Zero(t, code, out)
	out, code = run("SCENARIOS= \n")
	require.Equal(t, 2, code, out)
	require.Contains(t, out, "names none")
	out, code = run("SCENARIOS=good.yaml", "STRICT=yes")
	require.Equal(t, 2, code, out)
	out, code = run("SCENARIOS=$(touch pwned)")
	require.Equal(t, 2, code, out)
	require.NoFileExists(t, filepath.Join(dir, "pwned"))
}
