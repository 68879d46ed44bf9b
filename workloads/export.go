package workloads

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// ExportFormats lists what Export can write. A jsonl or csv read back with
// rotate: false, keep_offset: true gives the same arrivals to the nanosecond;
// mooncake has whole milliseconds.
func ExportFormats() []string { return []string{"csv", "mooncake", "jsonl"} }

// exportColumns is the header of a csv export.
func exportColumns() []string {
	return []string{"at_ns", "input", "output", "demand_ns", "tenant", "model", "class", "frontend"}
}

// Export writes the first n requests of the schedule of a run.
func (c *Compiled) Export(w io.Writer, format string, runSeed uint64, rate float64, n int) error {
	if !oneOf(format, ExportFormats()...) {
		return fmt.Errorf("no export format called %q: it must be one of %s", format, strings.Join(ExportFormats(), ", "))
	}
	src, err := c.Source(runSeed, rate)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(w)
	put := c.exporter(out, format)
	buf := make([]Request, 1024)
	for n > 0 {
		got := src.Next(buf[:min(n, len(buf))])
		if got == 0 {
			break
		}
		n -= got
		for i := range buf[:got] {
			if err := put(&buf[i]); err != nil {
				return err
			}
		}
	}
	return out.Flush()
}

// exporter returns the writer of one request.
func (c *Compiled) exporter(out io.Writer, format string) func(*Request) error {
	if format == "csv" {
		w := csv.NewWriter(out)
		header := true
		return func(r *Request) error {
			if header {
				header = false
				if err := w.Write(exportColumns()); err != nil {
					return err
				}
			}
			err := w.Write([]string{
				strconv.FormatInt(int64(r.At), 10), strconv.FormatUint(uint64(r.Input), 10), strconv.FormatUint(uint64(r.Output), 10),
				strconv.FormatInt(int64(r.Demand), 10), c.tenants[r.Tenant].name, c.models[r.Model], c.classes[r.Class], strconv.FormatUint(uint64(r.FrontEnd), 10),
			})
			w.Flush()
			return firstError(err, w.Error())
		}
	}
	w := json.NewEncoder(out)
	return func(r *Request) error {
		if format == "mooncake" {
			return w.Encode(mooncakeOut{Timestamp: (int64(r.At) + 500_000) / 1_000_000, Input: r.Input, Output: r.Output, Blocks: append([]uint64{}, r.Blocks...)})
		}
		return w.Encode(jsonlOut{
			At: int64(r.At), Input: r.Input, Output: r.Output, Demand: int64(r.Demand), Key: strconv.FormatUint(r.Key, 16),
			Tenant: c.tenants[r.Tenant].name, Model: c.models[r.Model], Class: c.classes[r.Class], FrontEnd: r.FrontEnd, Blocks: r.Blocks,
		})
	}
}

func firstError(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

type mooncakeOut struct {
	Timestamp int64    `json:"timestamp"`
	Input     uint32   `json:"input_length"`
	Output    uint32   `json:"output_length"`
	Blocks    []uint64 `json:"hash_ids"`
}

// jsonlOut is one line of the project's own format.
type jsonlOut struct {
	At       int64    `json:"at_ns"`
	Input    uint32   `json:"input"`
	Output   uint32   `json:"output"`
	Demand   int64    `json:"demand_ns,omitempty"`
	Key      string   `json:"session"`
	Tenant   string   `json:"tenant"`
	Model    string   `json:"model"`
	Class    string   `json:"class,omitempty"`
	FrontEnd uint32   `json:"frontend"`
	Blocks   []uint64 `json:"blocks,omitempty"`
}
