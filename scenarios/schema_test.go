package scenarios

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v4"
)

// compiled is the schema as another program reads it.
var compiled = sync.OnceValues(func() (*jsonschema.Schema, error) {
	data, err := Schema(Catalog())
	if err != nil {
		return nil, err
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource(SchemaFile, doc); err != nil {
		return nil, err
	}
	return c.Compile(SchemaFile)
})

// validate holds a scenario against the schema.
func validate(t testing.TB, text string) error {
	t.Helper()
	s, err := compiled()
	require.NoError(t, err)
	var v any
	require.NoError(t, yaml.Unmarshal([]byte(text), &v))
	return s.Validate(plainKeys(v))
}

// plainKeys makes the keys of maps strings, as JSON has them.
func plainKeys(v any) any {
	switch x := v.(type) {
	case map[any]any:
		out := map[string]any{}
		for k, e := range x {
			out[fmt.Sprint(k)] = plainKeys(e)
		}
		return out
	case map[string]any:
		for k, e := range x {
			x[k] = plainKeys(e)
		}
	case []any:
		for i, e := range x {
			x[i] = plainKeys(e)
		}
	}
	return v
}

// TestSchemaFile: the committed schema is the program's.
func TestSchemaFile(t *testing.T) {
	t.Parallel()
	got, err := Schema(Catalog())
	require.NoError(t, err)
	if *update {
		require.NoError(t, os.WriteFile(SchemaFile, got, 0o666))
	}
	want, err := os.ReadFile(SchemaFile)
	require.NoError(t, err)
	require.Equal(t, string(want), string(got), "go test ./scenarios -run TestSchemaFile -update")
}

// TestSchemaAccepts: shipped scenarios and every policy with its defaults. The helper
// plan holds what other tests load against the schema, too.
func TestSchemaAccepts(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.yaml")
	require.NoError(t, err)
	require.Greater(t, len(files), 10)
	for _, pattern := range []string{"../testdata/gates/*.yaml", "../examples/gpu/scenario.yaml", "../examples/gpu/chat.yaml"} {
		more, err := filepath.Glob(pattern)
		require.NoError(t, err)
		require.NotEmpty(t, more, pattern)
		files = append(files, more...)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		require.NoError(t, err)
		require.NoError(t, validate(t, string(text)), f)
	}
	for _, text := range []string{firstLook, everything} {
		require.NoError(t, validate(t, text))
	}
	for _, e := range Catalog() {
		require.NoError(t, validate(t, with(Describe(e).Example)), e.Name)
	}
}

// TestSchemaRefuses: unknown keys and values of the wrong kind at every key, as the
// loader does.
func TestSchemaRefuses(t *testing.T) {
	t.Parallel()
	anything := []string{"version", "name", "about", "S.fleet.labels", "workload.class", "workload.pairs", "workload.arrivals.trace.file"}
	for _, k := range Keys() {
		if slices.Contains(anything, k.Path) {
			continue
		}
		path := strings.TrimPrefix(k.Path, "S.")
		path = strings.TrimSuffix(strings.ReplaceAll(path, "[]", ".0"), ".0")
		steps := strings.Split(strings.ReplaceAll(path, "NAME", "n"), ".")
		wrong := fmt.Sprintf("version: 1\nname: wrong\n%s: %s", steps[0], nested(steps[1:], "{no: such}"))
		require.Error(t, validate(t, wrong), wrong)
		if len(steps) > 1 && k.Path != "services.NAME" && k.Path != "sweep.NAME" {
			last := len(steps) - 1
			steps[last] += "x"
			unknown := fmt.Sprintf("version: 1\nname: wrong\n%s: %s", steps[0], nested(steps[1:], "1"))
			require.Error(t, validate(t, unknown), unknown)
		}
	}
	require.NoError(t, validate(t, good))
	for _, wrong := range []string{
		"version: 2", "name: Bad Name", "name: 3",
		"policies: {balance: jik}", "policies: {balance: {name: p2c, choises: 2}}", "policies: {balance: {name: p2c, choices: 0}}",
		"policies: {balance: [random, {name: retry, inner: {name: jiq, as: x}}]}", "fleet: {replicas: 0}", "fleet: {replicas: 8, gpu: h100}",
		"fleet: {groups: [{replicas: 2, lifecycle: {}}]}", "workload: {input: {lognormal: {mean: 3, sd: 2}}}", "workload: {input: 3ms}",
		"workload: {demand: 5}", "workload: {arrivals: {poisson: {rate: 40}}}", "workload: {arrivals: poison}", "sweep: {load: 0}",
		"sweep: {n: {path: fleet.replicas}}", "measure: {warmup: 5}", "measure: {slo: {ttft: 2}}", "network: lan",
		"faults: [{at: 3s, target: {replica: 1}, kind: explode}]", "live: {warm: 3}", "gates: [3]", "cluster: {}",
	} {
		require.Error(t, validate(t, with(wrong)), wrong)
	}
}

// nested writes {a: {b: value}} for the steps a, b; a step 0 is a list.
func nested(steps []string, value string) string {
	if len(steps) == 0 {
		return value
	}
	if steps[0] == "0" {
		return "[" + nested(steps[1:], value) + "]"
	}
	return "{" + steps[0] + ": " + nested(steps[1:], value) + "}"
}
