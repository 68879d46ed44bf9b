package workloads

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// layout says where a CSV keeps what; −1 = not there.
type layout struct {
	format                                                   string
	sep                                                      byte
	header                                                   []string
	time, input, output, tenant, duration, session, model, n int
	unit                                                     string // of time: s ms us ns or rfc3339
	zeroFails                                                bool   // an output of 0 tokens means that the provider failed
	minInput, minOutput                                      uint32
}

// nanosPer is the length of a unit in ns.
func nanosPer(unit string) int64 {
	switch unit {
	case "ms":
		return 1e6
	case "us":
		return 1e3
	case "ns":
		return 1
	}
	return 1e9
}

func (l *layout) shape() shape {
	return shape{
		stamps: l.time >= 0, dates: l.unit == "rfc3339",
		input: l.input >= 0, output: l.output >= 0, demand: l.duration >= 0,
		tenant: l.tenant >= 0, model: l.model >= 0, session: l.session >= 0,
	}
}

// separator is a tab where the header has one, else a comma.
func separator(header []byte) byte {
	if slices.Contains(header, '\t') {
		return '\t'
	}
	return ','
}

// readHeader finds the columns by the format's names, by the column map, or by
// trying the formats in turn.
func readHeader(file string, line []byte, spec TraceSpec) (*layout, error) {
	l := &layout{sep: separator(line), time: -1, input: -1, output: -1, tenant: -1, duration: -1, session: -1, model: -1,
		minInput: spec.MinInput, minOutput: spec.MinOutput}
	names, err := splitFields(line, l.sep, nil)
	if err != nil {
		return nil, fmt.Errorf("%s:1: the header has %w", file, err)
	}
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	l.header, l.n, l.format = names, len(names), spec.Format
	if spec.Columns != (ColumnMap{}) {
		l.format = "csv"
		return l, l.mapped(file, spec.Columns)
	}
	if l.format == "" {
		for _, f := range []string{"azure-llm", "burstgpt", "lengths"} {
			if l.known(f) == "" {
				l.format = f
				break
			}
		}
	}
	if l.format == "" {
		return nil, fmt.Errorf("%s: the format cannot be told from the header %q: name one of %s, or map the columns", file, cutOff(strings.Join(names, ",")), strings.Join(Formats(), ", "))
	}
	if missing := l.known(l.format); missing != "" {
		return nil, fmt.Errorf("%s: the format %s needs a column %q; the header has %s", file, l.format, missing, cutOff(strings.Join(names, ", ")))
	}
	return l, nil
}

func cutOff(s string) string {
	if len(s) > 200 {
		return strings.ToValidUTF8(s[:200], "") + "…"
	}
	return s
}

// column finds a name, ignoring case; −1 if there is none.
func (l *layout) column(name string) int {
	return slices.IndexFunc(l.header, func(h string) bool { return strings.EqualFold(h, name) })
}

// known fills the columns of a format from the header; it returns the first
// column that is missing, "" when all are there.
func (l *layout) known(format string) string {
	need := func(name string, at *int) string {
		if *at = l.column(name); *at < 0 {
			return name
		}
		return ""
	}
	switch format {
	case "azure-llm":
		l.unit = "rfc3339"
		return firstOf(need("TIMESTAMP", &l.time), need("ContextTokens", &l.input), need("GeneratedTokens", &l.output))
	case "burstgpt":
		l.unit, l.zeroFails = "s", true
		l.session, l.model = l.column("Session ID"), l.column("Model")
		return firstOf(need("Timestamp", &l.time), need("Request tokens", &l.input), need("Response tokens", &l.output))
	case "lengths":
		l.time = -1
		return l.lengths()
	}
	return "time (map it under columns)"
}

func firstOf(list ...string) string {
	for _, s := range list {
		if s != "" {
			return s
		}
	}
	return ""
}

// lengths looks for the usual names of token columns.
func (l *layout) lengths() string {
	for _, pair := range [][2]string{
		{"input", "output"}, {"input_tokens", "output_tokens"}, {"input_length", "output_length"},
		{"prompt_tokens", "completion_tokens"}, {"num_prefill_tokens", "num_decode_tokens"},
		{"ContextTokens", "GeneratedTokens"}, {"Request tokens", "Response tokens"},
	} {
		l.input, l.output = l.column(pair[0]), l.column(pair[1])
		if l.input >= 0 && l.output >= 0 {
			return ""
		}
	}
	return "input and output (or another usual pair of token columns)"
}

// mapped fills the columns from the user's map.
func (l *layout) mapped(file string, m ColumnMap) error {
	if l.unit = m.Unit; l.unit == "" {
		l.unit = "s"
	}
	if m.Input == "" {
		m.Input = m.Size
	}
	for _, c := range []struct {
		name string
		at   *int
	}{{m.Time, &l.time}, {m.Input, &l.input}, {m.Output, &l.output}, {m.Tenant, &l.tenant}, {m.Duration, &l.duration}, {m.Session, &l.session}, {m.Model, &l.model}} {
		if c.name == "" {
			continue
		}
		if *c.at = l.column(c.name); *c.at < 0 {
			return unknownColumn(file, c.name, l.header)
		}
	}
	return nil
}

func unknownColumn(file, name string, header []string) error {
	if near := nearest(name, header); near != "" {
		return fmt.Errorf("%s has no column %q: did you mean %q?", file, cutOff(name), near)
	}
	return fmt.Errorf("%s has no column %q: it has %s", file, cutOff(name), cutOff(strings.Join(header, ", ")))
}

// row reads one line into r; fields is reused.
func (l *layout) row(line []byte, fields []string, r *record) ([]string, *fault) {
	fields, err := splitFields(line, l.sep, fields)
	if err != nil {
		return fields, &fault{what: err.Error(), got: string(line)}
	}
	if len(fields) != l.n {
		return fields, &fault{what: fmt.Sprintf("%d columns where the header has %d", len(fields), l.n), got: string(line)}
	}
	*r = record{}
	bad := func(at int, what string) *fault { return &fault{column: l.header[at], what: what, got: fields[at]} }
	var what string
	if l.time >= 0 {
		if r.at, what = l.stamp(fields[l.time]); what != "" {
			return fields, bad(l.time, what)
		}
	}
	if l.input >= 0 {
		if r.input, what = parseTokens(fields[l.input], l.minInput); what != "" {
			return fields, bad(l.input, what)
		}
	}
	if l.output >= 0 {
		least := l.minOutput
		if l.zeroFails {
			least = 0
		}
		if r.output, what = parseTokens(fields[l.output], least); what != "" {
			return fields, bad(l.output, what)
		}
		r.failed = l.zeroFails && r.output == 0
	}
	if l.duration >= 0 {
		unit := l.unit
		if unit == "rfc3339" {
			unit = "s"
		}
		if r.demand, what = parseDecimal(fields[l.duration], nanosPer(unit)); what != "" {
			return fields, bad(l.duration, what)
		}
	}
	r.tenant, r.session, r.model = l.text(fields, l.tenant), l.text(fields, l.session), l.text(fields, l.model)
	return fields, nil
}

func (l *layout) text(fields []string, at int) string {
	if at < 0 {
		return ""
	}
	return fields[at]
}

func (l *layout) stamp(s string) (time.Duration, string) {
	if l.unit == "rfc3339" {
		return parseStamp(s)
	}
	return parseDecimal(s, nanosPer(l.unit))
}
