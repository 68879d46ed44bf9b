package scenarios

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/balance"
)

func TestInnerPolicies(t *testing.T) {
	t.Parallel()
	p := plan(t, with("policies: {balance: [{name: hedge, delay: p90, budget: 7%, inner: {name: outlier, inner: {name: jiq, fallback: p2c}}, as: guarded}, {name: retry, inner: p2c}]}"))
	h, ok := p.Cells[0].Balancers[0].Make().(*balance.Hedge)
	require.True(t, ok)
	require.Equal(t, "p90", h.Delay)
	require.InDelta(t, .07, h.Budget, 1e-12)
	require.Equal(t, 10*time.Second, h.Window, "a missing key keeps the default")
	require.Equal(t, "guarded", p.Cells[0].Policy)
	require.Equal(t, "hedge", p.Cells[0].PolicyType)
	o, ok := h.Bal.(*balance.Outlier)
	require.True(t, ok)
	require.Equal(t, "outlier", h.Name())
	j, ok := o.Bal.(*balance.JIQ)
	require.True(t, ok)
	require.Equal(t, "p2c", j.Fallback)
	again, _ := p.Cells[0].Balancers[0].Make().(*balance.Hedge)
	require.NotSame(t, h.Bal, again.Bal, "instances share nothing")

	// normalised: every parameter of every level
	inner, ok := p.Cells[0].Params["inner"].(map[string]any)
	require.True(t, ok)
	require.Equal(t, "outlier", inner["name"])
	require.EqualValues(t, 5, inner["consecutive"])
	deepest, ok := inner["inner"].(map[string]any)
	require.True(t, ok)
	require.Equal(t, "jiq", deepest["name"])
	require.Equal(t, "p2c", deepest["fallback"])
	require.Equal(t, true, deepest["withdraw"])

	params, err := json.Marshal(p.Cells[0].Params)
	require.NoError(t, err)
	made, problems := MakeBalancer(balance.Catalog(), "hedge", params)
	require.Empty(t, problems)
	require.Equal(t, p.Cells[0].Params, made.Params, "parameters survive the way through JSON")
}

func TestInnerProblems(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string][]string{
		"{name: hedge, inner: outler}":                                      {`no balancer called "outler" (did you mean "outlier"? see: taillab list policies)`},
		"{name: hedge, inner: {choices: 3}}":                                {"policies.balance.inner has no name (such as {name: p2c, choices: 3})"},
		"{name: hedge, inner: [p2c]}":                                       {"policies.balance.inner is a list: it must be a name or {name: …, PARAMETER: …} ()"},
		"{name: hedge, inner: {name: p2c, choises: 3}}":                     {`p2c has no parameter "choises" (did you mean "choices"?)`},
		"{name: hedge, inner: {name: outlier, inner: {name: p2c, as: x}}}":  {`p2c has no parameter "as" (one of: name choices sample load probe_timeout)`},
		"{name: hedge, inner: {name: p2c, choices: 0}}":                     {"policies.balance.inner.choices is 0: it must be at least 1 ()"},
		"{name: hedge, budget: 2000%, inner: {name: p2c, choices: 0}}":      {"policies.balance.budget is 2000%: it must lie in [0, 10] ()", "policies.balance.inner.choices is 0: it must be at least 1 ()"},
		"{name: hedge, delay: soon, inner: {name: p2c, choices: 0}}":        {"hedge: delay soon is neither a duration above 0 nor a percentile between p1 and p99.9 (such as p95, or 50ms)", "policies.balance.inner.choices is 0: it must be at least 1 ()"},
		"{name: retry, on: [refusd]}":                                       {`policies.balance.on[0] is "refusd": it must be one of queue_full, too_long, refused, reset, lost, deadline, http_429, http_503, http_5xx, http_4xx, grpc, dial_timeout, dns, tls, header_timeout, stall, short_read, malformed (did you mean "refused"?)`},
		"{name: retry, inner: {name: retry}}":                               {"retry stands inside another retry (leave one out)"},
		"{name: retry, inner: {name: hedge, inner: {name: retry}}}":         {"retry stands inside another retry (leave one out)"},
		"{name: panic, inner: {name: outlier}}":                             {"outlier stands inside panic: it belongs outside (the order is, outside-in: retry, hedge, outlier, panic, slow-start)"},
		"{name: outlier, inner: {name: static, capacity: {a: 3}}}":          {"static: capacity replica 0 has no entry (name its ID or one of its labels)"},
		"{name: p2c, inner: random}":                                        {`p2c has no parameter "inner"`},
		"{name: slow-start, window: 10s, inner: {name: random, weighted:}}": {"policies.balance.inner.weighted"},
	} {
		_, problems := Load([]Source{{Name: "s.yaml", Data: []byte(with("policies: {balance: " + policy + "}"))}}, Options{Catalog: balance.Catalog()})
		var got []string
		for _, p := range problems {
			require.Positive(t, p.Line, p.Message)
			got = append(got, p.Message+" ("+p.Hint+")")
		}
		require.GreaterOrEqual(t, len(got), len(want), policy)
		for i := range want {
			require.Contains(t, got[i], want[i][:min(len(want[i]), 40)], policy)
			if want[i][len(want[i])-1] == ')' {
				require.Equal(t, want[i], got[i])
			}
		}
	}
}

// TestInnerIsSwept: a parameter of an inner policy can be an axis.
func TestInnerIsSwept(t *testing.T) {
	t.Parallel()
	p := plan(t, with("policies: {balance: {name: retry, inner: {name: p2c}}}", "sweep: {load: [0.6], d: {path: policies.balance.inner.choices, values: [2, 5]}}"))
	require.Len(t, p.Cells, 2)
	r, ok := p.Cells[1].Balancers[0].Make().(*balance.Retry)
	require.True(t, ok)
	require.Equal(t, 5, r.Bal.(*balance.P2C).Choices)
}

func TestDescribeDecorators(t *testing.T) {
	t.Parallel()
	e, _ := balance.Catalog().Find("balance", "slow-start")
	d := Describe(e)
	require.Equal(t, []string{"decorator"}, d.Flags)
	require.Equal(t, Parameter{Name: "inner", Type: "policy", Default: "{name: random, weighted: true}",
		About: "the balancer that picks; it must honour weights"}, d.Parameters[0])
	require.Equal(t, "policies: {balance: {name: slow-start, inner: {name: random, weighted: true}, window: 1m, aggression: 1, min_weight: 0.1}}", d.Example)
}
