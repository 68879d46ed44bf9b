package app

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"taillab/reports"
)

// timelineHeader is the first line of a timeline file; scalingHeader follows in it where
// a fleet changes its size.
const (
	timelineHeader = "t_s,service,queue_depth,in_flight,replicas,held"
	scalingHeader  = ",desired,created,arrived,p99_ms"
)

// timelineCSV writes the timeline of one run: one row per second and service.
func timelineCSV(rows []reports.TimelineRow, services []string) []byte {
	b := []byte(timelineHeader)
	scaling := slices.ContainsFunc(rows, func(r reports.TimelineRow) bool { return r.Created > 0 || r.Desired > 0 })
	if scaling {
		b = append(b, scalingHeader...)
	}
	b = append(b, '\n')
	for _, r := range rows {
		b = strconv.AppendFloat(b, r.At.Seconds(), 'g', -1, 64)
		b = append(b, ',')
		name := ""
		if r.Service < len(services) {
			name = services[r.Service]
		}
		b = append(b, csvField(name)...)
		for _, n := range []int{r.Queued, r.InFlight, r.Replicas, r.Held} {
			if b = append(b, ','); n >= 0 { // below 0: unknown
				b = strconv.AppendInt(b, int64(n), 10)
			}
		}
		if scaling {
			b = fmt.Appendf(b, ",%d,%d,%d,", r.Desired, r.Created, r.Arrived)
			b = strconv.AppendFloat(b, float64(r.P99)/1e6, 'g', -1, 64)
		}
		b = append(b, '\n')
	}
	return b
}

func csvField(s string) string {
	if strings.ContainsAny(s, ",\"\r\n") {
		return `"` + strings.ReplaceAll(s, `"`, `""`) + `"`
	}
	return s
}

// readTimeline reads timelineCSV back; services are numbered as they appear.
func readTimeline(r io.Reader) (rows []reports.TimelineRow, services []string, err error) {
	in := csv.NewReader(r)
	in.ReuseRecord = true
	head, err := in.Read()
	first := strings.Join(head, ",")
	scaling := first == timelineHeader+scalingHeader
	if err != nil || !scaling && first != timelineHeader {
		return nil, nil, fmt.Errorf("its first line is not %s", timelineHeader)
	}
	index := map[string]int{}
	for {
		f, err := in.Read()
		if errors.Is(err, io.EOF) {
			return rows, services, nil
		}
		if err != nil {
			return rows, services, err
		}
		t, err := strconv.ParseFloat(f[0], 64)
		if err != nil || !(t >= 0 && t < 1e9) {
			return rows, services, fmt.Errorf("row %d: %q is no time", len(rows)+2, f[0])
		}
		i, ok := index[f[1]]
		if !ok {
			i = len(services)
			name := strings.Clone(f[1])
			index[name] = i
			services = append(services, name)
		}
		row := reports.TimelineRow{At: time.Duration(t * float64(time.Second)), Service: i}
		for k, dst := range []*int{&row.Queued, &row.InFlight, &row.Replicas, &row.Held} {
			if *dst = -1; f[2+k] == "" {
				continue
			}
			if *dst, err = strconv.Atoi(f[2+k]); err != nil {
				return rows, services, fmt.Errorf("row %d: %q is no count", len(rows)+2, f[2+k])
			}
		}
		if scaling {
			if err := readScaling(f[6:], &row); err != nil {
				return rows, services, fmt.Errorf("row %d: %w", len(rows)+2, err)
			}
		}
		rows = append(rows, row)
	}
}

// readScaling reads the columns of scalingHeader.
func readScaling(f []string, row *reports.TimelineRow) (err error) {
	for k, dst := range []*int{&row.Desired, &row.Created, &row.Arrived} {
		if *dst, err = strconv.Atoi(f[k]); err != nil {
			return fmt.Errorf("%q is no count", f[k])
		}
	}
	p99, err := strconv.ParseFloat(f[3], 64)
	if err != nil || !(p99 >= 0 && p99 < 1e12) {
		return fmt.Errorf("%q is no latency", f[3])
	}
	row.P99 = time.Duration(math.Round(p99 * 1e6))
	return nil
}
