package workloads

import (
	"encoding/binary"
	"fmt"

	"github.com/cespare/xxhash/v2"
)

// Hasher computes the workload hash of a run as requests are pulled: XXH64 over
// instant, tokens, demand, tenant, front end and service, in order. Two runs
// with the same hash saw the same arrivals and demands.
type Hasher struct {
	digest xxhash.Digest
	ready  bool
	buf    []byte
}

// Add takes the next requests of the schedule.
func (h *Hasher) Add(rs []Request) {
	if !h.ready {
		h.digest.Reset()
		h.ready = true
	}
	h.buf = h.buf[:0]
	for i := range rs {
		r := &rs[i]
		h.buf = binary.LittleEndian.AppendUint64(h.buf, uint64(r.At))
		h.buf = binary.LittleEndian.AppendUint64(h.buf, uint64(r.Input)<<32|uint64(r.Output))
		h.buf = binary.LittleEndian.AppendUint64(h.buf, uint64(r.Demand))
		h.buf = binary.LittleEndian.AppendUint64(h.buf, uint64(r.Tenant)<<32|uint64(r.FrontEnd))
		h.buf = binary.LittleEndian.AppendUint64(h.buf, uint64(r.Service))
	}
	_, _ = h.digest.Write(h.buf) // a Digest never fails
}

// Sum returns the hash so far as 16 hexadecimal digits.
func (h *Hasher) Sum() string {
	if !h.ready {
		h.digest.Reset()
		h.ready = true
	}
	return fmt.Sprintf("%016x", h.digest.Sum64())
}
