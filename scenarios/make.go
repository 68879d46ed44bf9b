package scenarios

import (
	"bytes"
	"encoding/json"
	"fmt"

	"taillab/policies"
)

// MakeBalancer configures a balancer of a catalogue from parameters as ParamsOf
// gives them, written as a JSON object; none or null keeps the defaults. A tape
// holds its policies this way. The problems' lines and columns count in params.
func MakeBalancer(c policies.Catalog, name string, params json.RawMessage) (Policy, []Problem) {
	p, problems := remake(c, "balance", name, params)
	return p.Policy, problems
}

// MakeAutoscaler is MakeBalancer for an autoscaler.
func MakeAutoscaler(c policies.Catalog, name string, params json.RawMessage) (Autoscaler, []Problem) {
	p, problems := remake(c, "autoscale", name, params)
	return p.autoscaler(), problems
}

// MakeLimiter configures a limiter and its divider likewise.
func MakeLimiter(c policies.Catalog, name string, params json.RawMessage, divider string, dividerParams json.RawMessage) (Limiter, []Problem) {
	var out Limiter
	p, problems := remake(c, "quota", name, params)
	d, more := remake(c, "share", divider, dividerParams)
	if problems = append(problems, more...); len(problems) > 0 {
		return out, problems
	}
	out.limit(p, Problem{})
	out.divide(d)
	return out, nil
}

// remake configures a policy from its parameters.
func remake(c policies.Catalog, family, name string, params json.RawMessage) (policyDraft, []Problem) {
	src := Source{Name: name}
	given := map[string]json.RawMessage{}
	if len(bytes.TrimSpace(params)) > 0 {
		if err := json.Unmarshal(params, &given); err != nil {
			return policyDraft{}, []Problem{{File: name, Message: fmt.Sprintf("the parameters of %s are no JSON object: %v", name, err)}}
		}
	}
	for k, v := range given {
		if string(v) == "null" { // a parameter that is not set
			delete(given, k)
		}
	}
	quoted, err := json.Marshal(name)
	if err != nil {
		return policyDraft{}, []Problem{{File: name, Message: err.Error()}}
	}
	given["name"] = quoted
	data, err := json.Marshal(given)
	if err != nil {
		return policyDraft{}, []Problem{{File: name, Message: err.Error()}}
	}
	src.Data = data
	var ps problemList
	var out policyDraft
	if root := parse(newText(src), data, &ps); root != nil { // JSON is YAML
		out, _ = (&decoder{ps: &ps}).policy(root, "", family, catalog{c})
	}
	if len(ps.list) > 0 {
		return policyDraft{}, ps.sorted()
	}
	return out, nil
}
