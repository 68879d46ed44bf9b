// Package scenariotest makes cells for tests of the hosts.
package scenariotest

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/autoscale"
	"taillab/scenarios"
)

// Cell loads the one cell of a scenario of such lines, seed 1: further lines replace
// those of the base with the same key.
func Cell(t testing.TB, base []string, lines ...string) *scenarios.Cell {
	t.Helper()
	text := slices.Clone(base)
	for _, l := range lines {
		key, _, _ := strings.Cut(l, ":")
		found := false
		for i := range text {
			if strings.HasPrefix(text[i], key+":") {
				text[i], found = l, true
			}
		}
		if !found {
			text = append(text, l)
		}
	}
	src := scenarios.Source{Name: "test.yaml", Data: []byte(strings.Join(text, "\n") + "\n")}
	plans, problems := scenarios.Load([]scenarios.Source{src}, scenarios.Options{Catalog: scenarios.Catalog(), Seed: 1})
	require.Empty(t, problems)
	return plans[0].Cells[0]
}

// Step is a count of replicas that is wanted from an instant on.
type Step struct {
	At    time.Duration // since the run began
	Count int
}

// At is a step.
func At(at time.Duration, count int) Step { return Step{At: at, Count: count} }

// Scripted gives a cell an autoscaler that asks for counts at set times; the first step
// holds before its time, too.
func Scripted(c *scenarios.Cell, steps ...Step) *scenarios.Cell {
	c.Autoscalers = []scenarios.Autoscaler{{Type: "script", Make: func() autoscale.Autoscaler { return script(steps) }}}
	return c
}

type script []Step

// Desire implements autoscale.Autoscaler.
func (s script) Desire(env *policies.Env, _ *autoscale.Metrics) autoscale.Decision {
	d := autoscale.Decision{Count: s[0].Count, Next: time.Hour}
	for _, x := range s {
		if x.At <= env.Now {
			d.Count = x.Count
		} else {
			d.Next = min(d.Next, x.At-env.Now)
		}
	}
	return d
}
