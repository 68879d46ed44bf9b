package realrun

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/scenarios"
)

// actAsHook is the hook of these tests: it writes what it is told to a file, and ends
// with the code that it is asked for.
func actAsHook(args []string) int {
	text := fmt.Sprintf("%s %s %s\n", os.Getenv("TAILLAB_KIND"), os.Getenv("TAILLAB_FOR"), os.Getenv("TAILLAB_FACTOR"))
	f, err := os.OpenFile(args[0], os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return 9
	}
	defer f.Close()
	if _, err := f.WriteString(text); err != nil {
		return 9
	}
	if len(args) > 1 {
		fmt.Fprintln(os.Stderr, "first line\nno such service")
		return 3
	}
	return 0
}

func TestHooksAreToldWhatToDo(t *testing.T) {
	t.Parallel()
	self, err := os.Executable()
	require.NoError(t, err)
	file := filepath.Join(t.TempDir(), "said; echo no shell")
	target := &scenarios.TargetURL{URL: "http://127.0.0.1:1", Hooks: map[string][]string{
		scenarios.FaultSlow:   {self, file},
		scenarios.FaultCrash:  {self, file, "fail"},
		scenarios.FaultFreeze: {filepath.Join(t.TempDir(), "nothing")},
	}}
	c := cellOf(t, 1, 1, 10, 10, policy("random"))
	var mu sync.Mutex
	var notes []string
	d := newDrive(t.Context(), &scenarios.Run{Cell: c, Seed: 1}, c.Setup.Live, place{base: time.Now()})
	d.note = func(text string) {
		mu.Lock()
		defer mu.Unlock()
		notes = append(notes, text)
	}
	d.hook(target, &scenarios.Fault{Kind: scenarios.FaultSlow, Factor: 2.5, ForLo: 1, ForHi: 2}, 1500*time.Millisecond)
	d.hook(target, &scenarios.Fault{Kind: scenarios.FaultSlow, Factor: 4}, 0)
	require.Empty(t, notes)
	d.hook(target, &scenarios.Fault{Kind: scenarios.FaultCrash}, 0)
	d.hook(target, &scenarios.Fault{Kind: scenarios.FaultFreeze}, 0)
	d.hook(target, &scenarios.Fault{Kind: scenarios.FaultReset}, 0)
	said, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "slow 1.5 2.5\nslow 0 4\ncrash 0 0\n", string(said))
	require.Len(t, notes, 3)
	require.Contains(t, notes[0], "exit status 3: no such service")
	require.Contains(t, notes[1], "the fault freeze at http://127.0.0.1:1 failed")
	require.Contains(t, notes[2], "has no hook")
}

func TestHooksAreListed(t *testing.T) {
	t.Parallel()
	c := cellOf(t, 2, 1, 10, 10, policy("random"))
	c.Setup.Faults = []scenarios.Fault{{Kind: scenarios.FaultCrash, Replicas: []int{1}}, {Kind: scenarios.FaultCrash, Replicas: []int{1}}, {Kind: scenarios.FaultCrash, Fronts: []int{0}}}
	h := Host{Targets: &scenarios.Targets{Services: []scenarios.TargetService{{Name: "main", Targets: []scenarios.TargetURL{
		{URL: "http://a"}, {URL: "http://b", Hooks: map[string][]string{scenarios.FaultCrash: {"systemctl", "kill", "llm"}}}}}}}}
	require.Equal(t, []string{"hook crash of http://b: systemctl kill llm"}, h.Hooks(c))
	require.Empty(t, Host{}.Hooks(c))
}
