package scenarios

import (
	"encoding"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"taillab/policies/balance"
	"taillab/sim/gpu"
)

// field is an exported field with a yaml tag: a parameter of a policy, a latency
// model or a profile. Further tags hold its range.
type field struct {
	name  string
	index []int
	tag   reflect.StructTag
	kind  reflect.Type
}

var (
	durationType = reflect.TypeFor[time.Duration]()
	innerType    = reflect.TypeFor[balance.Inner]()
	nanosType    = reflect.TypeFor[gpu.Nanos]()
)

// fieldsOf lists the fields of a struct in order, those of inlined ones among them.
func fieldsOf(t reflect.Type) []field {
	var out []field
	for i := range t.NumField() {
		f := t.Field(i)
		name, options, _ := strings.Cut(f.Tag.Get("yaml"), ",")
		switch {
		case options == "inline" && f.Type.Kind() == reflect.Struct:
			for _, in := range fieldsOf(f.Type) {
				in.index = append([]int{i}, in.index...)
				out = append(out, in)
			}
		case !f.IsExported() || name == "" || name == "-":
		default:
			out = append(out, field{name: name, index: []int{i}, tag: f.Tag, kind: f.Type})
		}
	}
	return out
}

func fieldNames(fs []field) []string {
	var out []string
	for _, f := range fs {
		out = append(out, f.name)
	}
	return out
}

// fill decodes the map n onto the struct v. Keys in own are the caller's; of names
// the thing in messages ("p2c"), path is where it stands.
func (d *decoder) fill(n *node, path, of string, v reflect.Value, own ...string) {
	if n.kind != mapNode {
		d.wrongKind(n, path, "a map of keys", "")
		return
	}
	fs := fieldsOf(v.Type())
	for i, k := range n.keys {
		if slices.Contains(own, k.text) {
			continue
		}
		j := slices.IndexFunc(fs, func(f field) bool { return f.name == k.text })
		if j < 0 {
			d.ps.at(k, join(path, k.text), Suggest(k.text, append(slices.Clone(own), fieldNames(fs)...), ""), "%s has no parameter %q", of, k.text)
			continue
		}
		d.value(n.items[i], join(path, k.text), v.FieldByIndex(fs[j].index), fs[j].tag)
	}
	for _, f := range fs {
		if f.tag.Get("required") == "true" && n.get(f.name) == nil {
			d.missing(n, join(path, f.name), f)
		}
	}
}

func (d *decoder) missing(n *node, path string, f field) {
	d.ps.at(n, path, "", "%s is missing: %s", path, f.tag.Get("about"))
}

// value decodes n onto v within the range of the tags.
func (d *decoder) value(n *node, path string, v reflect.Value, tag reflect.StructTag) {
	switch v.Kind() {
	case reflect.Pointer:
		fresh := reflect.New(v.Type().Elem())
		d.value(n, path, fresh.Elem(), tag)
		v.Set(fresh)
	case reflect.Struct:
		d.fill(n, path, path, v)
	case reflect.Slice:
		items := d.list(n, path, "values")
		list := reflect.MakeSlice(v.Type(), len(items), len(items))
		for i, item := range items {
			d.value(item, index(path, i), list.Index(i), tag)
		}
		v.Set(list)
	case reflect.Map:
		d.table(n, path, v, tag)
	default:
		d.plain(n, path, v, tag)
	}
}

// table decodes a map whose keys are the user's words.
func (d *decoder) table(n *node, path string, v reflect.Value, tag reflect.StructTag) {
	if n.kind != mapNode {
		d.wrongKind(n, path, "a map", "")
		return
	}
	m := reflect.MakeMapWithSize(v.Type(), len(n.keys))
	for i, k := range n.keys {
		e := reflect.New(v.Type().Elem()).Elem()
		d.value(n.items[i], join(path, k.text), e, tag)
		m.SetMapIndex(reflect.ValueOf(k.text), e)
	}
	v.Set(m)
}

// plain decodes a scalar.
func (d *decoder) plain(n *node, path string, v reflect.Value, tag reflect.StructTag) {
	if !d.isScalar(n, path, mustBe(v.Type(), tag)) {
		return
	}
	var wrong *bad
	x := 0.0
	switch {
	case v.Type() == durationType:
		var t time.Duration
		t, wrong = readDuration(n.text)
		x = float64(t)
	case reflect.PointerTo(v.Type()).Implements(reflect.TypeFor[encoding.TextUnmarshaler]()):
		if wrong = bare(n.text, v.Type()); wrong == nil {
			wrong = unmarshal(n.text, v)
		}
		if wrong == nil && v.Type() == nanosType {
			d.within(n, path, v.Float(), v.Type(), tag)
		}
		if wrong != nil {
			d.refuse(n, path, wrong)
		}
		return
	case v.Kind() == reflect.Bool:
		var b bool
		if b, wrong = readBool(n.text); wrong == nil {
			v.SetBool(b)
			return
		}
	case v.Kind() == reflect.String:
		d.word(n, path, v, tag)
		return
	case v.CanInt() || v.CanUint():
		var i int64
		i, wrong = readInt(n.text)
		x = float64(i)
	case v.CanFloat():
		x, wrong = readShare(n.text)
	default:
		d.ps.at(n, path, "remove it", "%s is not available in this version", path)
		return
	}
	if wrong != nil {
		d.refuse(n, path, wrong)
		return
	}
	if d.within(n, path, x, v.Type(), tag) && !assign(v, x) {
		d.ps.at(n, path, "", "%s is %s: it is too large or too small", path, n.text)
	}
}

// bare says of a cost without a unit what it says of a duration.
func bare(s string, t reflect.Type) *bad {
	if _, wrong := readFloat(s); t == nanosType && wrong == nil {
		_, wrong = readDuration(s)
		return wrong
	}
	return nil
}

