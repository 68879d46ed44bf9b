// Package app is the command line: one file per verb, which reads flags, joins
// the rooms of the program and prints. It decides nothing about policies,
// statistics or formats; the rooms do. Start at Main, then at run.go.
package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"

	"taillab/policies"
	"taillab/scenarios"
)

// The exit codes of cli.md; `taillab explain exit/N` says what each means.
const (
	exitOK           = 0
	exitFailed       = 1
	exitUsage        = 2
	exitBroken       = 3
	exitInconclusive = 4
	exitInterrupted  = 130
	exitTerminated   = 143
)

// Process is what the operating system lends to the command line.
type Process struct {
	Args           []string // without the program's name
	Stdin          io.Reader
	Stdout, Stderr io.Writer
	Getenv         func(name string) string
	// Signals delivers interruptions: the first ends the work in good order, the
	// second at once. Nil is none.
	Signals <-chan os.Signal
	// Exit ends the process at once; it is called after a second signal only. Nil
	// is os.Exit.
	Exit func(code int)
}

// OS is this process. stop takes the signal handling back.
func OS(signals <-chan os.Signal) Process {
	return Process{Args: os.Args[1:], Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr,
		Getenv: os.Getenv, Signals: signals, Exit: os.Exit}
}

// Main runs one command line and returns its exit code. The entries join the
// catalogue: they appear in list, explain, check and run as the built-in ones do.
func Main(p Process, extra ...policies.Entry) int {
	if p.Getenv == nil {
		p.Getenv = func(string) string { return "" }
	}
	if p.Exit == nil {
		p.Exit = os.Exit
	}
	s := &session{Process: p, catalog: append(scenarios.Catalog(), extra...)}
	s.out, s.err = &pipe{to: p.Stdout}, &pipe{to: p.Stderr}
	ctx, cancel := context.WithCancel(context.Background())
	s.ctx = ctx
	done := make(chan struct{})
	watched := s.watch(cancel, done)
	defer func() { cancel(); close(done); <-watched }()
	if err := s.checkCatalog(); err != nil {
		return s.fail(exitUsage, "", "%v", err)
	}
	v, code := s.parse()
	if v == nil {
		return code
	}
	code = v.run(s)
	if s.out.failed != nil && code == exitOK {
		return s.fail(exitBroken, "", "writing the results: %v", s.out.failed)
	}
	return code
}

// session is one command line while it runs.
type session struct {
	Process
	ctx      context.Context
	catalog  policies.Catalog
	out, err *pipe
	stopped  code // set by the first signal
	common   common
	log      *slog.Logger
}

// verb is what a parsed command line asks for.
type verb interface{ run(s *session) int }

// checkCatalog refuses entries that nothing could tell apart.
func (s *session) checkCatalog() error {
	seen := map[string]bool{}
	for _, e := range s.catalog {
		key := e.Family + "/" + e.Name
		if e.Name == "" {
			return fmt.Errorf("a policy of this program has no name")
		}
		if seen[key] {
			return fmt.Errorf("two policies of this program are called %q: rename the one passed to Main", e.Name)
		}
		seen[key] = true
	}
	return nil
}

// fail prints one error with what to do about it, and returns the code.
func (s *session) fail(code int, hint, format string, args ...any) int {
	fmt.Fprintf(s.err, "taillab: %s\n", fmt.Sprintf(format, args...))
	if hint != "" {
		fmt.Fprintf(s.err, "     = %s\n", hint)
	}
	return code
}

// note tells something beside the results, unless -q is set.
func (s *session) note(format string, args ...any) {
	if !s.common.Quiet {
		fmt.Fprintf(s.err, format+"\n", args...)
	}
}

// worst is the exit code of several: the first of 130, 143, 2, 3, 1, 4.
func worst(codes ...int) int {
	for _, c := range []int{exitInterrupted, exitTerminated, exitUsage, exitBroken, exitFailed, exitInconclusive} {
		if slices.Contains(codes, c) {
			return c
		}
	}
	return exitOK
}

// pipe is an output that may be closed by its reader: then it swallows the rest.
// Any other failure is kept.
type pipe struct {
	to     io.Writer
	closed bool
	failed error
}

// Write implements io.Writer; it never fails.
func (p *pipe) Write(b []byte) (int, error) {
	if p.closed || p.failed != nil || p.to == nil {
		return len(b), nil
	}
	if _, err := p.to.Write(b); err != nil {
		if brokenPipe(err) {
			p.closed = true
		} else {
			p.failed = err
		}
	}
	return len(b), nil
}

// command is the name and the arguments, as typed.
func (s *session) command() []string { return append([]string{"taillab"}, s.Args...) }

// quote makes an argument safe to paste into a shell.
func quote(arg string) string {
	if arg != "" && !strings.ContainsFunc(arg, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_./=:,+@%", r))
	}) {
		return arg
	}
	return "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
}
