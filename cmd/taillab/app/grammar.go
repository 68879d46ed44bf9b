package app

import (
	"fmt"
	"strings"

	"github.com/alecthomas/kong"
)

// grammar is the command line: every verb is one type in its own file.
type grammar struct {
	Run        runCmd        `cmd:"" help:"Simulate scenarios and report."`
	Check      checkCmd      `cmd:"" help:"Validate scenarios; nothing is run."`
	Compare    compareCmd    `cmd:"" help:"Hold a saved run against another one, or against a baseline."`
	List       listCmd       `cmd:"" help:"List policies, scenarios, GPUs, workloads, metrics or formats."`
	Explain    explainCmd    `cmd:"" help:"Say what a policy, scenario, key, metric, GPU, workload, outcome, warning or exit code is."`
	Report     reportCmd     `cmd:"" help:"Redraw saved runs; nothing is run again."`
	Capacity   capacityCmd   `cmd:"" help:"Find the highest load, or the fewest replicas, at which each policy meets a rule."`
	Replay     replayCmd     `cmd:"" help:"Feed a tape to fresh instances of its policy, or of another one."`
	Calibrate  calibrateCmd  `cmd:"" help:"Measure what live requests cost beside their servers; writes a profile."`
	Emulate    emulateCmd    `cmd:"" help:"Serve emulated GPU backends until interrupted."`
	Proxy      proxyCmd      `cmd:"" help:"Serve real clients: a reverse proxy whose policies are the scenario's."`
	Verify     verifyCmd     `cmd:"" help:"Hold the simulator to queueing theory."`
	Workload   workloadCmd   `cmd:"" help:"Statistics of a trace, a preset or a scenario's workload."`
	Init       initCmd       `cmd:"" help:"Write a commented scenario to start from."`
	Schema     schemaCmd     `cmd:"" help:"Print the JSON Schema of scenarios, or of the summary."`
	Completion completionCmd `cmd:"" help:"Print the script by which a shell completes verbs, flags, scenarios, labels and keys."`
	Version    versionCmd    `cmd:"" help:"Print version, commit and Go version."`
}

// common is what every verb takes.
type common struct {
	Color   string `enum:"auto,always,never" default:"auto" help:"Colour: ${enum}." placeholder:"WHEN"`
	Quiet   bool   `short:"q" help:"Only results and errors."`
	Verbose bool   `short:"v" help:"Debug log on stderr."`
}

// scenarioFlags is what verbs that read scenarios take.
type scenarioFlags struct {
	Seed    uint64   `default:"1" help:"Base seed, 0…2⁵³−1, from which the seed of each replication is derived." placeholder:"N"`
	Seeds   int      `help:"Replications of every cell, 1…10,000; default: the scenario's, live measure.live.repeats." placeholder:"N"`
	Set     []string `sep:"none" help:"Override a scenario key, e.g. fleet.replicas=32; KEY=null removes one; repeatable." placeholder:"PATH=VALUE"`
	SkipBad skipBad  `help:"Skip unreadable trace rows, up to 5%; =all: any share."`
}

// maxSeed is the largest base seed: every JSON reader keeps it exact.
const maxSeed = 1<<53 - 1

// check refuses what no scenario could hold.
func (f *scenarioFlags) check() error {
	switch {
	case f.Seed > maxSeed:
		return fmt.Errorf("--seed is %d: it must be at most 2⁵³−1", f.Seed)
	case f.Seeds < 0 || f.Seeds > 10_000:
		return fmt.Errorf("--seeds is %d: it must lie in [1, 10,000]", f.Seeds)
	}
	for _, s := range f.Set {
		if path, _, ok := strings.Cut(s, "="); !ok || path == "" {
			return fmt.Errorf("--set %s: write PATH=VALUE, e.g. fleet.replicas=32", s)
		}
	}
	return nil
}

// skipBad is --skip-bad: "", "some" or "all".
type skipBad string

// IsBool lets the flag stand without a value.
func (b *skipBad) IsBool() bool { return true }

// Decode implements kong.MapperValue.
func (b *skipBad) Decode(ctx *kong.DecodeContext) error {
	if ctx.Scan.Peek().Type != kong.FlagValueToken {
		*b = "some"
		return nil
	}
	switch v := fmt.Sprint(ctx.Scan.Pop().Value); v {
	case "true", "1", "some":
		*b = "some"
	case "false", "0", "":
		*b = ""
	case "all":
		*b = "all"
	default:
		return fmt.Errorf("%q is no choice: write --skip-bad or --skip-bad=all", v)
	}
	return nil
}

// verbs names the verbs in the order of the help.
func verbs() []string {
	return []string{"run", "check", "compare", "list", "explain", "report", "capacity", "replay", "calibrate", "emulate", "proxy", "verify", "workload", "init", "schema", "completion", "version"}
}
