package workloads

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
)

// jsonRow is one line of mooncake (stamps in ms, 512-token prefix blocks) or of
// the project's own jsonl (ns).
type jsonRow struct {
	Timestamp *json.Number `json:"timestamp"`
	InputLen  *json.Number `json:"input_length"`
	OutputLen *json.Number `json:"output_length"`
	HashIDs   []uint64     `json:"hash_ids"`

	At      *json.Number `json:"at_ns"`
	Input   *json.Number `json:"input"`
	Output  *json.Number `json:"output"`
	Demand  *json.Number `json:"demand_ns"`
	Tenant  string       `json:"tenant"`
	Model   string       `json:"model"`
	Session string       `json:"session"`
	Blocks  []uint64     `json:"blocks"`
}

// jsonFormat tells a format from the keys of its first line; "" = none.
func jsonFormat(line []byte) string {
	var keys map[string]json.RawMessage
	if json.Unmarshal(line, &keys) != nil {
		return ""
	}
	has := func(names ...string) bool {
		for _, n := range names {
			if _, ok := keys[n]; !ok {
				return false
			}
		}
		return true
	}
	switch {
	case has("timestamp", "input_length"):
		return "mooncake"
	case has("at_ns", "input"):
		return "jsonl"
	}
	return ""
}

// jsonReader reads lines of one of the JSON formats.
func jsonReader(file, format string, spec TraceSpec) (rowReader, *builder) {
	has := shape{stamps: true, input: true, output: true, prefixes: true}
	if format == "jsonl" { // columns that stay empty are dropped at the end
		has.tenant, has.model, has.demand, has.session, has.optional = true, true, true, true, true
	}
	var row jsonRow
	return func(line []byte, r *record) *fault {
		row = jsonRow{HashIDs: row.HashIDs[:0], Blocks: row.Blocks[:0]}
		if f := unmarshalRow(line, &row); f != nil {
			return f
		}
		if format == "jsonl" {
			return row.own(line, spec, r)
		}
		*r = record{blocks: row.HashIDs}
		return fillRow(line, r, spec, 1e6, [3]jsonField{{"timestamp", row.Timestamp}, {"input_length", row.InputLen}, {"output_length", row.OutputLen}})
	}, newBuilder(file, format, has)
}

func unmarshalRow(line []byte, row *jsonRow) *fault {
	err := json.Unmarshal(line, row)
	if err == nil {
		return nil
	}
	var kind *json.UnmarshalTypeError
	if !errors.As(err, &kind) || kind.Field == "" {
		return &fault{what: "malformed JSON", got: string(bytes.TrimSpace(line))}
	}
	what := fmt.Sprintf("holds a %s, not a %s", kind.Value, plainName(kind.Field))
	if strings.HasPrefix(kind.Value, "number") { // a prefix id that is negative or has a fraction
		what = "not a whole number of at least 0"
	}
	return &fault{column: kind.Field, what: what, got: string(line)}
}

// plainName is what a key of a row should hold.
func plainName(field string) string {
	switch field {
	case "tenant", "model", "session":
		return "text"
	case "hash_ids", "blocks":
		return "list"
	}
	return "number"
}

type jsonField struct {
	name  string
	value *json.Number
}

// fillRow reads stamp, input and output.
func fillRow(line []byte, r *record, spec TraceSpec, unit int64, fields [3]jsonField) *fault {
	for _, f := range fields {
		if f.value == nil {
			return &fault{column: f.name, what: "the key is missing", got: string(line)}
		}
	}
	var what string
	bad := func(f jsonField) *fault { return &fault{column: f.name, what: what, got: f.value.String()} }
	if r.at, what = parseDecimal(fields[0].value.String(), unit); what != "" {
		return bad(fields[0])
	}
	if r.input, what = parseTokens(fields[1].value.String(), spec.MinInput); what != "" {
		return bad(fields[1])
	}
	if r.output, what = parseTokens(fields[2].value.String(), spec.MinOutput); what != "" {
		return bad(fields[2])
	}
	return nil
}

// own reads a row of the project's own format.
func (row *jsonRow) own(line []byte, spec TraceSpec, r *record) *fault {
	*r = record{tenant: row.Tenant, model: row.Model, session: row.Session, blocks: row.Blocks}
	if f := fillRow(line, r, spec, 1, [3]jsonField{{"at_ns", row.At}, {"input", row.Input}, {"output", row.Output}}); f != nil {
		return f
	}
	if row.Demand == nil {
		return nil
	}
	var what string
	if r.demand, what = parseDecimal(row.Demand.String(), 1); what != "" {
		return &fault{column: "demand_ns", what: what, got: row.Demand.String()}
	}
	return nil
}
