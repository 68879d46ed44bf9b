package scenarios

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/autoscale"
)

// elasticText is a fleet that changes its size; more lines follow it.
func elasticText(policies string, lines ...string) string {
	return with(append([]string{"fleet: {replicas: {start: 4, min: 1, max: 64}, gpu: h100-8b, lifecycle: {bind: 1s, model: {bytes: 14GB}}}",
		"policies: " + policies, "-sweep", "workload: {arrivals: {poisson: {rate: 20/s}}, input: 512, output: 180}", "measure: {horizon: 60s}"}, lines...)...)
}

func TestElasticPlan(t *testing.T) {
	t.Parallel()
	p := plan(t, elasticText("{autoscale: [{name: hpa, metric: concurrency, target: 8}, kpa]}", "hold: {timeout: 20s}"))
	require.Len(t, p.Cells, 2)
	c := p.Cells[0]
	require.Equal(t, []string{"hpa", "autoscale", "kpa"}, []string{c.Policy, c.Family, p.Cells[1].Policy})
	require.Equal(t, "concurrency", c.Params["metric"])
	require.Equal(t, "random", c.Balancers[0].Type)
	a, ok := c.Autoscalers[0].Make().(*autoscale.HPA)
	require.True(t, ok)
	require.InDelta(t, 8, a.Target, 0)
	e := c.Setup.Services[0].Elastic
	require.Equal(t, Scale{4, 1, 64}, e.Scale)
	require.Equal(t, Hold{10_000, 20 * time.Second}, e.Hold)
	table := c.Setup.Services[0].Table()
	require.Equal(t, []int{128, 124, 128}, []int{table.N, table.Later, len(table.Slots)})
	require.Equal(t, 30*time.Second, e.Lifecycle.Lead(), "1 + 5 + 14 + 10 s")
}

func TestLead(t *testing.T) {
	t.Parallel()
	l := Lifecycle{Model: Weights{Bytes: 14e9, Read: 1e9, Init: 10 * time.Second}}
	require.Equal(t, 24*time.Second, l.Lead())
	l.Model = Weights{Bytes: 140e9, Read: 5e9, Network: 2.5e9}
	require.Equal(t, 56*time.Second, l.Lead())
}

// TestTwoFamilies: where balancers and autoscalers are swept, a cell is named after
// both, in the order of the file.
func TestTwoFamilies(t *testing.T) {
	t.Parallel()
	names := func(text string) (out []string) {
		for _, c := range plan(t, text).Cells {
			out = append(out, c.Family+" "+c.Policy)
		}
		return out
	}
	require.Equal(t, []string{"balance/autoscale random/kpa", "balance/autoscale random/keda", "balance/autoscale p2c/kpa", "balance/autoscale p2c/keda"},
		names(elasticText("{balance: [random, p2c], autoscale: [kpa, keda]}")))
	require.Equal(t, []string{"autoscale/balance kpa/random", "autoscale/balance kpa/p2c", "autoscale/balance keda/random", "autoscale/balance keda/p2c"},
		names(elasticText("\n  autoscale: [kpa, keda]\n  balance: [random, p2c]")))
	require.Equal(t, []string{"autoscale kpa", "autoscale keda"}, names(elasticText("{balance: p2c, autoscale: [kpa, keda]}")))
	require.Equal(t, []string{"balance random", "balance p2c"}, names(elasticText("{balance: [random, p2c], autoscale: kpa}")))
	require.Equal(t, []string{"balance random"}, names(elasticText("{autoscale: none}")))
	p := plan(t, elasticText("{balance: [random, {name: p2c, choices: 3}], autoscale: [kpa, keda]}", "gates: [p99(kpa) < 1s, p99(p2c) < 1s]"))
	require.Equal(t, map[string]any{"choices": int64(3)}, map[string]any{"choices": p.Cells[2].Params["balance"].(map[string]any)["choices"]})
	require.NotEqual(t, p.Cells[0].Params, p.Cells[1].Params)
}

