package taillab_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/scenarios"
	"taillab/workloads"
)

// TestReference: the tables of the references are those of the program. With UPDATE
// set they are written anew.
func TestReference(t *testing.T) {
	t.Parallel()
	for name, make := range map[string]func() string{"scenario": keyTables, "targets": targetTables, "policies": policyPages} {
		const begin, end = "<!-- begin: make reference -->\n", "<!-- end: make reference -->\n"
		path := filepath.Join("docs", name+".md")
		data, err := os.ReadFile(path)
		require.NoError(t, err)
		head, rest, ok := strings.Cut(string(data), begin)
		require.True(t, ok, "%s has no line %q", path, begin)
		shown, tail, ok := strings.Cut(rest, end)
		require.True(t, ok, "%s has no line %q", path, end)
		want := "\n" + make() + "\n"
		if os.Getenv("UPDATE") != "" && shown != want {
			require.NoError(t, os.WriteFile(path, []byte(head+begin+want+end+tail), 0o644))
			continue
		}
		require.Equal(t, want, shown, "%s: run make reference", path)
	}
}

// table is a Markdown table.
type table struct{ strings.Builder }

func (t *table) row(cells ...string) {
	for i, c := range cells {
		cells[i] = strings.ReplaceAll(c, "|", `\|`)
	}
	fmt.Fprintf(t, "| %s |\n", strings.Join(cells, " | "))
}

func (t *table) head(cells ...string) {
	t.row(cells...)
	t.WriteString("|" + strings.Repeat("---|", len(cells)) + "\n")
}

// code quotes a text that may hold anything but backticks; nothing is nothing.
func code(text string) string {
	if text == "" {
		return ""
	}
	return "`" + text + "`"
}

// keys lists those keys that are of a block, without a prefix of their paths.
func (t *table) keys(list []scenarios.Key, prefix string, of func(path string) bool) {
	t.head("key", "type", "default", "values", "meaning")
	for _, k := range list {
		if k.Later || !of(k.Path) {
			continue
		}
		values := k.Range
		if k.Type == "enum" {
			values = "`" + strings.Join(strings.Fields(k.Range), "` `") + "`"
		}
		t.row(code(strings.TrimPrefix(k.Path, prefix)), k.Type, k.Default, values, k.About)
	}
	t.WriteString("\n")
}

// targetTables lists the keys of a targets file block by block.
func targetTables() string {
	var out table
	block := func(title, prefix string, of func(path string) bool) {
		fmt.Fprintf(&out, "## %s\n\n", title)
		out.keys(scenarios.TargetKeys(), prefix, of)
	}
	starts := func(prefix string) func(string) bool {
		return func(path string) bool { return strings.HasPrefix(path, prefix) }
	}
	service, proxy := starts("services.NAME."), starts("proxy.")
	block("Top level", "", func(path string) bool { return !service(path) && !proxy(path) })
	block("services.NAME: the backends of a service", "services.NAME.", service)
	block("proxy: what only taillab proxy reads", "", proxy)
	return strings.TrimRight(out.String(), "\n") + "\n"
}

// keyTables lists the keys block by block, then the laws of sizes.
func keyTables() string {
	var out table
	titles := [][2]string{
		{"", "Top level"}, {"workload", "workload: who asks for what"}, {"workload.arrivals", "workload.arrivals: when"}, {"frontends", "frontends"},
		{"services", "services"}, {"fleet", "fleet: who answers"}, {"hold", "hold: waiting for a replica"}, {"network", "network"}, {"discovery", "discovery and reporter: who is known"},
		{"policies", "policies: what is compared"}, {"quota", "quota: what a limit is"}, {"faults", "faults: what goes wrong"}, {"sweep", "sweep: what is varied"},
		{"measure", "measure: how long, and what counts"}, {"live", "live: driving real backends"}, {"gates", "gates: what must hold"},
	}
	for _, title := range titles {
		fmt.Fprintf(&out, "## %s\n\n", title[1])
		out.keys(scenarios.Keys(), "S.", func(path string) bool { return blockOf(path) == title[0] })
	}
	out.WriteString("## DIST: laws of lengths and times\n\nA constant, or `{KIND: {…}}` with the keys below; a time takes a unit, a number of tokens none.\n\n")
	out.head("kind", "what it is", "keys")
	for _, k := range workloads.DistKinds() {
		var keys []string
		for _, x := range k.Keys {
			keys = append(keys, code(x.Name)+" "+x.About)
		}
		out.row(code(k.Name), k.About, strings.Join(keys, "<br>"))
	}
	return out.String()
}

// blockOf is the title under which a key is listed.
func blockOf(path string) string {
	path = strings.ReplaceAll(strings.TrimPrefix(path, "S."), "[]", "")
	if strings.HasPrefix(path, "workload.arrivals") {
		return "workload.arrivals"
	}
	first, _, below := strings.Cut(path, ".")
	switch {
	case first == "reporter":
		return "discovery"
	case below || first == "network" || first == "gates":
		return first
	}
	return ""
}

// familyTitles are the families in the order of the catalogue.
func familyTitles() [][2]string {
	return [][2]string{
		{"balance", "balance: where a request goes"}, {"quota", "quota: whether it may go now"},
		{"share", "share: how tenants share a limit"}, {"autoscale", "autoscale: how many replicas there should be"},
	}
}

// policyPages lists every policy of every family with its parameters.
func policyPages() string {
	var out table
	listed := 0
	for _, f := range familyTitles() {
		fmt.Fprintf(&out, "## %s\n\n", f[1])
		out.head("policy", "what it does")
		var pages table
		for _, e := range scenarios.Catalog() {
			if e.Family != f[0] {
				continue
			}
			listed++
			out.row(code(e.Name), e.About)
			pages.policy(scenarios.Describe(e))
		}
		out.WriteString("\n" + pages.String())
	}
	if all := len(scenarios.Catalog()); listed != all {
		panic(fmt.Sprintf("%d policies of %d are listed: a family has no title", listed, all))
	}
	return strings.TrimSuffix(out.String(), "\n")
}

func (t *table) policy(d scenarios.Description) {
	fmt.Fprintf(t, "### %s\n\n%s.", d.Name, strings.ToUpper(d.About[:1])+d.About[1:])
	for _, f := range d.Flags {
		switch f {
		case "oracle":
			t.WriteString(" Reads the true state of the replicas: in the simulator only.")
		case "shared":
			t.WriteString(" One instance serves all front ends.")
		case "reporter":
			t.WriteString(" Has a half that runs in the replicas.")
		case "decorator":
			t.WriteString(" Stands around another policy.")
		}
	}
	if d.Source != "" {
		fmt.Fprintf(t, " Source: %s.", strings.TrimSuffix(d.Source, "."))
	}
	t.WriteString("\n\n")
	if len(d.Parameters) > 0 {
		t.head("parameter", "type", "default", "values", "meaning")
		for _, p := range d.Parameters {
			def := fmt.Sprint(p.Default)
			switch {
			case p.Required:
				def = "required"
			case p.Default == nil || def == "map[]" || def == "[]":
				def = ""
			}
			t.row(code(p.Name), p.Type, def, p.Range, p.About)
		}
		t.WriteString("\n")
	}
	fmt.Fprintf(t, "```yaml\n%s\n```\n\n", d.Example)
}
