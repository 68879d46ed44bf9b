package app

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"taillab/scenarios"
)

// initCmd is `taillab init`: a scenario to start from, in the current folder.
type initCmd struct {
	Name   string `arg:"" optional:"" default:"first-look" help:"Name of the scenario; the file is NAME.yaml."`
	From   string `help:"Begin with an embedded scenario in place of the commented first one." placeholder:"SCENARIO"`
	Common common `embed:""`
}

func (c *initCmd) run(s *session) int {
	name := strings.TrimSuffix(strings.TrimSuffix(c.Name, ".yaml"), ".yml")
	text, err := scenarios.Start(name, c.From)
	if err != nil {
		return s.fail(exitUsage, "", "%v", err)
	}
	schema, err := scenarios.Schema(s.catalog)
	if err != nil {
		return s.fail(exitBroken, "", "%v", err)
	}
	file := name + ".yaml"
	switch err := create(file, text); {
	case errors.Is(err, fs.ErrExist):
		return s.fail(exitUsage, "give another name: taillab init NAME", "%s exists: it is left as it is", file)
	case err != nil:
		return s.fail(exitUsage, "", "%v", err)
	}
	fmt.Fprintf(s.out, "wrote  %s\n", file)
	switch err := create(scenarios.SchemaFile, schema); {
	case errors.Is(err, fs.ErrExist):
		if old, err := os.ReadFile(scenarios.SchemaFile); err != nil || !bytes.Equal(old, schema) {
			s.note("%s is another program's or version's; to renew it: taillab schema > %s", scenarios.SchemaFile, scenarios.SchemaFile)
		}
	case err != nil:
		return s.fail(exitUsage, "", "%v", err)
	default:
		fmt.Fprintf(s.out, "wrote  %s, by which editors complete and check it\n", scenarios.SchemaFile)
	}
	s.note("next   taillab run %s   keys: docs/scenario.md, or taillab explain KEY", file)
	return exitOK
}

// create writes a file that must not exist yet.
func create(name string, data []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Close())
}
