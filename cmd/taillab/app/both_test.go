package app

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/reports"
)

// countdown interrupts the program at the pick that the counter, which all instances
// share, reaches 0 with.
type countdown struct {
	left    *int
	signals chan<- os.Signal
}

func (p *countdown) Pick(env *balance.Env, _ *policies.Request) balance.Choice {
	if *p.left--; *p.left == 0 {
		p.signals <- os.Interrupt
	}
	return balance.To(env.Fleet.Ref(*p.left & 3)) // all in turn: a queue that grows draws a long drain
}

// bothInterrupted compares 150 requests of random and of countdown.
func bothInterrupted(t *testing.T, dir string, left int) result {
	t.Helper()
	signals := make(chan os.Signal)
	e := policies.Of("countdown", "interrupts", func() balance.Balancer { return &countdown{left: &left, signals: signals} })
	return call(Process{Args: []string{"run", "-", "-o", dir, "-j", "1", "--both", "--set", "policies.balance=[random, countdown]", "--set", "sweep.load=0.5",
		"--set", "measure.requests=150", "--set", "live.validity={lag: 10s, steal: 100%}", "--format", "json"}, Signals: signals}, e)
}

func TestBothInterruptedWhileSimulating(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := bothInterrupted(t, dir, 20)
	require.Equal(t, exitInterrupted, r.code, r.err)
	require.Empty(t, r.out)
	require.Contains(t, r.err, "interrupted before any live run of small had finished; nothing was kept")
	left, err := filepath.Glob(filepath.Join(dir, "small", "*"))
	require.NoError(t, err)
	require.Empty(t, left)
}

// What was driven before the interruption is kept and compared.
func TestBothInterruptedWhileDriving(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := bothInterrupted(t, dir, 225)
	require.Equal(t, exitInterrupted, r.code, r.err)
	require.Contains(t, r.err, "1 of 2 live runs were finished and are kept in "+dir)
	var f reports.Fidelity
	require.NoError(t, json.Unmarshal([]byte(r.out), &f))
	require.Equal(t, reports.FidelitySchema, f.Schema)
	require.Len(t, f.Cells, 8)
	require.Equal(t, "random", f.Cells[0].Policy)
	require.NotNil(t, f.Cells[0].Error)
	require.NotNil(t, f.Cells[4].Sim)
	require.Nil(t, f.Cells[4].Live)
	require.Nil(t, f.Cells[4].Error)
	saved, err := reports.OpenRun(filepath.Join(dir, "small", f.RunID, "live"))
	require.NoError(t, err)
	require.Equal(t, reports.RunInterrupted, saved.Manifest.Status)
	require.Empty(t, saved.Lost)
	var m reports.Manifest
	data, err := os.ReadFile(filepath.Join(dir, "small", f.RunID, "manifest.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(data, &m))
	require.Equal(t, [2]string{"both", reports.RunInterrupted}, [2]string{m.Host, m.Status})
}
