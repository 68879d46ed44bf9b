package scenarios

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestDefaults writes the default of every key that has a plain one, where the key may
// stand: the plan must stay as it is, to the hash. So the default that documents, the
// schema and `explain` tell is the decoder's.
func TestDefaults(t *testing.T) {
	t.Parallel()
	grounds := []string{
		good,
		with("workload: {demand: 5ms}", "fleet: {replicas: 8}"),
		with("workload: {demand: 5ms, arrivals: {poisson: {rate: 40/s}}}", "-sweep", "fleet: {replicas: {min: 1, max: 8}, reclaim: {rate: 0.5/h}}", "policies: {balance: p2c, autoscale: hpa}"),
		with("policies: {balance: p2c, quota: central}", "quota: {group_limit: {rate: 600/s}}"),
		with("policies: {balance: p2c, quota: central}", "quota: {group_limit: {rate: 600/s}, on_denied: wait}"),
		with("frontends: {count: 2, split: skewed}"),
		with("measure: {precision: 2%}", "-policies"),
		with("faults: [{at: 1s, target: {replica: 1}, kind: error}]"),
		with("frontends: {count: 4}", "faults: [{at: 1s, target: {frontend: all}, kind: rolling_update}]"),
		with("frontends: {count: 4}", "faults: [{at: 1s, for: 5s, target: {frontend: all}, kind: lock_stall}]"),
	}
	// Words in place of values: what they say depends on other keys, or is no value.
	words := map[string]bool{"none": true, "off": true, "one": true, "by content": true, "all": true, "to the end": true, "not said": true,
		"max": true, "expected in flight": true, "spread": true, "5 periods": true, "10 × P99, at most 60s": true, "30,000; a trace: its rows": true,
		"none: one run per policy": true, "max(5s, 20 × P99)": true, "max(1ms, 5% of P50)": true, "min(16,384, 0.4 × open files allowed)": true,
		"none; live 50ms": true, "those of workload.tenants": true, "the profile's": true, "the profile's, else 1": true, "0, 10, none": true, "off; live on": true,
		"none: emulated replicas": true, "required for kube": true, "of the kubeconfig, else default": true, "of the kubeconfig": true,
		"$KUBECONFIG, ~/.kube/config": true, "the current one": true}
	given := map[string]bool{"workload.input": true, "workload.output": true, "policies.share": true} // what is written is named in the plan
	var plans []*Plan
	var trees []*node
	for _, ground := range grounds {
		plans = append(plans, plan(t, ground))
		trees = append(trees, parse(newText(Source{Data: []byte(ground)}), []byte(ground), &problemList{}))
	}
	checked := 0
	for _, k := range Keys() {
		path := strings.ReplaceAll(strings.TrimPrefix(k.Path, "S."), "[]", "[0]")
		if k.Later || k.Default == "" || words[k.Default] || strings.HasPrefix(path, "workload.arrivals.trace.") || strings.Contains(path, "NAME") || given[path] {
			continue
		}
		value, stands := k.Default, 0
		if k.Type == "int" {
			value = strings.ReplaceAll(value, ",", "")
		}
		for i := 0; i < len(grounds) && stands == 0; i++ {
			if exists(trees[i], path) {
				continue
			}
			set, problems, _ := load(t, grounds[i], path+"="+value)
			if len(problems) > 0 {
				continue
			}
			if stands++; plans[i].Hash != set[0].Hash || plans[i].Seeds != set[0].Seeds {
				t.Errorf("%s=%s changes the plan of\n%s", path, value, grounds[i])
			}
		}
		if checked++; stands == 0 {
			t.Errorf("%s=%s stands nowhere: add a ground for it", path, value)
		}
	}
	require.Greater(t, checked, 70)
}
