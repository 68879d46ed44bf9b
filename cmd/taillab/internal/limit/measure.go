package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/pprof"
	"strconv"
	"strings"
	"time"
)

// measurement is what one program said of one run.
type measurement struct {
	perRequest float64       // CPU ns per arrival and completion: 2·time/(arrivals + completions)
	setup      time.Duration // CPU time before the first event
	perServer  float64       // bytes of peak memory per server, 0 = unknown
}

// Programs that are compared.
const (
	kernel = "kernel"
	whole  = "whole"
)

// child runs one program once and prints its measurement.
func (o *options) child(out io.Writer) error {
	n := o.sizes[0]
	empty := peak()
	var c clock
	stop, err := o.profiled()
	if err != nil {
		return err
	}
	switch o.only {
	case kernel:
		runKernel(n, o.count(n), o.seed, &c)
	case whole:
		err = o.runWhole(n, &c)
	default:
		err = fmt.Errorf("-only %s: it must be %s or %s", o.only, kernel, whole)
	}
	if err = cmp.Or(err, stop()); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%g %d %g\n", 2*float64(c.end-c.begin)/float64(c.events), c.begin, float64(peak()-empty)/float64(n))
	return err
}

// profiled starts the CPU profile that was asked for; stop writes it.
func (o *options) profiled() (stop func() error, err error) {
	if o.profile == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(o.profile)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// clock takes the CPU time at the first and after the last event, and counts
// arrivals and completions.
type clock struct {
	begin, end time.Duration
	events     int64
}

func (c *clock) start() { c.begin = cpuTime() }
func (c *clock) stop(events int64) {
	c.end, c.events = cpuTime(), events
}

// apart runs one program in a process of its own.
func (o *options) apart(program string, n int) (m measurement, err error) {
	self, err := os.Executable()
	if err != nil {
		return m, err
	}
	cmd := exec.Command(self, "-only", program, "-n", strconv.Itoa(n), "-requests", strconv.Itoa(o.count(n)),
		"-seed", strconv.FormatUint(o.seed, 10))
	cmd.Stderr = os.Stderr
	text, err := cmd.Output()
	if err != nil {
		return m, fmt.Errorf("%s, n = %d: %w", program, n, err)
	}
	if _, err = fmt.Sscan(string(text), &m.perRequest, &m.setup, &m.perServer); err != nil {
		err = fmt.Errorf("%s, n = %d printed %q: %w", program, n, text, err)
	}
	return m, err
}

// limit is the compiled C program.
type limit string

// compile builds the C program in dir. Contraction is off because it would change
// the program's digits.
func compile(source, dir string) (limit, error) {
	cc := os.Getenv("CC")
	if cc == "" {
		cc = "gcc"
	}
	exe := filepath.Join(dir, "limit")
	out, err := exec.Command(cc, "-O3", "-march=native", "-ffp-contract=off", "-o", exe, source, "-lm").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("cannot build %s: %w\n%s", source, err, out)
	}
	return limit(exe), nil
}

var (
	nsForm     = regexp.MustCompile(`ns/req=([0-9.]+)`)
	eventsForm = regexp.MustCompile(`events=([0-9]+)`)
	bytesForm  = regexp.MustCompile(`B/server=([0-9.]+)`)
)

// run runs the C program, which tells its CPU time on stderr.
func (l limit) run(n, requests int, seed uint64) (m measurement, err error) {
	var said strings.Builder
	cmd := exec.Command(string(l), strconv.Itoa(n), "0.9", strconv.Itoa(requests), strconv.FormatUint(seed, 10))
	cmd.Stderr = &said
	if err := cmd.Run(); err != nil {
		return m, fmt.Errorf("the C program, n = %d: %w", n, err)
	}
	// it stops at the last completion of so many requests; more have arrived
	m.perRequest = number(nsForm, said.String()) * 2 * float64(requests) / number(eventsForm, said.String())
	if math.IsNaN(m.perRequest) {
		return m, fmt.Errorf("the C program, n = %d, printed %q", n, said.String())
	}
	if b := number(bytesForm, said.String()); b > 0 {
		m.perServer = b
	}
	return m, nil
}

// number is what the form finds in a text, NaN when it finds none.
func number(form *regexp.Regexp, text string) float64 {
	found := form.FindStringSubmatch(text)
	if found == nil {
		return math.NaN()
	}
	x, err := strconv.ParseFloat(found[1], 64)
	if err != nil {
		return math.NaN()
	}
	return x
}
