package app

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"

	"taillab/sim/gpu/fit"
)

// mostBad is the share of rows that may be unusable before it takes --skip-bad.
const mostBad = 0.01

// measured is a CSV of measurements: numbers under the names of their columns.
type measured struct {
	head []string
	rows []map[string]float64
	bad  []string // rows that could not be used, and why
}

// has tells whether there is a column of one of these names.
func (m *measured) has(names ...string) bool {
	return slices.ContainsFunc(m.head, func(h string) bool { return slices.Contains(names, h) })
}

// readMeasured reads rows whose columns are known and whose times, the columns that
// end in ms or _s, are numbers above 0; others are left out and counted.
func readMeasured(name string, data []byte) (*measured, error) {
	in := csv.NewReader(bytes.NewReader(data))
	in.Comment, in.TrimLeadingSpace = '#', true
	head, err := in.Read()
	if err != nil {
		return nil, errors.New("there is no header")
	}
	m := &measured{head: head}
	for {
		row, err := in.Read()
		if errors.Is(err, io.EOF) {
			return m, nil
		}
		if err != nil {
			return nil, err
		}
		line, _ := in.FieldPos(0)
		cells, why := map[string]float64{}, ""
		for i, text := range row {
			v, err := strconv.ParseFloat(text, 64)
			switch {
			case why != "":
			case err != nil || math.IsNaN(v) || math.IsInf(v, 0):
				why = fmt.Sprintf("%s is %q, no number", head[i], text)
			case v < 0 || v == 0 && timed(head[i]):
				why = fmt.Sprintf("%s is %s: it must be above 0", head[i], text)
			}
			cells[head[i]] = v
		}
		if why != "" {
			m.bad = append(m.bad, fmt.Sprintf("%s:%d: %s", name, line, why))
			continue
		}
		m.rows = append(m.rows, cells)
	}
}

// timed tells whether a column holds a time that passed, no instant.
func timed(column string) bool {
	return strings.HasSuffix(column, "ms") && !strings.HasPrefix(column, "arrival") && column != "ttft_ms"
}

// tolerable refuses a file with more than one unusable row in a hundred, unless all
// of them shall be skipped.
func (m *measured) tolerable(skip bool) error {
	if n := len(m.rows) + len(m.bad); !skip && float64(len(m.bad)) > mostBad*float64(n) {
		return fmt.Errorf("%d of %d rows cannot be used, the first: %s (--skip-bad leaves them out)", len(m.bad), n, m.bad[0])
	}
	return nil
}

// only refuses columns that are not among the valid ones.
func (m *measured) only(valid ...string) error {
	for _, h := range m.head {
		if !slices.Contains(valid, h) {
			return fmt.Errorf("unknown column %q; known are %s", h, strings.Join(valid, " "))
		}
	}
	return nil
}

// either is the value of the first column of these that there is, else otherwise.
func either(row map[string]float64, otherwise float64, names ...string) float64 {
	for _, n := range names {
		if v, ok := row[n]; ok {
			return v
		}
	}
	return otherwise
}

// points are batches and their times. A batch that is not given is 1.
func (m *measured) points() ([]fit.Point, error) {
	if err := m.only("batch", "items", "tokens", "tokens_sq", "ms", "latency_ms"); err != nil {
		return nil, err
	}
	var out []fit.Point
	for _, r := range m.rows {
		out = append(out, fit.Point{Items: either(r, 1, "batch", "items"), Tokens: r["tokens"], TokensSq: r["tokens_sq"], MS: either(r, 0, "ms", "latency_ms")})
	}
	return out, nil
}

// loops are closed loops of text generation.
func (m *measured) loops() ([]fit.Loop, error) {
	if err := m.only("concurrency", "input", "output", "tpot_ms", "ttft_ms"); err != nil {
		return nil, err
	}
	var out []fit.Loop
	for _, r := range m.rows {
		out = append(out, fit.Loop{Concurrency: r["concurrency"], Input: r["input"], Output: r["output"], TPOT: r["tpot_ms"], TTFT: r["ttft_ms"]})
	}
	return out, nil
}

// served are the requests of a run: when they came, and how long after that their first
// and last tokens. Without a first token it came with the last.
func (m *measured) served() ([]fit.Served, error) {
	if err := m.only("replica", "arrival_s", "arrival_ms", "input", "output", "ttft_ms", "tpot_ms", "e2e_ms"); err != nil {
		return nil, err
	}
	if !m.has("e2e_ms") && (!m.has("ttft_ms") || !m.has("tpot_ms")) {
		return nil, errors.New("a served run needs e2e_ms, or ttft_ms and tpot_ms")
	}
	var out []fit.Served
	for _, r := range m.rows {
		x := fit.Served{Replica: int(r["replica"]), Arrival: either(r, 1e3*r["arrival_s"], "arrival_ms"), Input: r["input"], Output: either(r, 1, "output")}
		x.First = x.Arrival + either(r, r["e2e_ms"], "ttft_ms")
		x.Last = x.Arrival + either(r, r["ttft_ms"]+r["tpot_ms"]*(x.Output-1), "e2e_ms")
		out = append(out, x)
	}
	return out, nil
}
