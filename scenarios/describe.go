package scenarios

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"taillab/policies"
	"taillab/policies/balance"
)

// Parameter describes one parameter of a policy.
type Parameter struct {
	Name     string `json:"name"`
	Type     string `json:"type"`
	Default  any    `json:"default"` // durations as text
	Range    string `json:"range"`   // "" when any value goes
	About    string `json:"about"`
	Required bool   `json:"required"`
}

// Description is what `explain` says about a policy.
type Description struct {
	Name       string      `json:"name"`
	Family     string      `json:"family"`
	About      string      `json:"about"`
	Source     string      `json:"source"`
	Flags      []string    `json:"flags"` // oracle, shared, reporter, decorator
	Parameters []Parameter `json:"parameters"`
	Example    string      `json:"example"` // YAML
}

// Describe reads the parameters of a policy off its prototype.
func Describe(e policies.Entry) Description {
	out := Description{Name: e.Name, Family: e.Family, About: e.About, Source: e.Source, Flags: flagsOf(e.New()), Parameters: []Parameter{}}
	v := reflect.ValueOf(e.New())
	for v.Kind() == reflect.Pointer {
		v = v.Elem()
	}
	if v.Kind() == reflect.Struct {
		for _, f := range fieldsOf(v.Type()) {
			p := Parameter{
				Name: f.name, Type: typeName(f.kind), Default: plainValue(v.FieldByIndex(f.index)),
				Range: rangeText(f), About: f.tag.Get("about"), Required: f.tag.Get("required") == "true",
			}
			if f.kind == innerType {
				p.Default = yamlText(p)
			}
			out.Parameters = append(out.Parameters, p)
		}
	}
	out.Example = example(out)
	return out
}

// flagsOf says what a policy asks of its host.
func flagsOf(p any) []string {
	out := []string{}
	if _, ok := p.(balance.Oracle); ok {
		out = append(out, "oracle")
	}
	if _, ok := p.(balance.Shared); ok {
		out = append(out, "shared")
	}
	if _, ok := p.(balance.Halved); ok {
		out = append(out, "reporter")
	}
	if _, ok := p.(balance.Wrapper); ok {
		out = append(out, "decorator")
	}
	return out
}

// rangeText writes the range of a parameter as documents do.
func rangeText(f field) string {
	lo, hi, above := f.tag.Get("min"), f.tag.Get("max"), f.tag.Get("above")
	switch {
	case f.tag.Get("enum") != "":
		return strings.ReplaceAll(f.tag.Get("enum"), "|", " ")
	case above != "" && hi != "":
		return "(" + above + ", " + hi + "]"
	case above != "":
		return "> " + above
	case lo != "" && hi != "":
		return "[" + lo + ", " + hi + "]"
	case lo != "":
		return "≥ " + lo
	case hi != "":
		return "≤ " + hi
	}
	return ""
}

// example is a scenario line that sets every parameter to its default.
func example(d Description) string {
	fields := []string{"name: " + d.Name}
	for _, p := range d.Parameters {
		if v := yamlText(p); v != "" {
			fields = append(fields, p.Name+": "+v)
		}
	}
	if len(fields) == 1 {
		return fmt.Sprintf("policies: {%s: %s}", d.Family, d.Name)
	}
	return fmt.Sprintf("policies: {%s: {%s}}", d.Family, strings.Join(fields, ", "))
}

// yamlText writes a default, or an example of a required value; "" leaves it out.
func yamlText(p Parameter) string {
	if m, ok := p.Default.(map[string]any); ok && p.Required && len(m) == 0 {
		return "{a: 20, b: 10}"
	}
	return FlowText(p.Default)
}

// FlowText writes a plain value as YAML on one line, keys in order; "" for what is empty.
func FlowText(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case map[string]any:
		var fields []string
		for _, k := range slices.Sorted(maps.Keys(v)) {
			if text := FlowText(v[k]); text != "" {
				fields = append(fields, k+": "+text)
			}
		}
		if len(fields) == 0 {
			return ""
		}
		return "{" + strings.Join(fields, ", ") + "}"
	case []any:
		var items []string
		for _, x := range v {
			items = append(items, FlowText(x))
		}
		if len(items) == 0 {
			return ""
		}
		return "[" + strings.Join(items, ", ") + "]"
	case float64:
		return strconv.FormatFloat(v, 'g', -1, 64)
	}
	return fmt.Sprint(v)
}