// TestAutoscaleWarnings: what works, but hardly as meant, is said before the run.
func TestAutoscaleWarnings(t *testing.T) {
	t.Parallel()
	p := plan(t, elasticText("{autoscale: [hpa, kpa]}"), "fleet.lifecycle.model.bytes=70GB")
	var got []string
	for _, w := range p.Warnings {
		got = append(got, w.Policy+" "+w.Code)
	}
	require.Equal(t, []string{"hpa saturating-metric", "kpa slow-load"}, got)
	require.Empty(t, plan(t, elasticText("{autoscale: [{name: hpa, metric: queue, target: 1}, backlog]}")).Warnings)
}

// TestElasticLive: a live run refuses what it would not do, and says where.
func TestElasticLive(t *testing.T) {
	t.Parallel()
	require.Empty(t, CheckLive(plan(t, elasticText("{autoscale: [kpa, keda]}")), nil))
	for want, ps := range map[string][]Problem{
		"s.yaml:3:19: the targets are a fleet of a fixed size":      CheckLive(plan(t, elasticText("{autoscale: [kpa, keda]}")), &Targets{}),
		"a live run takes no nodes away (leave fleet.reclaim out)":  CheckLive(plan(t, elasticText("{autoscale: kpa}"), "fleet.reclaim.rate=1/h"), nil),
		"measure.live.arms take turns":                              CheckLive(plan(t, elasticText("{autoscale: [kpa, keda]}"), "measure.live.arms=[kpa,keda]"), nil),
		"autoscaler \"foresight\" reads the requests still to come": CheckLive(plan(t, elasticText("{autoscale: foresight}")), nil),
	} {
		require.Len(t, ps, 1, want)
		require.ErrorContains(t, ps[0], want)
	}
}

// TestActuatorKeys reads what scales a live fleet, in both forms.
func TestActuatorKeys(t *testing.T) {
	t.Parallel()
	of := func(set ...string) Actuator {
		return plan(t, elasticText("{autoscale: kpa}"), set...).Cells[0].Setup.Live.Actuator
	}
	require.Equal(t, Actuator{Kind: ActuatorPool, Ready: "/health", Port: 8000}, of())
	require.Equal(t, ActuatorStub, of("live.actuator=kube-stub").Kind)
	a := of("live.actuator={command: [srv, '--port={port}'], loads: true, ready: /up}")
	require.Equal(t, Actuator{Kind: ActuatorPool, Command: []string{"srv", "--port={port}"}, Loads: true, Ready: "/up", Port: 8000}, a)
	a = of("live.actuator={kind: kube, deployment: llm, namespace: ns, port: 80, dry_run: true, keep: true}")
	require.Equal(t, Actuator{Kind: ActuatorKube, Ready: "/health", Deployment: "llm", Namespace: "ns", Port: 80, DryRun: true, Keep: true}, a)
	require.Equal(t, plan(t, elasticText("{autoscale: kpa}")).Hash, plan(t, elasticText("{autoscale: kpa}"), "live.actuator=kube-stub").Hash, "it decides no simulated result")
	for set, want := range map[string]string{
		"live.actuator=pods":                                   `no actuator called "pods"`,
		"live.actuator=kube":                                   "live.actuator.deployment is missing",
		"live.actuator={command: [srv]}":                       "live.actuator.command has no {port}",
		"live.actuator={loads: true}":                          "emulated replicas load nothing",
		"live.actuator={kind: kube-stub, command: ['{port}']}": "live.actuator.command is of a pool",
	} {
		_, ps, _ := load(t, elasticText("{autoscale: kpa}"), set)
		require.NotEmpty(t, ps, set)
		require.ErrorContains(t, ps[0], want, set)
	}
}

// TestElasticHash: what a change of size takes decides results, so it is in the hash.
func TestElasticHash(t *testing.T) {
	t.Parallel()
	base := plan(t, elasticText("{autoscale: kpa}")).Hash
	for _, set := range []string{"fleet.lifecycle.bind=2s", "fleet.replicas.max=65", "fleet.reclaim.rate=1/h", "hold.timeout=1s", "policies.autoscale=keda", "policies.autoscale=none"} {
		require.NotEqual(t, base, plan(t, elasticText("{autoscale: kpa}"), set).Hash, set)
	}
}
