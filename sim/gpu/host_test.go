package gpu

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies"
)

// host is the smallest one there can be: one replica, virtual time, and the
// kernel's order at equal instants.
type host struct {
	pool *Pool
	r    uint32
	due  Due
	now  time.Duration
	ev   Events
	in   map[uint32]bool
	got  map[uint32]Event // final events
	log  []Event          // all events, where keep is set
	keep bool
	tell func(Event) // called for each final event
}

func newHost(t testing.TB, s Spec) *host {
	t.Helper()
	p := NewPool(1, 16)
	return &host{
		pool: p, r: p.Add(model(t, s), 1, *rand.NewPCG(1, 2)), due: Due{At: Never},
		in: map[uint32]bool{}, got: map[uint32]Event{},
	}
}

func model(t testing.TB, s Spec) *Model {
	t.Helper()
	m, problems := New(s)
	require.Empty(t, problems)
	return m
}

// arrival is an item with its instant.
type arrival struct {
	at time.Duration
	Item
}

// until delivers everything due before at, and at too what comes before arrivals.
func (h *host) until(at time.Duration) {
	for h.due.At < at || h.due.At == at && !h.due.Timer {
		h.step()
		if h.due.At == Never {
			return
		}
	}
}

func (h *host) step() {
	h.now = h.due.At
	if h.due.Timer {
		h.due = h.pool.Expire(h.now, h.r, &h.ev)
	} else {
		h.due = h.pool.Settle(h.now, h.r, &h.ev)
	}
	h.drain()
}

func (h *host) accept(at time.Duration, it Item) {
	h.until(at)
	h.now = at
	h.in[it.ID] = true
	h.due = h.pool.Accept(at, h.r, &it, &h.ev)
	h.drain()
}

// finish runs until nothing is due.
func (h *host) finish() {
	for h.due.At != Never {
		h.step()
	}
}

func (h *host) drain() {
	for _, e := range h.ev.List {
		if h.keep {
			h.log = append(h.log, e)
		}
		if e.Kind == Finished || e.Kind == Rejected {
			if !h.in[e.ID] {
				panic(fmt.Sprintf("request %d ended twice", e.ID))
			}
			delete(h.in, e.ID)
			h.got[e.ID] = e
			if h.tell != nil {
				h.tell(e)
			}
		}
	}
	h.ev.List = h.ev.List[:0]
}

func (h *host) play(as []arrival) {
	for _, a := range as {
		h.accept(a.at, a.Item)
	}
	h.finish()
}

const ms = time.Millisecond

// at builds arrivals at the given milliseconds, numbered from 0.
func at(it Item, millis ...float64) []arrival {
	var as []arrival
	for i, m := range millis {
		it.ID = uint32(i)
		as = append(as, arrival{time.Duration(m * 1e6), it})
	}
	return as
}

// ends lists the ends of requests 0 … n−1 in milliseconds.
func (h *host) ends(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = millis(h.got[uint32(i)].At)
	}
	return out
}

func (h *host) firsts(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = millis(h.got[uint32(i)].First)
	}
	return out
}

func millis(d time.Duration) float64 { return float64(d) / 1e6 }

func affine(a, b time.Duration, maxBatch int, delay time.Duration) Spec {
	s := Defaults(Affine)
	s.A, s.B, s.MaxBatch, s.MaxDelay = Of(a), Of(b), maxBatch, delay
	return s
}

func requireOutcome(t *testing.T, h *host, id uint32, why policies.Outcome) {
	t.Helper()
	e, ok := h.got[id]
	require.True(t, ok, "request %d has not ended", id)
	require.Equal(t, Rejected, e.Kind)
	require.Equal(t, why, e.Outcome)
}
