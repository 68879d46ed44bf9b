package telemetry

import (
	"encoding/csv"
	"io"
	"math"
	"strconv"
	"time"
)

// Row is one reading on the timeline: of a GPU, of the client or of a backend. Exactly
// one of the three is set.
type Row struct {
	At      time.Duration // of the run's clock, when the reading was begun
	Source  string        // such as client, nvml, dcgm http://gpu-host:9400/metrics, or a backend's name
	GPU     *GPU
	Self    *Self
	Backend *Backend
}

// columns of the CSV form; an empty cell is an unknown or foreign figure.
var columns = []string{"t_s", "source", "gpu", "uuid", "util", "sm_active", "mem_mib", "power_w", "energy_j", "sm_clock_mhz", "temp_c",
	"reasons", "throttled", "mig", "cpu_cores", "goroutines", "gcs", "gc_pause_ms", "heap_mib", "lag_ms", "steal", "other",
	"running", "waiting", "kv"}

const (
	gpuColumn     = 2
	selfColumn    = 14
	backendColumn = 22
)

// WriteCSV writes rows with a header. Shares are 0…1, reasons the mask of Throttled.
func WriteCSV(w io.Writer, rows []Row) error {
	out := csv.NewWriter(w)
	if err := out.Write(columns); err != nil {
		return err
	}
	cells := make([]string, len(columns))
	for i := range rows {
		r := &rows[i]
		clear(cells)
		cells[0], cells[1] = strconv.FormatFloat(r.At.Seconds(), 'f', 3, 64), r.Source
		switch {
		case r.GPU != nil:
			copy(cells[gpuColumn:], r.GPU.cells())
		case r.Self != nil:
			copy(cells[selfColumn:], r.Self.cells())
		case r.Backend != nil:
			b := r.Backend
			copy(cells[backendColumn:], []string{cell(b.Running), cell(b.Waiting), cell(b.KV)})
		}
		if err := out.Write(cells); err != nil {
			return err
		}
	}
	out.Flush()
	return out.Error()
}

func (g *GPU) cells() []string {
	reasons, throttled := "", ""
	if g.ReasonsKnown {
		reasons, throttled = strconv.FormatUint(g.Reasons, 10), strconv.FormatBool(g.Throttled())
	}
	return []string{g.label(), g.UUID, cell(g.Utilisation), cell(g.SMActive), cell(g.MemoryUsedMiB), cell(g.PowerW), cell(g.EnergyJ),
		cell(g.SMClockMHz), cell(g.TemperatureC), reasons, throttled, strconv.FormatBool(g.MIG)}
}

// label is the GPU's number on its host, with that of the instance: 3 or 3/1.
func (g *GPU) label() string {
	s := ""
	if g.Index >= 0 {
		s = strconv.Itoa(g.Index)
	}
	if g.Instance != "" {
		s += "/" + g.Instance
	}
	return s
}

func (s *Self) cells() []string {
	lag := ""
	if s.LagKnown {
		lag = millis(s.Lag)
	}
	return []string{cell(s.CPUCores), strconv.Itoa(s.Goroutines), strconv.Itoa(s.GCs), millis(s.GCPause), cell(s.HeapMiB), lag,
		cell(s.Steal), cell(s.Other)}
}

// cell writes a figure with at most four decimals; an unknown one is empty.
func cell(v float64) string {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return ""
	}
	return strconv.FormatFloat(math.Round(v*1e4)/1e4, 'f', -1, 64)
}

func millis(d time.Duration) string { return cell(float64(d) / float64(time.Millisecond)) }
