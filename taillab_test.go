package taillab_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"taillab"
	"taillab/policies"
	"taillab/policies/balance"
)

// lowest always picks the first replica: a policy out of tree for the scripts.
type lowest struct {
	Skip int `yaml:"skip" about:"replicas left out at the front" min:"0"`
}

// Pick implements balance.Balancer.
func (p *lowest) Pick(env *balance.Env, _ *policies.Request) balance.Choice {
	if env.Fleet.Len() == 0 {
		return balance.None()
	}
	return balance.To(env.Fleet.Ref(min(p.Skip, env.Fleet.Len()-1)))
}

// changed is lowest as a later version of its program might have it.
type changed struct {
	Skip int `yaml:"skip"`
}

// Pick implements balance.Balancer.
func (p *changed) Pick(env *balance.Env, _ *policies.Request) balance.Choice {
	return balance.To(env.Fleet.Ref(1 + p.Skip))
}

// stray picks a replica that does not exist: it breaks its contract.
type stray struct{}

// Pick implements balance.Balancer.
func (stray) Pick(*balance.Env, *policies.Request) balance.Choice {
	return balance.To(policies.Ref{ID: 1 << 30})
}

// versions is a policy in the versions of its program that a gate must tell apart:
// two choices that slip now and then.
type versions struct {
	dice int     // thrown away: other draws, the same law
	slip float64 // probability of a pick by chance alone
}

// Pick implements balance.Balancer.
func (p *versions) Pick(env *balance.Env, _ *policies.Request) balance.Choice {
	for range p.dice {
		env.Rand.Uint64()
	}
	a, b := env.Fleet.DistinctPair(env.Rand)
	if env.Rand.Float64() < p.slip {
		return balance.To(env.Fleet.Ref(a))
	}
	return balance.To(env.Fleet.Ref(env.Fleet.LessLoaded(a, b)))
}

// program is a command line whose policy "mine" is of a given version.
func program(v versions) func() {
	return func() {
		taillab.Main(policies.Of("mine", "two choices", func() balance.Balancer { return &v }))
	}
}

// TestMain lets the scripts run this test binary as the command line itself, and
// as one that a stranger has built with policies of his own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"taillab":  func() { taillab.Main() },
		"released": program(versions{}), "tidied": program(versions{dice: 1}), "broken": program(versions{slip: 0.2}),
		"otherlab": func() {
			taillab.Main(policies.Of("lowest", "by now another one", func() balance.Balancer { return &changed{} }))
		},
		"mylab": func() {
			taillab.Main(
				policies.Of("lowest", "always the first replica", func() balance.Balancer { return &lowest{} }),
				policies.Of("stray", "picks what is not there", func() balance.Balancer { return stray{} }))
		},
	})
}

func TestScripts(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"json": jsonIs, "onedoc": oneDocument, "samejson": sameSummary, "truncate": truncate,
			"samevalue": sameValue, "latest": latest, "exits": exits, "narrow": narrow, "valid": valid,
		},
		Setup: func(e *testscript.Env) error {
			e.Setenv("COLUMNS", "100")
			e.Setenv("LANG", "C.UTF-8")
			return nil
		},
		UpdateScripts: os.Getenv("UPDATE") != "",
	})
}

// jsonIs is `json FILE PATH VALUE`: the value at a path such as cells.0.policy.
func jsonIs(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 3 {
		ts.Fatalf("usage: json FILE PATH VALUE")
	}
	v := lookUp(ts, args[0], args[1])
	if got := fmt.Sprint(v); (got == args[2]) == neg {
		ts.Fatalf("%s is %s", args[1], got)
	}
}

// oneDocument is `onedoc FILE`: exactly one JSON value and nothing else.
func oneDocument(ts *testscript.TestScript, _ bool, args []string) {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile(args[0])))
	var v any
	ts.Check(d.Decode(&v))
	if d.More() {
		ts.Fatalf("%s holds more than one document", args[0])
	}
}

