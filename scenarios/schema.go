package scenarios

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"taillab/policies"
)

// SchemaFile is the name that scenarios know their schema by: their first line is
// "# yaml-language-server: $schema=scenario.schema.json".
const SchemaFile = "scenario.schema.json"

// schema is a JSON Schema, or a part of one. Encoded, its keys are sorted: equal
// catalogues give equal bytes.
type schema = map[string]any

// Schema is the JSON Schema (2020-12) of scenario files, for editors and other
// programs: the keys are those of the registry, the policies with their parameters
// those of the catalogue. It judges every value by itself; what takes two keys to be
// wrong is for Load to say, which also reads some spellings more, such as 1_000.
func Schema(c policies.Catalog) ([]byte, error) {
	m := schemaMaker{cat: c, defs: schema{}}
	root := &keyTree{}
	for _, k := range Keys() {
		if !k.Later {
			root.add(k, splitPath(strings.TrimSuffix(k.Path, "[]"))) // a list under a plain key: gates
		}
	}
	service := root.kids["S"]
	m.defs["service"] = m.tree(service, "S")
	out := m.tree(root, "")
	top, _ := out["properties"].(schema)
	delete(top, "S")
	for _, name := range service.names {
		if name != "policies" { // there the families of one service stand beside the others
			top[name] = schema{"$ref": "#/$defs/service/properties/" + name}
		}
	}
	if p, ok := top["policies"].(schema); ok {
		families, _ := p["properties"].(schema)
		for _, name := range service.kids["policies"].names {
			families[name] = schema{"$ref": "#/$defs/service/properties/policies/properties/" + name}
		}
	}
	out["required"] = []string{"version", "name"}
	out["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	out["title"] = "a scenario of taillab"
	out["$defs"] = m.defs
	if m.failed != nil {
		return nil, m.failed
	}
	data, err := json.MarshalIndent(out, "", " ")
	if err != nil {
		return nil, fmt.Errorf("cannot write the schema: %w", err)
	}
	return append(data, '\n'), nil
}

// keyTree is the registry by steps of the paths.
type keyTree struct {
	row   Key // of the path itself; the zero Key when only deeper ones are registered
	names []string
	kids  map[string]*keyTree
}

func (t *keyTree) add(k Key, steps []string) {
	if len(steps) == 0 {
		t.row = k
		return
	}
	if t.kids == nil {
		t.kids = map[string]*keyTree{}
	}
	kid := t.kids[steps[0]]
	if kid == nil {
		kid = &keyTree{}
		t.kids[steps[0]], t.names = kid, append(t.names, steps[0])
	}
	kid.add(k, steps[1:])
}

// schemaMaker builds the parts; it keeps the first failure.
type schemaMaker struct {
	cat    policies.Catalog
	defs   schema // what several places share
	failed error
}

// tree is the schema of a block or of a key.
func (m *schemaMaker) tree(t *keyTree, path string) schema {
	if len(t.names) == 0 || path == "services.NAME" {
		return m.described(t.row, m.leaf(t.row))
	}
	props, out := schema{}, schema{"type": "object", "additionalProperties": false}
	for _, name := range t.names {
		switch kid := m.tree(t.kids[name], join(path, name)); name {
		case "NAME":
			out["additionalProperties"] = kid
		case "": // a list of blocks: its items are what stands below
			return schema{"type": "array", "items": kid}
		default:
			props[name] = kid
		}
	}
	out["properties"] = props
	switch path {
	case "workload.arrivals":
		return m.described(t.row, m.arrivals(props))
	case "live.actuator": // a kind alone, or with what it takes
		return m.described(t.row, anyOf(enum(actuators()...), out))
	}
	return out
}

// described adds what an editor shows beside a key.
func (m *schemaMaker) described(k Key, s schema) schema {
	about := k.About
	if k.Default != "" && k.Default != `""` {
		about += "; default " + k.Default
	}
	if k.Range != "" && s["enum"] == nil {
		about += "; " + k.Range
	}
	if about != "" {
		s["description"] = about
	}
	return s
}

// leaf is the schema of a key without registered keys below it.
func (m *schemaMaker) leaf(k Key) schema {
	if make, ok := shapes()[k.Path]; ok {
		return make(m, k)
	}
	switch k.Type {
	case "int":
		return bounded(schema{"type": "integer"}, k.Range)
	case "number":
		return bounded(schema{"type": "number"}, k.Range)
	case "share":
		return anyOf(bounded(schema{"type": "number"}, k.Range), m.def("percent"))
	case "bool", "on or off":
		return m.def("bool")
	case "string", "path", "file or preset":
		return m.def("text")
	case "list of labels", "list of arguments":
		return listOf(m.def("text"))
	case "duration", "rate", "size", "size/s":
		return m.def(k.Type)
	case "enum":
		return enum(strings.Fields(k.Range)...)
	case "DIST of tokens":
		return m.def("tokens")
	case "DIST of durations":
		return m.def("durations")
	case "policy":
		return m.policies(k.Path[strings.LastIndexByte(k.Path, '.')+1:])
	}
	if m.failed == nil {
		m.failed = fmt.Errorf("the key %s has the type %q, which the schema does not know", k.Path, k.Type)
	}
	return schema{}
}

// Ranges as the registry writes them.
var (
	rangeFromTo   = regexp.MustCompile(`^(-?[\d.,]+)(%?)…(-?[\d.,]+)`)
	rangeInterval = regexp.MustCompile(`^([\[(])(-?[\d.]+), (-?[\d.]+)([\])])`)
	rangeAtLeast  = regexp.MustCompile(`^(≥|>) (-?[\d.]+)`)
)

// bounded adds the limits that the text of a range names to the schema of a number.
func bounded(s schema, text string) schema {
	number := func(digits string) float64 { x, _ := readFloat(strings.ReplaceAll(digits, ",", "")); return x }
	if f := rangeFromTo.FindStringSubmatch(text); f != nil {
		scale := 1.0
		if f[2] == "%" {
			scale = 0.01
		}
		s["minimum"], s["maximum"] = number(f[1])*scale, number(f[3])*scale
	} else if f := rangeInterval.FindStringSubmatch(text); f != nil {
		limit(s, "inimum", number(f[2]), f[1] == "(")
		limit(s, "aximum", number(f[3]), f[4] == ")")
	} else if f := rangeAtLeast.FindStringSubmatch(text); f != nil {
		limit(s, "inimum", number(f[2]), f[1] == ">")
	}
	return s
}

// limit sets minimum or maximum, or their exclusive forms.
func limit(s schema, end string, x float64, exclusive bool) {
	if exclusive {
		s["exclusiveM"+end] = x
	} else {
		s["m"+end] = x
	}
}

func anyOf(list ...schema) schema { return schema{"anyOf": list} }

func listOf(item schema) schema { return schema{"type": "array", "items": item} }

func enum(values ...string) schema { return schema{"enum": values} }

// oneOrMore is a value or a list of such values.
func oneOrMore(item schema) schema {
	list := listOf(item)
	list["minItems"] = 1
	return anyOf(item, list)
}

// record is a map with exactly these keys; required ones end in "!".
func record(fields schema) schema {
	props, required := schema{}, []string{}
	for name, f := range fields {
		if bare, must := strings.CutSuffix(name, "!"); must {
			name, required = bare, append(required, bare)
		}
		props[name] = f
	}
	out := schema{"type": "object", "additionalProperties": false, "properties": props}
	if len(required) > 0 {
		slices.Sort(required)
		out["required"] = required
	}
	return out
}
