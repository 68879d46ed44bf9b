package realrun

import (
	"time"

	"taillab/workloads"
)

// chunk is how many rows of the schedule are pulled at a time.
const chunk = 1024

// arrivals is what the pacer has to send.
type arrivals struct {
	src  workloads.Source
	buf  []workloads.Request
	i, n int
	hash workloads.Hasher
}

func (a *arrivals) next() *workloads.Request {
	if a.i == a.n {
		a.i, a.n = 0, a.src.Next(a.buf)
		if a.n == 0 {
			return nil
		}
	}
	a.i++
	return &a.buf[a.i-1]
}

// back gives the last row back: it belongs to what comes later.
func (a *arrivals) back() { a.i-- }

// count adds the last row to the workload hash.
func (a *arrivals) count() { a.hash.Add(a.buf[a.i-1 : a.i]) }

// sum is the workload hash so far, and begins another one.
func (a *arrivals) sum() string {
	s := a.hash.Sum()
	a.hash = workloads.Hasher{}
	return s
}

// window tells which rows of the schedule a collector measures, and which come after.
type window struct {
	measured func(*workloads.Request) bool
	past     func(*workloads.Request) bool
	share    func(*workloads.Request) float64
}

func between(start, end time.Duration) func(*workloads.Request) bool {
	return func(r *workloads.Request) bool { return r.At >= start && r.At < end }
}
