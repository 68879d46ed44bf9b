package gpu

import (
	"math/rand/v2"
	"testing"
	"time"

	"taillab/policies/chance"
)

// One plain request, Accept and Settle, on a replica that is always busy.
func BenchmarkPlain(b *testing.B) {
	benchPlain(b, 1)
}

// The same over a million replicas, which no cache holds: what remains is memory.
func BenchmarkPlainMillion(b *testing.B) {
	benchPlain(b, 1_000_000)
}

func benchPlain(b *testing.B, replicas int) {
	p := NewPool(replicas, 4*replicas)
	p.SkipBegan = true
	m := model(b, Defaults(Service))
	for range replicas {
		p.Add(m, 1, rand.PCG{})
	}
	var ev Events
	it := Item{Demand: 100, Factor: 1}
	due := make([]Due, replicas)
	for r := range replicas {
		p.Accept(0, uint32(r), &it, &ev)
		due[r] = p.Accept(0, uint32(r), &it, &ev)
	}
	dice := rand.NewPCG(1, 2)
	b.ReportAllocs()
	for b.Loop() {
		r := uint32(chance.Below(dice, uint64(replicas)))
		ev.List = ev.List[:0]
		at := due[r].At
		p.Accept(at-1, r, &it, &ev)
		due[r] = p.Settle(at, r, &ev)
	}
}

// Tokens: a full engine of 64 slots.
func BenchmarkTokens(b *testing.B) {
	p := NewPool(1, 128)
	p.SkipBegan = true
	r := p.Add(model(b, h100(64)), 1, rand.PCG{})
	var ev Events
	due := Due{}
	for i := range uint32(64) {
		due = p.Accept(0, r, &Item{ID: i, Input: 512, Output: 100 + i}, &ev)
	}
	b.ReportAllocs()
	for b.Loop() {
		ev.List = ev.List[:0]
		due = p.Settle(due.At, r, &ev)
		for _, e := range ev.List {
			due = p.Accept(e.At, r, &Item{ID: e.ID, Input: 512, Output: 100 + e.ID&63}, &ev)
		}
	}
}

// Batches of 32, formed while the one before runs.
func BenchmarkBatch(b *testing.B) {
	p := NewPool(1, 128)
	p.SkipBegan = true
	r := p.Add(model(b, affine(2*ms, ms, 32, 0)), 1, rand.PCG{})
	var ev Events
	due := p.Accept(0, r, &Item{}, &ev)
	now := time.Duration(0)
	b.ReportAllocs()
	for b.Loop() {
		now += 1200 * time.Microsecond
		for due.At <= now {
			ev.List = ev.List[:0]
			due = p.Settle(due.At, r, &ev)
		}
		due = p.Accept(now, r, &Item{}, &ev)
	}
}
