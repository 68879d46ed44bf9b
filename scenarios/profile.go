package scenarios

import (
	"fmt"
	"path/filepath"
	"reflect"
	"slices"
	"strconv"
	"strings"

	"taillab/sim/gpu"
	"taillab/sim/gpu/presets"
)

// profileFile tells whether a name means a file with a GPU profile, no preset.
func profileFile(name string) bool {
	return strings.ContainsAny(name, `/\`) || slices.Contains([]string{".yaml", ".yml"}, filepath.Ext(name))
}

// Profile finds a GPU profile: a preset by its name, or a file by its path, which
// counts from dir if it is relative. The error names what is wrong with it.
func Profile(name, dir string) (gpu.Profile, error) {
	if !profileFile(name) {
		return Preset(name)
	}
	at := name
	if dir != "" && !filepath.IsAbs(at) {
		at = filepath.Join(dir, at)
	}
	src, err := ReadInput("GPU profile", at, nil)
	if err != nil {
		return gpu.Profile{}, err
	}
	src.Name = name
	return LoadProfile(src)
}

// Preset reads a GPU profile that comes with the program. The error names what
// is wrong with its file.
func Preset(name string) (gpu.Profile, error) {
	data, err := presets.FS.ReadFile(name + ".yaml")
	if err != nil {
		return gpu.Profile{}, fmt.Errorf("no GPU preset called %q", name)
	}
	return LoadProfile(Source{Name: "presets/" + name + ".yaml", Data: data})
}

// LoadProfile reads the text of a GPU profile. The error names what is wrong with it.
func LoadProfile(s Source) (gpu.Profile, error) {
	var ps problemList
	src := newText(s)
	src.holds = "profile"
	d := decoder{ps: &ps}
	var p gpu.Profile
	if root := parse(src, s.Data, &ps); root != nil {
		p.Spec = gpu.Defaults(gpu.Kind(textOf(root.get("kind"))))
		d.fill(root, "", "a profile", reflect.ValueOf(&p).Elem())
	}
	if len(ps.list) > 0 {
		return p, ps.sorted()[0]
	}
	return p, nil
}

// ProfileYAML writes a profile as Profile reads it, what differs from the defaults of
// its kind only. Numbers are rounded to six digits.
func ProfileYAML(p gpu.Profile) []byte {
	var b strings.Builder
	was := gpu.Profile{Spec: gpu.Defaults(p.Kind)}
	writeFields(&b, "", reflect.ValueOf(p), reflect.ValueOf(was))
	return []byte(b.String())
}

func writeFields(b *strings.Builder, indent string, v, was reflect.Value) {
	for _, f := range fieldsOf(v.Type()) {
		at, old := v.FieldByIndex(f.index), was.FieldByIndex(f.index)
		switch {
		case f.name != "kind" && reflect.DeepEqual(at.Interface(), old.Interface()):
		case at.Kind() == reflect.Struct:
			fmt.Fprintf(b, "%s%s:\n", indent, f.name)
			writeFields(b, indent+"  ", at, old)
		default:
			fmt.Fprintf(b, "%s%s: %s\n", indent, f.name, scalarText(at))
		}
	}
}

// scalarText is a value of a profile's field in YAML.
func scalarText(v reflect.Value) string {
	switch x := v.Interface().(type) {
	case gpu.Nanos:
		digits, _ := strconv.ParseFloat(strconv.FormatFloat(float64(x), 'g', 6, 64), 64) // what was just written
		return gpu.Nanos(digits).String()
	case float64:
		return strconv.FormatFloat(x, 'g', 6, 64)
	case string:
		return strconv.Quote(x)
	}
	switch {
	case v.Kind() == reflect.Pointer:
		return scalarText(v.Elem())
	case v.Kind() == reflect.String:
		return v.String()
	case v.Kind() == reflect.Slice:
		out := make([]string, v.Len())
		for i := range out {
			out[i] = scalarText(v.Index(i))
		}
		return "[" + strings.Join(out, ", ") + "]"
	}
	return fmt.Sprint(v.Interface())
}
