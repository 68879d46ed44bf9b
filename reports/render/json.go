package render

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"reflect"

	"taillab/reports"
)

// JSON writes the summary as one document, indented by two spaces, with a newline
// at its end. A pointer to a number that is no number becomes null; a plain field
// that is none is an error, because the schema has no way to say it.
func JSON(w io.Writer, s *reports.Summary) error {
	b, err := encode(s, "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// encode writes a cleaned copy. Angle brackets stay readable: a page that embeds
// the result has to escape them.
func encode(s *reports.Summary, indent string) ([]byte, error) {
	c, err := clean(s)
	if err != nil {
		return nil, err
	}
	type plain reports.Summary // without MarshalJSON, whose promise clean keeps
	var b buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode((*plain)(c)); err != nil {
		return nil, fmt.Errorf("writing the summary as JSON: %w", err)
	}
	return b, nil
}

// buffer collects bytes.
type buffer []byte

func (b *buffer) Write(p []byte) (int, error) {
	*b = append(*b, p...)
	return len(p), nil
}

// clean copies a summary: nil lists and maps become empty ones, pointers to NaN or
// ±Inf become nil.
func clean(s *reports.Summary) (*reports.Summary, error) {
	v, err := cleanValue(reflect.ValueOf(*s), "summary")
	if err != nil {
		return nil, err
	}
	c := v.Interface().(reports.Summary)
	return &c, nil
}

func cleanValue(v reflect.Value, path string) (reflect.Value, error) {
	out := reflect.New(v.Type()).Elem()
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if !v.Type().Field(i).IsExported() {
				continue // the verdicts' own notes, no part of the document
			}
			f, err := cleanValue(v.Field(i), path+"."+v.Type().Field(i).Name)
			if err != nil {
				return out, err
			}
			out.Field(i).Set(f)
		}
		return out, nil
	case reflect.Slice:
		out.Set(reflect.MakeSlice(v.Type(), v.Len(), v.Len()))
		return out, cleanItems(out, v, path)
	case reflect.Array:
		return out, cleanItems(out, v, path)
	case reflect.Map:
		out.Set(reflect.MakeMapWithSize(v.Type(), v.Len()))
		for it := v.MapRange(); it.Next(); {
			e, err := cleanValue(it.Value(), fmt.Sprintf("%s[%v]", path, it.Key()))
			if err != nil {
				return out, err
			}
			out.SetMapIndex(it.Key(), e)
		}
		return out, nil
	case reflect.Pointer:
		return cleanPointer(v, path)
	case reflect.Interface:
		if v.IsNil() {
			return out, nil
		}
		e, err := cleanValue(v.Elem(), path)
		if err == nil {
			out.Set(e)
		}
		return out, err
	case reflect.Float64, reflect.Float32:
		if f := v.Float(); math.IsNaN(f) || math.IsInf(f, 0) {
			return out, fmt.Errorf("%s is %v: a summary holds finite numbers only", path, f)
		}
	}
	return v, nil
}

func cleanItems(out, v reflect.Value, path string) error {
	for i := range v.Len() {
		e, err := cleanValue(v.Index(i), fmt.Sprintf("%s[%d]", path, i))
		if err != nil {
			return err
		}
		out.Index(i).Set(e)
	}
	return nil
}

// cleanPointer turns a pointer to something that is no number into nil.
func cleanPointer(v reflect.Value, path string) (reflect.Value, error) {
	out := reflect.New(v.Type()).Elem()
	if v.IsNil() {
		return out, nil
	}
	e, err := cleanValue(v.Elem(), path)
	if err != nil {
		if k := v.Elem().Kind(); k == reflect.Float64 || k == reflect.Array {
			return out, nil
		}
		return out, err
	}
	p := reflect.New(v.Type().Elem())
	p.Elem().Set(e)
	return p, nil
}
