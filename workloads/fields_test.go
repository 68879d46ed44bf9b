package workloads

import "reflect"

// fieldNames lists the fields of a struct.
func fieldNames(v any) []string {
	var out []string
	for _, f := range reflect.VisibleFields(reflect.TypeOf(v)) {
		out = append(out, f.Name)
	}
	return out
}
