package app

import (
	"encoding/json"
	"fmt"
	"strconv"

	"taillab/reports/render"
	"taillab/scenarios"
)

// checkCmd is `taillab check`: it validates and writes nothing. Problems go to
// stderr in every format, so that stdout is empty when the exit code is 2.
type checkCmd struct {
	Scenario  []string      `arg:"" help:"Path, name of an embedded scenario, or - for stdin."`
	Format    string        `enum:"text,json,github" default:"text" help:"Problems as ${enum}." placeholder:"FMT"`
	Scenarios scenarioFlags `embed:""`
	Common    common        `embed:""`
}

func (c *checkCmd) run(s *session) int {
	if err := c.Scenarios.check(); err != nil {
		return s.fail(exitUsage, "", "%v", err)
	}
	sources, err := s.read(c.Scenario)
	if err != nil {
		return s.fail(exitUsage, "", "%v", err)
	}
	plans, problems := scenarios.Load(sources, s.loadOptions(&c.Scenarios))
	if len(problems) > 0 {
		c.problems(s, problems, sources)
		return exitUsage
	}
	switch c.Format {
	case "json":
		fmt.Fprintln(s.out, "[]")
	case "text":
		for _, p := range plans {
			fmt.Fprintf(s.out, "ok  %s: %s, %s\n", p.File, shape(p), plural(len(p.Gates), "gate", "gates"))
		}
	}
	for _, p := range plans {
		for _, w := range p.Warnings {
			s.note("%s: warning %s: %s", p.File, w.Code, w.Message)
		}
	}
	return exitOK
}

func (c *checkCmd) problems(s *session, problems []scenarios.Problem, sources []scenarios.Source) {
	switch c.Format {
	case "json":
		e := json.NewEncoder(s.err)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		_ = e.Encode(problems) // a pipe does not fail
	case "github":
		for _, p := range problems {
			fmt.Fprintln(s.err, s.workflowCommand(p))
		}
	default:
		scenarios.Print(s.err, problems, sources, s.width(s.Stderr), s.stderrColor())
	}
}

// workflowCommand is a problem as an annotation of a GitHub workflow.
func (s *session) workflowCommand(p scenarios.Problem) string {
	var props []string
	if file := s.annotated(p.File); file != "" {
		props = append(props, "file", file)
		if p.Line > 0 {
			props = append(props, "line", strconv.Itoa(p.Line), "col", strconv.Itoa(p.Column), "endColumn", strconv.Itoa(p.EndColumn))
		}
	}
	msg := p.Message
	if p.Hint != "" {
		msg += "\n" + p.Hint
	}
	return render.Command("error", msg, append(props, "title", "taillab")...)
}
