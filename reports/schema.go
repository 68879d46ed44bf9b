package reports

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
)

// SummaryJSONSchema is the JSON Schema (2020-12) of a summary, read off Summary:
// every field is required unless it may be left out, and a pointer may be null.
// Further fields are allowed, since v1 only ever gains fields.
func SummaryJSONSchema() ([]byte, error) {
	m := summarySchema{defs: map[string]any{}}
	out := m.object(reflect.TypeFor[Summary]())
	out["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	out["title"] = SummarySchema
	out["description"] = "_ms: milliseconds, _s: seconds, _rps: per second; ratios are fractions; null: unknown or not applicable"
	out["$defs"] = m.defs
	data, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		return nil, fmt.Errorf("cannot write the schema: %w", err)
	}
	return append(data, '\n'), nil
}

// summarySchema collects the structs under their names.
type summarySchema struct{ defs map[string]any }

// closed are the fields whose values are a closed list, by struct and JSON name.
func closed(owner, name string) []any {
	switch owner + "." + name {
	case "Summary.schema":
		return []any{SummarySchema}
	case "Summary.host":
		return []any{"sim", "live"}
	case "Summary.verdict":
		return []any{Pass, Fail, Inconclusive, Invalid, VerdictNone}
	case "Gate.verdict":
		return []any{Pass, Fail, Inconclusive, Invalid}
	case "Cell.unit":
		return []any{UnitSeed, UnitBlock, UnitSection}
	case "Gate.unit":
		return []any{"ms", "rps", "s", "ratio", ""}
	case "Group.by", "GroupRef.by":
		return []any{"tenant", "class", "service"}
	case "SlowStep.step":
		return []any{"held", "quota", "network", "queue", "batch", "service"}
	case "Reference.kind":
		return []any{"constant", "policy", "baseline"}
	}
	return nil
}

func (m *summarySchema) object(t reflect.Type) map[string]any {
	props, required := map[string]any{}, []string{}
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		if name == "" || name == "-" {
			continue
		}
		if options != "omitempty" {
			required = append(required, name)
		}
		if list := closed(t.Name(), name); list != nil {
			props[name] = map[string]any{"enum": list}
			continue
		}
		props[name] = m.of(t.Field(i).Type)
	}
	return map[string]any{"type": "object", "properties": props, "required": required}
}

// of is the schema of a type, as encoding/json writes its values.
func (m *summarySchema) of(t reflect.Type) map[string]any {
	switch t.Kind() {
	case reflect.Pointer:
		return map[string]any{"anyOf": []any{m.of(t.Elem()), map[string]any{"type": "null"}}}
	case reflect.Struct:
		if m.defs[t.Name()] == nil {
			m.defs[t.Name()] = m.object(t)
		}
		return map[string]any{"$ref": "#/$defs/" + t.Name()}
	case reflect.Slice:
		return map[string]any{"type": "array", "items": m.of(t.Elem())}
	case reflect.Array:
		return map[string]any{"type": "array", "items": m.of(t.Elem()), "minItems": t.Len(), "maxItems": t.Len()}
	case reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": m.of(t.Elem())}
	case reflect.String:
		return map[string]any{"type": "string"}
	case reflect.Bool:
		return map[string]any{"type": "boolean"}
	case reflect.Float64:
		return map[string]any{"type": "number"}
	case reflect.Interface:
		return map[string]any{}
	}
	return map[string]any{"type": "integer"}
}
