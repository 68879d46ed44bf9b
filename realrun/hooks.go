package realrun

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"time"

	"taillab/scenarios"
)

// hookLimit is how long the command of a hook may take.
const hookLimit = 10 * time.Second

// hook runs the command that brings a fault about at a real target, once per
// occurrence: it is told how long the fault lasts and ends it by itself. It is no
// shell's command. It may end what it began even where the run is over first.
func (d *drive) hook(t *scenarios.TargetURL, f *scenarios.Fault, length time.Duration) {
	argv := t.Hooks[f.Kind]
	if len(argv) == 0 {
		d.note(fmt.Sprintf("the fault %s at %s has no hook: nothing was done", f.Kind, t.URL))
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(d.ctx), hookLimit)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), hookEnv(f, length)...)
	cmd.WaitDelay = time.Second
	said := &lastBytes{}
	cmd.Stdout, cmd.Stderr = said, said
	err := cmd.Run()
	if ctx.Err() != nil {
		err = fmt.Errorf("it took longer than %v", hookLimit)
	}
	if err != nil {
		d.note(fmt.Sprintf("the fault %s at %s failed: the hook %s: %v%s", f.Kind, t.URL, argv[0], err, said.line()))
	}
}

// hookEnv is what a hook is told: the kind of fault, its length in seconds (0 = to the
// end of the run) and its factor (0 = none).
func hookEnv(f *scenarios.Fault, length time.Duration) []string {
	if f.ForHi == 0 {
		length = 0
	}
	number := func(x float64) string { return strconv.FormatFloat(x, 'f', -1, 64) }
	return []string{"TAILLAB_KIND=" + f.Kind, "TAILLAB_FOR=" + number(length.Seconds()), "TAILLAB_FACTOR=" + number(f.Factor)}
}

// lastBytes keeps the end of what a command prints.
type lastBytes struct{ b []byte }

func (l *lastBytes) Write(p []byte) (int, error) {
	l.b = append(l.b, p...)
	if over := len(l.b) - 512; over > 0 {
		l.b = l.b[over:]
	}
	return len(p), nil
}

// line is the last line, for the end of a message.
func (l *lastBytes) line() string {
	b := bytes.TrimSpace(l.b)
	if i := bytes.LastIndexByte(b, '\n'); i >= 0 {
		b = b[i+1:]
	}
	if len(b) == 0 {
		return ""
	}
	return ": " + strings.ToValidUTF8(string(b), "?")
}

// Hooks lists the commands that a cell's faults will run, one line each.
func (h Host) Hooks(c *scenarios.Cell) []string {
	if h.Targets == nil {
		return nil
	}
	var out []string
	seen := map[string]bool{}
	for i := range c.Setup.Faults {
		f := &c.Setup.Faults[i]
		t := h.Targets.Service(c.Setup.Services[f.Service].Name)
		if t == nil || len(f.Fronts) > 0 {
			continue
		}
		for r := range t.Targets {
			if f.Replicas != nil && !slices.Contains(f.Replicas, r) {
				continue
			}
			line := fmt.Sprintf("hook %s of %s: %s", f.Kind, t.Targets[r].URL, strings.Join(t.Targets[r].Hooks[f.Kind], " "))
			if !seen[line] {
				seen[line] = true
				out = append(out, line)
			}
		}
	}
	return out
}
