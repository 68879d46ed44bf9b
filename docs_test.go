package taillab_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"
)

// TestDocuments runs the documents: blocks marked "file=NAME" become files, lines of
// console blocks are run in order and must succeed.
func TestDocuments(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"tutorial", "ci"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := os.ReadFile(filepath.Join("docs", name+".md"))
			require.NoError(t, err)
			script, commands := tutorial(string(text))
			require.Greater(t, commands, 5)
			dir := t.TempDir()
			require.NoError(t, os.WriteFile(filepath.Join(dir, name+".txtar"), []byte(script), 0o600))
			testscript.Run(t, testscript.Params{Dir: dir, Setup: func(e *testscript.Env) error {
				e.Setenv("LANG", "C.UTF-8")
				return nil
			}})
		})
	}
}

// tutorial turns the document into a script.
func tutorial(text string) (script string, commands int) {
	var run, files strings.Builder
	fence := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "```") && fence == "":
			fence = line
			if _, name, ok := strings.Cut(line, "file="); ok {
				fmt.Fprintf(&files, "-- %s --\n", name)
			}
		case line == "```":
			fence = ""
		case strings.Contains(fence, "file="):
			files.WriteString(line + "\n")
		case fence == "```console":
			run.WriteString("exec " + line + "\n")
			commands++
		}
	}
	return run.String() + files.String(), commands
}
