package reports

import (
	"cmp"
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/cespare/xxhash/v2"
)

// tailBin holds the exact step sums of the requests of one latency bin.
type tailBin struct{ n, queue, service, held, quota, network, batch int64 }

func (b *tailBin) add(s *Steps) {
	b.n++
	b.queue += int64(s.Queue)
	b.service += int64(s.Service)
	if s.Held|s.Quota|s.Network|s.Batch != 0 {
		b.held += int64(s.Held)
		b.quota += int64(s.Quota)
		b.network += int64(s.Network)
		b.batch += int64(s.Batch)
	}
}

func (b *tailBin) merge(o *tailBin) {
	b.n += o.n
	b.held += o.held
	b.quota += o.quota
	b.network += o.network
	b.queue += o.queue
	b.batch += o.batch
	b.service += o.service
}

// packedTail is the non-empty bins of a closed run.
type packedTail struct {
	cells []int32
	bins  []tailBin
}

func packTail(bins []tailBin) packedTail {
	var p packedTail
	for i := range bins {
		if bins[i].n > 0 {
			p.cells, p.bins = append(p.cells, int32(i)), append(p.bins, bins[i])
		}
	}
	return p
}

// tailFrom averages the steps of all requests in bins from the one holding ns
// upwards; nil when there is none.
func tailFrom(runs []packedTail, ns float64, opaque bool) *Tail {
	from := int32(indexOf(min(max(int64(ns), 0), HistMax), tailBits))
	var sum tailBin
	for _, run := range runs {
		for i, cell := range run.cells {
			if cell >= from {
				sum.merge(&run.bins[i])
			}
		}
	}
	if sum.n == 0 {
		return nil
	}
	mean := func(total int64) *float64 { return finite(float64(total) / float64(sum.n) / 1e6) }
	t := &Tail{
		HeldMS: mean(sum.held), QuotaMS: mean(sum.quota), NetworkMS: mean(sum.network),
		QueueMS: mean(sum.queue), BatchMS: mean(sum.batch), ServiceMS: mean(sum.service),
	}
	if opaque {
		t.NetworkMS, t.QueueMS, t.BatchMS = nil, nil, nil
	}
	return t
}

const slowKept = 10

// slowHeap keeps the 10 slowest completed requests; its root is the fastest of
// them. Ties keep the lower request number, so the set has one definition.
type slowHeap struct {
	n     int
	r     [slowKept]Record
	least int64 // latency that a further one needs
}

// slower orders by latency, then by number.
func slower(a, b *Record) bool {
	return a.Latency > b.Latency || a.Latency == b.Latency && a.Request < b.Request
}

func (h *slowHeap) offer(r Record) {
	switch {
	case h.n < slowKept:
		h.r[h.n] = r
		if h.n++; h.n < slowKept {
			return
		}
		for i := slowKept/2 - 1; i >= 0; i-- {
			h.sink(i)
		}
	case slower(&r, &h.r[0]):
		h.r[0] = r
		h.sink(0)
	}
	h.least = int64(h.r[0].Latency)
}

func (h *slowHeap) sink(i int) {
	for {
		c := 2*i + 1
		if c >= slowKept {
			return
		}
		if c+1 < slowKept && slower(&h.r[c], &h.r[c+1]) {
			c++
		}
		if !slower(&h.r[i], &h.r[c]) {
			return
		}
		h.r[i], h.r[c] = h.r[c], h.r[i]
		i = c
	}
}

// sorted returns the kept records, slowest first.
func (h *slowHeap) sorted() []Record {
	out := slices.Clone(h.r[:h.n])
	slices.SortFunc(out, func(a, b Record) int {
		return cmp.Or(cmp.Compare(b.Latency, a.Latency), cmp.Compare(a.Request, b.Request))
	})
	return out
}

// recordHash is a running digest of (service, request, latency, outcome) in the
// order of completion. A record is two words; each word is one round of its own
// XXH64 accumulator, and both are merged and finished as in XXH64 (its public
// specification), so no byte buffer is filled on the hot path.
type recordHash struct{ a, b, n uint64 }

const (
	prime1 = 0x9E3779B185EBCA87
	prime2 = 0xC2B2AE3D27D4EB4F
	prime3 = 0x165667B19E3779F9
	prime4 = 0x85EBCA77C2B2AE63
)

func newRecordHash() recordHash {
	a := uint64(prime1)
	return recordHash{a: a + prime2, b: prime2}
}

func hashRound(acc, word uint64) uint64 {
	return bits.RotateLeft64(acc+word*prime2, 31) * prime1
}

