// Command livebench measures the live driver itself: how true its latencies are while
// a backend freezes, how late and how dear its sends are, and what its policies give
// beside those of proxies. It prints the table of docs/live-figures.md.
//
// Every figure is the median of several runs. Servers and drivers are processes of
// their own, so that the CPU of a driver is its own and a peer meets the same server.
// Peers (vegeta, nginx, haproxy) are run where they are installed; nothing needs them.
//
// Start with rows.go, which says what is measured.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "livebench: %v\n", err)
		os.Exit(1)
	}
}

// run is the program; its first argument may be the role of one of its own processes.
func run(ctx context.Context, args []string, in io.Reader, out, notes io.Writer) error {
	if len(args) > 0 {
		switch args[0] {
		case roleServe:
			return serve(ctx, in, out)
		case roleDrive:
			return drive(ctx, in, out)
		}
	}
	b := bench{out: out, notes: notes}
	f := flag.NewFlagSet("livebench", flag.ContinueOnError)
	f.IntVar(&b.runs, "runs", 3, "runs of which each figure is the median")
	f.DurationVar(&b.length, "length", 10*time.Second, "length of one run")
	only := f.String("only", "", "measure the rows whose name contains this")
	if err := f.Parse(args); err != nil {
		return err
	}
	if b.runs < 1 || b.length < time.Second {
		return fmt.Errorf("-runs must be at least 1 and -length at least 1s")
	}
	fmt.Fprintf(out, "%s. Median of %d runs of %v each.\n\n", machine(ctx), b.runs, b.length)
	fmt.Fprintln(out, "| measure | peer | here | goal | |\n|---|---|---:|---:|---|")
	for _, r := range rows() {
		if !strings.Contains(r.name, *only) {
			continue
		}
		if err := b.row(ctx, &r); err != nil {
			return fmt.Errorf("%s: %w", r.name, err)
		}
	}
	return nil
}

// Roles of this program's own processes.
const (
	roleServe = "serve"
	roleDrive = "drive"
)

// answer reads the one JSON value that a process of ours prints.
func answer(data []byte, into any) error {
	if err := json.Unmarshal(data, into); err != nil {
		return fmt.Errorf("the answer %.200q cannot be read: %w", data, err)
	}
	return nil
}
