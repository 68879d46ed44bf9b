package scenarios

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestKeys: rows are unique and complete, and those for later say so when used.
func TestKeys(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, k := range Keys() {
		require.False(t, seen[k.Path], k.Path)
		seen[k.Path] = true
		require.NotEmpty(t, k.About, k.Path)
		if !k.Later {
			require.NotEmpty(t, k.Type, k.Path)
			continue
		}
		path := strings.TrimPrefix(k.Path, "S.")
		_, problems, _ := load(t, good, path+"=3")
		require.NotEmpty(t, problems, path)
		require.Equal(t, path+" is not available in this version", problems[0].Message)
	}
}

func TestChildKeys(t *testing.T) {
	t.Parallel()
	valid, later := childKeys("")
	require.Equal(t, strings.Fields("version name about allow_overload allow_closed workload frontends fleet hold services network discovery policies reporter quota faults sweep measure gates live"), valid)
	require.Equal(t, strings.Fields("cluster"), later)
	valid, later = childKeys("S")
	require.Equal(t, strings.Fields("fleet hold network discovery policies reporter"), valid)
	require.Empty(t, later)
	valid, _ = childKeys("S.policies")
	require.Equal(t, strings.Fields("balance autoscale"), valid)
	valid, _ = childKeys("policies")
	require.Equal(t, strings.Fields("balance autoscale quota share graph schedule"), valid)
	valid, _ = childKeys("faults")
	require.Equal(t, strings.Fields("at every for target kind factor code share delay batch gap detect build readiness restart ready_timeout above hold cure"), valid)
	valid, _ = childKeys("measure.slo")
	require.Equal(t, strings.Fields("latency ttft tpot"), valid)
}

// TestKeysAreRead sets a wrong value under every row that is a plain key: a key
// that the decoder forgot would pass in silence.
func TestKeysAreRead(t *testing.T) {
	t.Parallel()
	skip := map[string]string{
		"services.NAME": "a pattern", "sweep.NAME": "a pattern", "gates[]": "a list", "about": "any text is fine", "name": "the value is a fine name",
		"S.fleet.labels": "a map of any texts", "workload.class": "any text is fine",
	}
	for _, key := range strings.Fields("deployment namespace server token_file ca kubeconfig context") {
		skip["live.actuator."+key] = "any text is fine"
	}
	for _, k := range Keys() {
		if k.Later || skip[k.Path] != "" || strings.HasPrefix(k.Path, "faults[].") {
			continue
		}
		path := strings.TrimPrefix(k.Path, "S.")
		_, problems, _ := load(t, good, path+"=no-such-value")
		require.True(t, slices.ContainsFunc(problems, func(p Problem) bool { return strings.HasPrefix(p.Path, path) }), "%s: %v", path, problems)
	}
	for _, key := range strings.Fields("at every for target kind factor code share delay batch gap detect build readiness restart ready_timeout above hold cure") {
		text := with("faults: [{at: 1s, target: {replica: 1}, kind: slow, factor: 2}]")
		_, problems, _ := load(t, text, "faults[0]."+key+"=no-such-value")
		require.NotEmpty(t, problems, key)
	}
}
