// Package taillab is the command line as a library: a program of a few lines
// anywhere can add policies of its own and gets every verb, format and check of
// taillab with them. It is not a library for simulating: the rooms of the program
// are internal to its verbs.
//
//	package main
//
//	func main() {
//		taillab.Main(policies.Of("mine", "what it does",
//			func() balance.Balancer { return &Mine{K: 3} }))
//	}
package taillab

import (
	"os"
	"os/signal"
	"syscall"

	"github.com/fatih/color"

	"taillab/cmd/taillab/app"
	"taillab/policies"
)

// Main runs the command line of this process and exits with its code. The entries
// join the catalogue of policies.
func Main(extra ...policies.Entry) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, app.Interruptions()...)
	signal.Ignore(syscall.SIGPIPE) // a closed pipe is an error of the write, handled there
	color.NoColor = true           // of the table library, which would look at the streams itself
	os.Exit(app.Main(app.OS(signals), extra...))
}
