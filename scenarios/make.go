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
	src := Source{Name: name}
	given := map[string]json.RawMessage{}
	if len(bytes.TrimSpace(params)) > 0 {
		if err := json.Unmarshal(params, &given); err != nil {
			return Policy{}, []Problem{{File: name, Message: fmt.Sprintf("the parameters of %s are no JSON object: %v", name, err)}}
		}
	}
	for k, v := range given {
		if string(v) == "null" { // a parameter that is not set
			delete(given, k)
		}
	}
	quoted, err := json.Marshal(name)
	if err != nil {
		return Policy{}, []Problem{{File: name, Message: err.Error()}}
	}
	given["name"] = quoted
	data, err := json.Marshal(given)
	if err != nil {
		return Policy{}, []Problem{{File: name, Message: err.Error()}}
	}
	src.Data = data
	var ps problemList
	var out policyDraft
	if root := parse(newText(src), data, &ps); root != nil { // JSON is YAML
		out, _ = (&decoder{&ps}).policy(root, "", "balance", catalog{c})
	}
	if len(ps.list) > 0 {
		return Policy{}, ps.sorted()
	}
	return out.Policy, nil
}
