package workloads

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// readColumn reads one column of numbers of a CSV, or one key of JSON lines.
func readColumn(file, column string, opt Options) ([]float64, error) {
	r, err := opt.open(file)
	if err != nil {
		return nil, err
	}
	defer func() { _ = r.Close() }()
	in := newLines(r)
	line, err := in.next()
	if err == io.EOF {
		return nil, fmt.Errorf("%s is empty", file)
	}
	if err != nil {
		return nil, broken(file, in.num, err)
	}
	cell, rows, err := cellReader(file, column, line)
	if err != nil {
		return nil, err
	}
	var out []float64
	for ; err == nil; line, err = in.next() {
		if !rows {
			rows = true
			continue
		}
		s, ferr := cell(line)
		if ferr != nil {
			return nil, fmt.Errorf("%s:%d: %w", file, in.num, ferr)
		}
		v, perr := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if perr != nil || !within(v, 0, 1e18) {
			return nil, fmt.Errorf("%s:%d: %s", file, in.num, &fault{column: column, what: "not a number of at least 0", got: s})
		}
		out = append(out, v)
	}
	if err != io.EOF {
		return nil, broken(file, in.num+1, err)
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%s has a header but no rows", file)
	}
	return out, nil
}

// cellReader returns how to get the column out of a line.
func cellReader(file, column string, first []byte) (cell func([]byte) (string, error), rows bool, err error) {
	if first[0] == '{' {
		return func(line []byte) (string, error) {
			var keys map[string]json.RawMessage
			if json.Unmarshal(line, &keys) != nil {
				return "", errors.New("malformed JSON")
			}
			v, ok := keys[column]
			if !ok {
				return "", fmt.Errorf("the key %q is missing", column)
			}
			return string(v), nil
		}, true, nil
	}
	sep := separator(first)
	names, err := splitFields(first, sep, nil)
	if err != nil {
		return nil, false, fmt.Errorf("%s:1: the header has %w", file, err)
	}
	at := slices.IndexFunc(names, func(h string) bool { return strings.EqualFold(strings.TrimSpace(h), column) })
	if at < 0 {
		return nil, false, unknownColumn(file, column, names)
	}
	var fields []string
	return func(line []byte) (string, error) {
		fields, err := splitFields(line, sep, fields)
		if err != nil {
			return "", err
		}
		if at >= len(fields) {
			return "", fmt.Errorf("%d columns where the header has %d", len(fields), len(names))
		}
		return fields[at], nil
	}, false, nil
}
