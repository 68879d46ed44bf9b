package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"lab": main})
}

// TestStudy runs the program as its user would, beside its scenario.
func TestStudy(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{Dir: "testdata", Setup: func(e *testscript.Env) error {
		study, err := os.ReadFile("study.yaml")
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(e.WorkDir, "study.yaml"), study, 0o666)
	}})
}