// valid is `valid FILE SCHEMA`: the JSON file is as its schema says.
func valid(ts *testscript.TestScript, neg bool, args []string) {
	schema, err := jsonschema.NewCompiler().Compile(ts.MkAbs(args[1]))
	ts.Check(err)
	v, err := jsonschema.UnmarshalJSON(strings.NewReader(ts.ReadFile(args[0])))
	ts.Check(err)
	if err := schema.Validate(v); (err == nil) == neg {
		ts.Fatalf("%s: %v", args[0], err)
	}
}

// sameSummary is `samejson A B`: equal but for what may differ between two runs.
func sameSummary(ts *testscript.TestScript, neg bool, args []string) {
	read := func(name string) string {
		var v map[string]any
		ts.Check(json.Unmarshal([]byte(ts.ReadFile(name)), &v))
		for _, k := range []string{"run_id", "tool_version", "git", "started_at", "machine", "wall_s"} {
			delete(v, k)
		}
		for _, c := range v["cells"].([]any) {
			delete(c.(map[string]any), "wall_s")
		}
		b, err := json.Marshal(v)
		ts.Check(err)
		return string(b)
	}
	if (read(args[0]) == read(args[1])) == neg {
		ts.Fatalf("%s and %s: equal is %v", args[0], args[1], neg)
	}
}

// narrow is `narrow FILE SHARE`: the intervals of P50 and P99 of every cell lie within
// ± SHARE of their value.
func narrow(ts *testscript.TestScript, neg bool, args []string) {
	share, err := strconv.ParseFloat(args[1], 64)
	ts.Check(err)
	cells, _ := lookUp(ts, args[0], "cells").([]any)
	for i := range cells {
		for _, m := range []string{"p50", "p99"} {
			at := fmt.Sprintf("cells.%d.%s", i, m)
			ci, known := lookUp(ts, args[0], at+"_ci_ms").([]any)
			if !known {
				ts.Fatalf("%s has no interval", at)
			}
			value := lookUp(ts, args[0], at+"_ms").(float64)
			if within := ci[1].(float64) <= value*(1+share) && ci[0].(float64) >= value/(1+share); within == neg {
				ts.Fatalf("%s: %v around %v", at, ci, value)
			}
		}
	}
	if len(cells) == 0 {
		ts.Fatalf("%s has no cells", args[0])
	}
}

// truncate is `truncate FILE PERCENT`: keep that share of a file.
func truncate(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[1])
	ts.Check(err)
	data := ts.ReadFile(args[0])
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(data[:len(data)*n/100]), 0o666))
}

// lookUp walks a path such as cells.0.policy.
func lookUp(ts *testscript.TestScript, file, path string) any {
	var v any
	ts.Check(json.Unmarshal([]byte(ts.ReadFile(file)), &v))
	for _, step := range strings.Split(path, ".") {
		switch x := v.(type) {
		case map[string]any:
			v = x[step]
		case []any:
			i, err := strconv.Atoi(step)
			if err != nil || i >= len(x) {
				ts.Fatalf("%s: there is no element %s of %d", path, step, len(x))
			}
			v = x[i]
		default:
			ts.Fatalf("%s: nothing below %s", path, step)
		}
	}
	return v
}

// sameValue is `samevalue FILE PATH FILE PATH`.
func sameValue(ts *testscript.TestScript, neg bool, args []string) {
	a, b := lookUp(ts, args[0], args[1]), lookUp(ts, args[2], args[3])
	if (fmt.Sprint(a) == fmt.Sprint(b)) == neg || a == nil {
		ts.Fatalf("%v and %v", a, b)
	}
}

// latest is `latest FOLDER NAME`: the last run directory below FOLDER.
func latest(ts *testscript.TestScript, _ bool, args []string) {
	found, err := filepath.Glob(filepath.Join(ts.MkAbs(args[0]), "*"))
	ts.Check(err)
	if len(found) == 0 {
		ts.Fatalf("there is no run below %s", args[0])
	}
	rel, err := filepath.Rel(ts.MkAbs("."), found[len(found)-1])
	ts.Check(err)
	ts.Setenv(args[1], filepath.ToSlash(rel))
}

// exits is `exits CODE COMMAND…`: the command ends with exactly this code.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	code := 0
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		code = failed.ExitCode()
	} else {
		ts.Check(err)
	}
	if strconv.Itoa(code) != args[0] {
		ts.Fatalf("exit code %d, not %s", code, args[0])
	}
}
