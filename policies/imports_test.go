package policies_test

import (
	"fmt"
	"go/parser"
	"go/token"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "taillab"

// floor names a folder of the house and what it may import of ours; the longest
// name that fits a package decides.
type floor struct {
	name string
	may  []string
}

// floors is ARCHITECTURE's "imports run one way", from the bottom up.
var floors = []floor{
	{"policies", []string{"policies"}},
	{"reports", []string{"reports"}}, // a leaf: its parts may use each other
	{"sim/gpu", []string{"policies", "sim/gpu"}},
	{"workloads", []string{"policies", "sim/gpu", "workloads"}},
	{"scenarios", []string{"policies", "sim/gpu", "workloads", "reports", "scenarios"}},
	{"sim", []string{"policies", "sim/gpu", "workloads", "reports", "scenarios", "sim"}},
	{"realrun", []string{"policies", "sim/gpu", "workloads", "reports", "scenarios", "realrun"}},
	{"cmd", []string{""}},
	{"", []string{""}}, // the root, tools: anything
}

// foreign says which folders may import what is not ours: one library, one place.
var foreign = []struct {
	prefix string // of the import path
	only   []string
}{
	{"go.yaml.in/yaml", []string{"scenarios", "realrun/kube"}}, // a kubeconfig is YAML too
	{"gonum.org/v1/gonum", []string{"sim/gpu/fit", "workloads", "scenarios", "realrun", "reports", "cmd", "tools"}},
	{"gonum.org/v1/plot", []string{"reports/chart"}},
	{"net", []string{"realrun", "cmd"}},
	{"github.com/redis", []string{"realrun"}},
	{"k8s.io", []string{"realrun"}},
	{"github.com/NVIDIA", []string{"realrun"}},
	{"github.com/alecthomas/kong", []string{"cmd", "taillab.go"}},
}

// TestImportsRunOneWay reads the imports of every package of the repository, tests
// left out, and holds them to the house's floors.
func TestImportsRunOneWay(t *testing.T) {
	t.Parallel()
	require.Empty(t, wrongImports(t, ".."))
}

func wrongImports(t *testing.T, root string) []string {
	t.Helper()
	var out []string
	for _, file := range goFiles(t, root, "testdata", ".git") {
		rel, err := filepath.Rel(root, file)
		require.NoError(t, err)
		pkg := path.Dir(filepath.ToSlash(rel))
		if pkg == "." {
			pkg = ""
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ImportsOnly|parser.ParseComments)
		require.NoError(t, err)
		if ignored(f) {
			continue
		}
		for _, i := range f.Imports {
			to, err := strconv.Unquote(i.Path.Value)
			require.NoError(t, err)
			if why := verdict(pkg, to); why != "" {
				out = append(out, fmt.Sprintf("%s imports %s: %s", filepath.ToSlash(rel), to, why))
			}
		}
	}
	return out
}

// verdict tells why a package may not import another; "" when it may.
func verdict(pkg, to string) string {
	if to == module || strings.HasPrefix(to, module+"/") {
		to = strings.TrimPrefix(strings.TrimPrefix(to, module), "/")
		for _, f := range floors {
			if !within(pkg, f.name) {
				continue
			}
			if f.name == "sim" && within(to, "realrun") || f.name == "realrun" && within(to, "sim") && !within(to, "sim/gpu") {
				return "the two hosts never import each other"
			}
			if !slices.ContainsFunc(f.may, func(m string) bool { return within(to, m) }) {
				return fmt.Sprintf("%s is above %s", to, f.name)
			}
			return ""
		}
	}
	for _, r := range foreign {
		if within(to, r.prefix) && pkg != "" && !slices.ContainsFunc(r.only, func(o string) bool { return within(pkg, o) }) {
			return fmt.Sprintf("%s stays behind %s", r.prefix, strings.Join(r.only, ", "))
		}
	}
	return ""
}

// within tells whether a package is the folder or below it. Versions count as below:
// go.yaml.in/yaml/v4 is within go.yaml.in/yaml.
func within(pkg, folder string) bool {
	return folder == "" || pkg == folder || strings.HasPrefix(pkg, folder+"/")
}

func TestImportVerdicts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ pkg, to, why string }{
		{"policies/flow", "taillab/policies/balance", ""},
		{"policies/flow", "taillab/workloads", "workloads is above policies"},
		{"policies/flow", "gonum.org/v1/gonum/stat", "gonum.org/v1/gonum stays behind sim/gpu/fit, workloads, scenarios, realrun, reports, cmd, tools"},
		{"sim/gpu", "taillab/policies/chance", ""},
		{"sim/gpu", "taillab/workloads", "workloads is above sim/gpu"},
		{"sim/gpu", "taillab/sim", "sim is above sim/gpu"},
		{"sim", "taillab/realrun", "the two hosts never import each other"},
		{"sim", "gonum.org/v1/gonum/stat", "gonum.org/v1/gonum stays behind sim/gpu/fit, workloads, scenarios, realrun, reports, cmd, tools"},
		{"realrun/emulator", "taillab/sim", "the two hosts never import each other"},
		{"realrun/emulator", "taillab/sim/gpu", ""},
		{"realrun", "net/http", ""},
		{"sim", "net/http", "net stays behind realrun, cmd"},
		{"reports", "taillab/policies", "policies is above reports"},
		{"reports/render", "taillab/reports", ""},
		{"scenarios", "go.yaml.in/yaml/v4", ""},
		{"reports/render", "go.yaml.in/yaml/v4", "go.yaml.in/yaml stays behind scenarios, realrun/kube"},
		{"cmd/taillab/app", "taillab/sim", ""},
		{"scenarios", "taillab/sim", "sim is above scenarios"},
		{"workloads", "taillab/scenarios", "scenarios is above workloads"},
	} {
		require.Equal(t, c.why, verdict(c.pkg, c.to), "%s imports %s", c.pkg, c.to)
	}
}
