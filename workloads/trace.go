package workloads

import "time"

// Trace is the content of a trace file in columns. A column that the format does
// not have is nil. It is shared between runs and never changed after loading.
type Trace struct {
	File   string
	Format string
	Rows   Account

	At       []time.Duration // since the first row, rising
	Input    []uint32        // tokens
	Output   []uint32
	Demand   []time.Duration // service demand
	Tenant   []uint32        // into Tenants
	Model    []uint32        // into Models
	Session  []uint64        // affinity key
	Tenants  []string
	Models   []string
	blockEnd []uint32 // end of row i's ids in blocks
	blocks   []uint64

	offset     time.Duration // stamp of the first row, for keep_offset; 0 for dates
	inversions int           // rows that came earlier than the row before them
	grid       time.Duration // stamps are multiples of it and half the gaps are 0; else 0
}

// Account says what became of the rows of a file: Read = Used + Skipped + Filtered.
type Account struct {
	Read     int `json:"read"`
	Used     int `json:"used"`
	Skipped  int `json:"skipped"`  // bad rows, with --skip-bad
	Filtered int `json:"filtered"` // left out by window, limit, load_scale, or failed at the provider
	Copies   int `json:"copies"`   // extra rows made by load_scale, not among those read
}

// Blocks returns the prefix block ids of row i; nil without any.
func (t *Trace) Blocks(i int) []uint64 {
	if t.blockEnd == nil {
		return nil
	}
	from := uint32(0)
	if i > 0 {
		from = t.blockEnd[i-1]
	}
	return t.blocks[from:t.blockEnd[i]:t.blockEnd[i]]
}

// Len is the number of rows.
func (t *Trace) Len() int { return len(t.At) }

// Span is the time from the first row to the last.
func (t *Trace) Span() time.Duration {
	if len(t.At) == 0 {
		return 0
	}
	return t.At[len(t.At)-1] - t.At[0]
}

// meanGap is the span over the number of gaps, rounded; the seam of a rotation
// and the restart of a loop take it.
func (t *Trace) meanGap() time.Duration {
	n := len(t.At)
	if n < 2 {
		return 0
	}
	return (t.Span() + time.Duration(n-1)/2) / time.Duration(n-1)
}
