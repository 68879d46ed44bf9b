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
	buf    [rowBytes * hashRows]byte
}

// Bytes of a request in the hash, and requests hashed at a time: they stay in the
// first cache.
const (
	rowBytes = 40
	hashRows = 64
)

// Add takes the next requests of the schedule.
func (h *Hasher) Add(rs []Request) {
	if !h.ready {
		h.digest.Reset()
		h.ready = true
	}
	for len(rs) > 0 {
		n := min(hashRows, len(rs))
		for i := range rs[:n] {
			r := &rs[i]
			b := (*[rowBytes]byte)(h.buf[rowBytes*i:])
			binary.LittleEndian.PutUint64(b[0:], uint64(r.At))
			binary.LittleEndian.PutUint64(b[8:], uint64(r.Input)<<32|uint64(r.Output))
			binary.LittleEndian.PutUint64(b[16:], uint64(r.Demand))
			binary.LittleEndian.PutUint64(b[24:], uint64(r.Tenant)<<32|uint64(r.FrontEnd))
			binary.LittleEndian.PutUint64(b[32:], uint64(r.Service))
		}
		_, _ = h.digest.Write(h.buf[:rowBytes*n]) // a Digest never fails
		rs = rs[n:]
	}
}

// Sum returns the hash so far as 16 hexadecimal digits.
func (h *Hasher) Sum() string {
	if !h.ready {
		h.digest.Reset()
		h.ready = true
	}
	return fmt.Sprintf("%016x", h.digest.Sum64())
}
