package scenarios

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/workloads"
)

func TestOverheadRoundTrip(t *testing.T) {
	t.Parallel()
	for _, o := range []Overhead{{}, {time.Hour, "a \"quoted\"\n\tsource: # ± 5 µs", 200}, {1182345, "emulator", 1}} {
		got, problems := LoadOverhead(Source{Name: "p.yaml", Data: o.YAML()})
		require.Empty(t, problems, "%s", o.YAML())
		require.Equal(t, o, *got)
	}
}

func TestOverheadProblems(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"version: 1\noverhead: 5\n":               "p.yaml:2:11: overhead is 5: a duration needs a unit (add a unit, such as 5ms (us ms s m h))",
		"version: 1\nsource: x\n":                 "p.yaml:1:1: overhead is missing (such as overhead: 1.2ms; taillab calibrate measures it)",
		"version: 2\noverhead: 1ms\n":             "p.yaml:1:10: version is 2: this program reads version 1 (write version: 1)",
		"overhead: 1ms\n":                         "p.yaml:1:1: version is 0: this program reads version 1 (write version: 1)",
		"version: 1\noverhead: 1ms\noverhed: 2\n": `p.yaml:3:1: unknown key "overhed" at the top level (did you mean "overhead"?)`,
		"":                               "p.yaml:1:1: the profile is empty",
		"[1]":                            "",
		"version: 1\noverhead: -1ms":     "",
		"version: [1]\noverhead: {a: b}": "",
	} {
		got, problems := LoadOverhead(Source{Name: "p.yaml", Data: []byte(text)})
		require.Nil(t, got, text)
		require.NotEmpty(t, problems, text)
		if want != "" {
			require.Contains(t, problems[0].Error(), want)
		}
	}
}

func TestWithOverhead(t *testing.T) {
	t.Parallel()
	setup := &Setup{Services: []Service{{Name: "a"}, {Name: "b", Network: Network{Response: Link{Delay: workloads.Constant(1e6), Loss: 0.1}, Report: datacentre()}}}}
	p := &Plan{Name: "x", Cells: []*Cell{{Policy: "p", Setup: setup}, {Policy: "q", Setup: setup}}}
	got, err := p.WithOverhead(2 * time.Millisecond)
	require.NoError(t, err)
	require.Same(t, got.Cells[0].Setup, got.Cells[1].Setup, "cells of one point still share it")
	require.Equal(t, Network{Response: Link{Delay: workloads.Constant(2e6)}, Report: Link{Delay: workloads.Constant(2e6)}, Probe: Link{Delay: workloads.Constant(1e6)}}, got.Cells[0].Setup.Services[0].Network)
	require.Equal(t, Network{Response: Link{Delay: workloads.Constant(3e6), Loss: 0.1}, Report: datacentre(), Probe: Link{Delay: workloads.Constant(1e6)}}, got.Cells[1].Setup.Services[1].Network)
	require.Equal(t, Network{}, setup.Services[0].Network, "the plan is left as it is")
	require.Equal(t, "x", got.Name)
	setup.Services[1].Network = Network{Request: datacentre(), Response: datacentre()}
	_, err = p.WithOverhead(time.Millisecond)
	require.ErrorContains(t, err, "service b: network.request.delay and network.response.delay are both drawn at random")
}

func FuzzLoadOverhead(f *testing.F) {
	f.Add([]byte("version: 1\noverhead: 1ms\nsource: x\nrequests: 200\n"))
	f.Add([]byte("{version: 1, overhead: &a 1ms, source: *a}"))
	f.Fuzz(func(t *testing.T, data []byte) {
		got, problems := LoadOverhead(Source{Name: "p", Data: data})
		require.Equal(t, got == nil, len(problems) > 0)
		if got != nil {
			again, _ := LoadOverhead(Source{Name: "p", Data: got.YAML()})
			require.Equal(t, got, again)
		}
	})
}