func unmarshal(s string, v reflect.Value) *bad {
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
		return &bad{must: "it cannot be read", hint: err.Error()}
	}
	return nil
}

func (d *decoder) word(n *node, path string, v reflect.Value, tag reflect.StructTag) {
	if e := tag.Get("enum"); e != "" {
		values := strings.Split(e, "|")
		if !slices.Contains(values, n.text) && n.text != v.String() { // the default may be "": decided elsewhere
			d.ps.at(n, path, near(n.text, values), "%s is %q: it must be one of %s", path, n.text, strings.Join(values, ", "))
			return
		}
	}
	v.SetString(n.text)
}

// assign sets v to x, where it fits.
func assign(v reflect.Value, x float64) bool {
	switch {
	case v.CanInt():
		if math.Abs(x) >= 1<<63 || v.OverflowInt(int64(x)) {
			return false
		}
		v.SetInt(int64(x))
	case v.CanUint():
		if x < 0 || x >= 1<<64 || v.OverflowUint(uint64(x)) {
			return false
		}
		v.SetUint(uint64(x))
	default:
		v.SetFloat(x)
	}
	return true
}

// within checks the tags min and max (inclusive) and above (exclusive).
func (d *decoder) within(n *node, path string, x float64, t reflect.Type, tag reflect.StructTag) bool {
	lo, hasLo := bound(tag.Get("min"), t)
	hi, hasHi := bound(tag.Get("max"), t)
	over, hasOver := bound(tag.Get("above"), t)
	var must string
	switch {
	case hasOver && !(x > over) && hasHi:
		must = "be above " + tag.Get("above") + " and at most " + tag.Get("max")
	case hasOver && !(x > over):
		must = "be above " + tag.Get("above")
	case (hasLo && !(x >= lo) || hasHi && !(x <= hi)) && hasLo && hasHi:
		must = "lie in [" + tag.Get("min") + ", " + tag.Get("max") + "]"
	case hasLo && !(x >= lo):
		must = "be at least " + tag.Get("min")
	case hasHi && !(x <= hi):
		must = "be at most " + tag.Get("max")
	default:
		return true
	}
	d.ps.at(n, path, "", "%s is %s: it must %s", path, n.text, must)
	return false
}

// bound reads a range tag: a number, or a duration for durations and costs.
func bound(s string, t reflect.Type) (float64, bool) {
	if s == "" {
		return 0, false
	}
	if t == durationType || t == nanosType {
		if v, wrong := readDuration(s); wrong == nil {
			return float64(v), true
		}
	}
	x, err := strconv.ParseFloat(s, 64)
	return x, err == nil
}

// mustBe says in words what a value of type t has to be.
func mustBe(t reflect.Type, tag reflect.StructTag) string {
	switch e := tag.Get("enum"); {
	case e != "":
		return "one of " + strings.ReplaceAll(e, "|", ", ")
	case t == durationType || t == nanosType:
		return "a duration"
	case t.Kind() == reflect.Bool:
		return "true or false"
	case t.Kind() == reflect.String:
		return "a text"
	case t.Kind() == reflect.Float64 || t.Kind() == reflect.Float32:
		return "a number"
	}
	return "a whole number"
}

// typeName says in words what type a parameter has.
func typeName(t reflect.Type) string {
	switch {
	case t == durationType || t == nanosType:
		return "duration"
	case t == innerType:
		return "policy"
	case t.Kind() == reflect.Bool:
		return "bool"
	case t.Kind() == reflect.String:
		return "string"
	case t.Kind() == reflect.Float64 || t.Kind() == reflect.Float32:
		return "number"
	case t.Kind() == reflect.Map:
		return "map of " + plural(typeName(t.Elem()))
	case t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Struct && t.Elem() != nanosType:
		return "list of " + typeName(t.Elem())
	case t.Kind() == reflect.Slice:
		return "list of " + plural(typeName(t.Elem()))
	case t.Kind() == reflect.Struct:
		return "{" + strings.Join(fieldNames(fieldsOf(t)), ", ") + "}"
	case t.Kind() == reflect.Pointer:
		return typeName(t.Elem())
	}
	return "int"
}

// plural is the word for several values of a type.
func plural(name string) string {
	if rest, ok := strings.CutPrefix(name, "list of "); ok {
		return "lists of " + rest
	}
	return name + "s"
}

// plainValue turns a parameter into what JSON and messages show: durations as text.
func plainValue(v reflect.Value) any {
	switch {
	case v.Type() == durationType:
		return durationText(time.Duration(v.Int()))
	case v.Type() == nanosType:
		return v.Interface().(gpu.Nanos).String()
	case v.Type() == innerType:
		return innerParams(v)
	}
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return nil
		}
		return plainValue(v.Elem())
	case reflect.Struct:
		return plainFields(v, true)
	case reflect.Slice, reflect.Array:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = plainValue(v.Index(i))
		}
		return out
	case reflect.Map:
		out := map[string]any{}
		for it := v.MapRange(); it.Next(); {
			out[fmt.Sprint(it.Key())] = plainValue(it.Value())
		}
		return out
	case reflect.Bool:
		return v.Bool()
	case reflect.String:
		return v.String()
	}
	switch {
	case v.CanInt():
		return v.Int()
	case v.CanUint():
		return v.Uint()
	case v.CanFloat():
		return v.Float()
	}
	return nil
}

// plainFields is plainValue of a struct's fields; zeros are kept where they are values.
func plainFields(v reflect.Value, zeros bool) map[string]any {
	out := map[string]any{}
	for _, f := range fieldsOf(v.Type()) {
		if x := v.FieldByIndex(f.index); zeros || !x.IsZero() {
			out[f.name] = plainValue(x)
		}
	}
	return out
}
