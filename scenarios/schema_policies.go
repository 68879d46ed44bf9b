package scenarios

import (
	"encoding"
	"reflect"
	"strconv"
	"strings"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/sim/gpu"
	"taillab/workloads"
)

// policies is a policy of a family, or a list of them.
func (m *schemaMaker) policies(family string) schema {
	key := "policy_" + family
	if m.defs[key] == nil {
		m.defs[key] = m.policy(family)
	}
	one := schema{"$ref": "#/$defs/" + key}
	if family == "autoscale" {
		return anyOf(enum("none"), one, listOf(one))
	}
	return oneOrMore(one)
}

// policy is a bare name, or {name, as, PARAMETER: …}.
func (m *schemaMaker) policy(family string) schema {
	var bare []string
	var forms []schema
	for _, e := range m.cat {
		if e.Family != family {
			continue
		}
		form, required := m.configured(e)
		if forms = append(forms, form); !required {
			bare = append(bare, e.Name)
		}
	}
	return anyOf(append([]schema{enum(bare...)}, forms...)...)
}

// configured is {name, as, PARAMETER: …} of one policy; required tells whether a
// parameter has no default.
func (m *schemaMaker) configured(e policies.Entry) (form schema, required bool) {
	form = record(schema{})
	t := reflect.TypeOf(e.New())
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t != nil && t.Kind() == reflect.Struct {
		form = m.fields(t)
	}
	props, _ := form["properties"].(schema)
	must, required := form["required"].([]string)
	props["name"] = schema{"const": e.Name}
	props["as"] = schema{"type": "string", "description": "label, in place of the name"}
	if _, ok := e.New().(balance.Wrapper); ok {
		props["inner"] = m.def("balancer")
	}
	form["required"] = append([]string{"name"}, must...)
	form["description"] = e.About
	return form, required
}

// fields is a struct whose fields have yaml tags: a policy or a part of a profile.
func (m *schemaMaker) fields(t reflect.Type) schema {
	props := schema{}
	for _, f := range fieldsOf(t) {
		name := f.name
		if f.tag.Get("required") == "true" {
			name += "!"
		}
		s := m.field(f.kind, f.tag)
		if about := f.tag.Get("about"); about != "" {
			s["description"] = about
		}
		props[name] = s
	}
	return record(props)
}

// field is a value of type t within the range of the tags, as decoder.value reads it.
func (m *schemaMaker) field(t reflect.Type, tag reflect.StructTag) schema {
	switch {
	case t == innerType:
		return m.def("balancer")
	case t == durationType || t == nanosType:
		return m.def("duration")
	case reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		return m.def("text")
	}
	switch t.Kind() {
	case reflect.Pointer:
		return m.field(t.Elem(), tag)
	case reflect.Struct:
		return m.fields(t)
	case reflect.Slice:
		return listOf(m.field(t.Elem(), tag))
	case reflect.Map:
		return schema{"type": "object", "additionalProperties": m.field(t.Elem(), tag)}
	case reflect.Bool:
		return m.def("bool")
	case reflect.String:
		if e := tag.Get("enum"); e != "" {
			return enum(strings.Split(e, "|")...)
		}
		return m.def("text")
	case reflect.Float32, reflect.Float64:
		return anyOf(tagged(schema{"type": "number"}, tag), m.def("percent"))
	}
	return tagged(schema{"type": "integer"}, tag)
}

// tagged adds the range of the tags min, max and above.
func tagged(s schema, tag reflect.StructTag) schema {
	for name, key := range map[string]string{"min": "minimum", "max": "maximum", "above": "exclusiveMinimum"} {
		if x, err := strconv.ParseFloat(tag.Get(name), 64); err == nil {
			s[key] = x
		}
	}
	return s
}

// gpu is a preset, the name of a file with a profile, or a profile written out.
func (m *schemaMaker) gpu() schema {
	profile := m.fields(reflect.TypeFor[gpu.Profile]())
	profile["required"] = []string{"kind"}
	return anyOf(enum(PresetNames()...), schema{"type": "string", "pattern": `[/\\]|\.ya?ml$`}, profile)
}

// arrivals is a process by its name, or {KIND: {PARAMETER: …}}; processes are the
// blocks of those with parameters.
func (m *schemaMaker) arrivals(processes schema) schema {
	var names []string
	var forms []schema
	one := func(name string, parameters schema) { forms = append(forms, record(schema{name + "!": parameters})) }
	for _, k := range workloads.ArrivalKinds() {
		parameters, _ := processes[k.Name].(schema)
		if one(k.Name, parameters); k.Name == "trace" {
			parameters["required"] = []string{"file"}
		} else {
			names = append(names, k.Name)
		}
	}
	for _, p := range workloads.Presets() {
		if p.Arrivals {
			names = append(names, p.Name)
			one(p.Name, record(schema{"rate": m.def("rate")}))
		}
	}
	return anyOf(append([]schema{enum(names...)}, forms...)...)
}

// dist is a DIST of tokens or of durations: a constant, or {KIND: {…}}.
func (m *schemaMaker) dist(name string) schema {
	size := schema{"type": "number"}
	if name == "durations" {
		size = m.def("duration")
	}
	part := schema{"type": "object", "properties": schema{"p": m.share(), "value": size}, "required": []string{"p"}}
	forms := []schema{size}
	for _, k := range workloads.DistKinds() {
		form := schema{}
		for _, key := range k.Keys {
			switch key.Name {
			case "value", "mean", "xm", "cap", "min", "max":
				form[key.Name] = size
			case "file", "column":
				form[key.Name] = schema{"type": "string"}
			case "histogram":
				form[key.Name] = schema{"type": "object", "additionalProperties": schema{"type": "number", "minimum": 0}}
			default:
				form[key.Name] = schema{"type": "number"}
			}
		}
		s := record(form)
		switch k.Name {
		case "constant":
			s = anyOf(size, s)
		case "bimodal":
			s = listOf(part)
		case "quantiles":
			s = anyOf(schema{"type": "string"}, schema{"type": "object", "additionalProperties": false,
				"patternProperties": schema{quantilePattern: size}})
		}
		s["description"] = k.About
		forms = append(forms, record(schema{k.Name + "!": s}))
	}
	return anyOf(forms...)
}
