package app

import (
	"taillab/reports"
	"taillab/scenarios"
)

// schemaCmd is `taillab schema`: JSON Schemas, of what this program reads with all
// policies it has, and of what it writes.
type schemaCmd struct {
	Kind   string `arg:"" optional:"" enum:"scenario,summary" default:"scenario" help:"${enum}."`
	Common common `embed:""`
}

func (c *schemaCmd) run(s *session) int {
	data, err := scenarios.Schema(s.catalog)
	if c.Kind == "summary" {
		data, err = reports.SummaryJSONSchema()
	}
	if err != nil {
		return s.fail(exitBroken, "", "%v", err)
	}
	_, _ = s.out.Write(data) // a pipe does not fail
	return exitOK
}