// add feeds rows. Request numbers stay below 2^48 and latencies below 2^56 ns (2
// years), so the two words hold the four fields apart.
func (h *recordHash) add(w *rows) {
	a, b := h.a, h.b
	for i := range w.n {
		var outcome uint64
		if !w.plain {
			outcome = uint64(w.outcome[i])
		}
		a = hashRound(a, w.request[i]^uint64(w.service[i])<<48)
		b = hashRound(b, uint64(w.latency[i])^outcome<<56)
	}
	h.a, h.b = a, b
	h.n += uint64(w.n)
}

func (h *recordHash) sum() uint64 {
	x := bits.RotateLeft64(h.a, 1) + bits.RotateLeft64(h.b, 7)
	x = (x^hashRound(0, h.a))*prime1 + prime4
	x = (x^hashRound(0, h.b))*prime1 + prime4
	x += h.n * 16
	x = (x ^ x>>33) * prime2
	x = (x ^ x>>29) * prime3
	return x ^ x>>32
}

// combineHashes digests hashes in order; one stays as it is.
func combineHashes(parts []string) string {
	if len(parts) == 1 {
		return parts[0]
	}
	d := xxhash.New()
	for _, p := range parts {
		if p == "" {
			return ""
		}
		var size [8]byte
		binary.LittleEndian.PutUint64(size[:], uint64(len(p)))
		_, _ = d.Write(size[:]) // never fails
		_, _ = d.WriteString(p)
	}
	return hex64(d.Sum64())
}

func hex64(x uint64) string {
	const digits = "0123456789abcdef"
	var out [16]byte
	for i := range out {
		out[i] = digits[x>>(60-4*i)&15]
	}
	return string(out[:])
}

const paceCells = 512

// pace counts arrivals and ends of measured requests on a time grid whose end
// need not be known: when a time falls beyond it, neighbours are merged and the
// step doubles. It feeds the instability test on the second half of the run.
type pace struct {
	shift   uint
	arrived [paceCells]int64
	ended   [paceCells]int64
	last    time.Duration // last arrival
	first   time.Duration // first arrival
}

func newPace() pace { return pace{shift: 16, last: -1, first: math.MaxInt64} } // cells of 66 µs to begin with

// add counts rows; those of the unfinished outcome have no end.
func (p *pace) add(w *rows, unfinished int) {
	first, last, latest := p.first, p.last, time.Duration(0)
	for i := range w.n {
		at := w.arrived[i]
		first, last, latest = min(first, at), max(last, at), max(latest, at+time.Duration(w.latency[i]))
	}
	p.first, p.last = first, last
	p.cell(max(latest, last)) // makes room
	shift := p.shift & 63
	var arrived, ended run
	for i := range w.n {
		at := w.arrived[i]
		arrived.add(&p.arrived, uint64(max(at, 0))>>shift)
		if w.plain || int(w.outcome[i]) != unfinished {
			ended.add(&p.ended, uint64(max(at+time.Duration(w.latency[i]), 0))>>shift)
		}
	}
	p.arrived[arrived.cell] += arrived.n
	p.ended[ended.cell] += ended.n
}

// run counts what follows each other in one cell.
type run struct {
	cell uint64
	n    int64
}

func (r *run) add(cells *[paceCells]int64, cell uint64) {
	if cell != r.cell {
		cells[r.cell] += r.n
		r.cell, r.n = cell, 0
	}
	r.n++
}

func (p *pace) cell(t time.Duration) int {
	i := uint64(max(t, 0)) >> p.shift
	for i >= paceCells {
		p.fold()
		i = uint64(max(t, 0)) >> p.shift
	}
	return int(i)
}

func (p *pace) fold() {
	for i := range paceCells / 2 {
		p.arrived[i] = p.arrived[2*i] + p.arrived[2*i+1]
		p.ended[i] = p.ended[2*i] + p.ended[2*i+1]
	}
	clear(p.arrived[paceCells/2:])
	clear(p.ended[paceCells/2:])
	p.shift++
}

// secondHalf returns arrivals and ends between the middle of the arrivals and
// the last one, to within one cell.
func (p *pace) secondHalf() (arrivals, ends int64) {
	if p.last < 0 {
		return 0, 0
	}
	mid := p.first + (p.last-p.first)/2
	from, to := p.cell(mid), p.cell(p.last)
	for i := from; i <= to; i++ {
		arrivals += p.arrived[i]
		ends += p.ended[i]
	}
	return arrivals, ends
}
