// Command limit tells how far the simulator is from a speed limit: a small
// program in C that does nothing but the benchmark model (n servers in order of
// arrival, Poisson arrivals at ρ = 0.9, exponential service, the shorter of two
// random queues, every response time into a histogram).
//
// It compares two programs with it. The kernel is this project's clock and agenda
// under the same model and nothing else. The whole path is a scenario, loaded and
// run as `taillab run` does: workload, front end, policy, replicas, recorder and
// both hashes.
//
// The three take turns, each in a process of its own, and what counts is the
// median of the ratios of their CPU times within a round (user and system, all
// threads, without set-up), because times alone drift on a busy machine.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "limit:", err)
		os.Exit(1)
	}
}

// options are the flags.
type options struct {
	source   string // of the C program
	sizes    []int  // n
	requests int    // 0 = by size
	rounds   int
	seed     uint64
	only     string // the program that a child process runs; "" in the parent
	busy     bool   // measure whatever the load
	profile  string // file for its CPU profile
	policy   string // of the whole path
	fronts   int    // front ends of the whole path
}

func run(args []string, out io.Writer) error {
	o, err := parse(args, out)
	if errors.Is(err, flag.ErrHelp) {
		return nil
	}
	if err != nil {
		return err
	}
	if o.only != "" {
		return o.child(out)
	}
	return o.parent(out)
}

func parse(args []string, out io.Writer) (*options, error) {
	o := &options{}
	f := flag.NewFlagSet("limit", flag.ContinueOnError)
	f.SetOutput(out)
	sizes := f.String("n", "10,100,1000,10000,1000000", "numbers of servers")
	f.StringVar(&o.source, "c", "../shared/bench/limit.c", "source of the C program")
	f.IntVar(&o.requests, "requests", 0, "requests per measurement; 0 = 3,000,000, and 10 per server where that is more")
	f.IntVar(&o.rounds, "rounds", 5, "rounds of the three programs")
	f.Uint64Var(&o.seed, "seed", 1, "base seed")
	f.StringVar(&o.only, "only", "", "run one program once and print its measurement: kernel or whole")
	f.StringVar(&o.policy, "policy", "p2c", "with -only whole: the balancer")
	f.IntVar(&o.fronts, "frontends", 1, "with -only whole: the number of front ends")
	f.BoolVar(&o.busy, "busy", false, "measure also where the load is above the number of processors")
	f.StringVar(&o.profile, "profile", "", "with -only: write a CPU profile to this file")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	for _, s := range strings.Split(*sizes, ",") {
		n, err := strconv.Atoi(s)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("-n %s: %q is no number of servers", *sizes, s)
		}
		o.sizes = append(o.sizes, n)
	}
	if o.rounds < 1 || o.requests < 0 {
		return nil, errors.New("-rounds must be at least 1, and -requests not negative")
	}
	return o, nil
}

// count is the number of requests of a measurement with n servers.
func (o *options) count(n int) int {
	if o.requests > 0 {
		return o.requests
	}
	return max(3_000_000, 10*n)
}
