package workloads

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
)

// mooncakeRow is one line of the format: stamps in ms, 512-token prefix blocks.
type mooncakeRow struct {
	Timestamp *json.Number `json:"timestamp"`
	Input     *json.Number `json:"input_length"`
	Output    *json.Number `json:"output_length"`
	Blocks    []uint64     `json:"hash_ids"`
}

// looksLikeMooncake says whether a line is an object with the format's keys.
func looksLikeMooncake(line []byte) bool {
	var keys map[string]json.RawMessage
	if json.Unmarshal(line, &keys) != nil {
		return false
	}
	_, stamp := keys["timestamp"]
	_, input := keys["input_length"]
	return stamp && input
}

// mooncake reads one line into r.
func mooncake(line []byte, spec TraceSpec, row *mooncakeRow, r *record) *fault {
	*row = mooncakeRow{Blocks: row.Blocks[:0]}
	if err := json.Unmarshal(line, row); err != nil {
		var kind *json.UnmarshalTypeError
		if errors.As(err, &kind) && kind.Field != "" {
			what := "holds a " + kind.Value + ", not a number"
			if strings.HasPrefix(kind.Value, "number") { // a prefix id that is negative or has a fraction
				what = "not a whole number of at least 0"
			}
			return &fault{column: kind.Field, what: what, got: string(line)}
		}
		return &fault{what: "malformed JSON", got: string(bytes.TrimSpace(line))}
	}
	for _, k := range []struct {
		name  string
		value *json.Number
	}{{"timestamp", row.Timestamp}, {"input_length", row.Input}, {"output_length", row.Output}} {
		if k.value == nil {
			return &fault{column: k.name, what: "the key is missing", got: string(line)}
		}
	}
	*r = record{blocks: row.Blocks}
	var what string
	if r.at, what = parseDecimal(row.Timestamp.String(), 1e6); what != "" {
		return &fault{column: "timestamp", what: what, got: row.Timestamp.String()}
	}
	if r.input, what = parseTokens(row.Input.String(), spec.MinInput); what != "" {
		return &fault{column: "input_length", what: what, got: row.Input.String()}
	}
	if r.output, what = parseTokens(row.Output.String(), spec.MinOutput); what != "" {
		return &fault{column: "output_length", what: what, got: row.Output.String()}
	}
	return nil
}
