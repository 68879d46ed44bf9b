package sim

import (
	"math"
	"math/bits"
)

// agenda holds the pending events. Those of the near future stand in a heap, all
// others in the buckets of a calendar (Brown 1988), unordered; what lies beyond the
// calendar's horizon waits in a list. A bucket is opened, its events moved to the
// heap, when the heap is empty: so the heap holds few events, and filing and taking
// one costs the same whatever their number.
//
// The order of events is the heap's alone; width and number of the buckets decide
// about speed only.
type agenda struct {
	near heap
	n    int // events, wherever they are

	cursor int64    // number of the last open bucket; events of the open ones are near
	shift  uint     // a bucket is 2^shift ns wide
	mask   int64    // number of buckets − 1
	heads  []uint32 // first node of a bucket, +1
	used   []uint64 // bit set of the buckets that hold something
	nodes  []event
	next   []uint32 // by node: the next of its bucket, or the next free one; +1
	free   uint32   // +1
	far    int      // events in buckets

	over      []event // beyond the horizon
	overFirst int64   // no event of over is earlier

	opened int // buckets since the width was looked at
	direct int // events filed near since then
	taken  int // events that came out of buckets since then
}

const (
	minBuckets = 64
	// tuneEvery is how many buckets are opened and events handled, or events filed
	// near, between two looks at the width.
	tuneEvery = 1 << 16
	// firstShift makes buckets of 65 µs where nothing is known of the events.
	firstShift = 16
	// heapOnly, as the cursor, leaves every bucket open: all events are near.
	heapOnly = math.MaxInt64
)

// init sizes an agenda for so many pending events, and its buckets for events that
// are gap apart on average; both are hints.
func (a *agenda) init(pending int, gap Time) {
	*a = agenda{shift: firstShift, overFirst: math.MaxInt64}
	if gap > 0 {
		a.shift = widthOf(2 * gap)
	}
	a.near.init()
	a.nodes, a.next = make([]event, 0, pending), make([]uint32, 0, pending)
	a.resize(bucketsFor(pending))
}

// widthOf is the smallest k with 2^k ≥ t, up to 2^60.
func widthOf(t Time) uint {
	k := uint(0)
	for k < 60 && 1<<k < int64(t) {
		k++
	}
	return k
}

// bucketsFor is the number of buckets for so many events: a power of two.
func bucketsFor(events int) int {
	n := minBuckets
	for n < 4*events && n < 1<<30 {
		n *= 2
	}
	return n
}

func (a *agenda) resize(buckets int) {
	a.heads, a.used, a.mask = make([]uint32, buckets), make([]uint64, buckets/64), int64(buckets-1)
}

// clear empties the agenda and keeps its memory.
func (a *agenda) clear() {
	if a.far > 0 {
		clear(a.heads)
		clear(a.used)
	}
	if a.cursor != heapOnly {
		a.cursor = 0
	}
	a.n, a.near.n, a.far, a.opened, a.direct, a.taken = 0, 0, 0, 0, 0, 0
	a.nodes, a.next, a.free = a.nodes[:0], a.next[:0], 0
	a.over, a.overFirst = a.over[:0], math.MaxInt64
}

// push files an event.
func (a *agenda) push(ev event) {
	a.n++
	if b := ev.at >> a.shift; b > a.cursor {
		a.file(b, ev)
		if 4*a.far > len(a.heads) && len(a.heads) < 1<<30 {
			a.rebuild(a.shift, 2*len(a.heads))
		}
		return
	}
	a.near.push(ev)
	if a.direct++; a.direct >= tuneEvery {
		a.tune()
	}
}

// pop takes the first near event, which is the first of all.
func (a *agenda) pop() event {
	a.n--
	return a.near.pop()
}

// file puts an event into bucket b, which is not open, or into the overflow.
func (a *agenda) file(b int64, ev event) {
	if b-a.cursor > a.mask {
		a.over = append(a.over, ev)
		a.overFirst = min(a.overFirst, ev.at)
		return
	}
	i := a.free
	if i != 0 {
		a.free = a.next[i-1]
	} else {
		a.nodes, a.next = append(a.nodes, event{}), append(a.next, 0)
		i = uint32(len(a.nodes))
	}
	a.nodes[i-1] = ev
	a.link(i, b&a.mask)
}

// link puts node i into the bucket at place k.
func (a *agenda) link(i uint32, k int64) {
	a.used[k>>6] |= 1 << (k & 63)
	a.next[i-1], a.heads[k] = a.heads[k], i
	a.far++
}

// open makes the next events near; the heap must be empty. It opens no bucket that
// starts after limit: were the cursor to pass the next arrival, all that this
// arrival files would land in the heap. It returns false when nothing is near then,
// and every bucket up to limit is open.
func (a *agenda) open(limit Time) bool {
	last := int64(limit) >> a.shift
	for a.cursor < last && a.n > 0 {
		if a.far == 0 { // nothing before the overflow
			first := a.overFirst >> a.shift
			if first > last {
				break
			}
			a.opened += int(min(first-1-a.cursor, tuneEvery)) // a wider bucket would have reached so far
			a.cursor = max(a.cursor, first-1)
			a.refile()
			continue
		}
		b := a.nextUsed()
		if a.overFirst>>a.shift <= b { // it has come within the horizon
			a.refile()
			continue
		}
		if b > last {
			break
		}
		a.opened += int(b - a.cursor)
		a.cursor = b
		a.take(b & a.mask)
		if a.opened+a.taken >= tuneEvery {
			a.tune()
		}
		return true
	}
	if limit != Never {
		a.cursor = max(a.cursor, last)
	}
	return a.near.n > 0
}

// bound is an instant that no event comes before; the heap must be empty.
func (a *agenda) bound() Time {
	first := int64(math.MaxInt64)
	if a.far > 0 {
		first = a.nextUsed() << a.shift
	}
	return Time(min(first, a.overFirst))
}

// nextUsed is the number of the first bucket after the cursor that holds something;
// there must be one. It finds it by the bit set, because a branch for every bucket
// would be mispredicted at every other one.
func (a *agenda) nextUsed() int64 {
	b := a.cursor + 1
	k := b & a.mask
	if rest := a.used[k>>6] >> (k & 63); rest != 0 {
		return b + int64(bits.TrailingZeros64(rest))
	}
	for word := k>>6 + 1; ; word++ {
		if x := a.used[word&(a.mask>>6)]; x != 0 {
			at := word<<6 + int64(bits.TrailingZeros64(x)) // beyond the mask where it has gone round
			return b + at - k
		}
	}
}

// take moves the events of the bucket at place k to the heap.
func (a *agenda) take(k int64) {
	i := a.heads[k]
	a.heads[k] = 0
	a.used[k>>6] &^= 1 << (k & 63)
	for i != 0 {
		a.near.push(a.nodes[i-1])
		a.far--
		a.taken++
		i, a.next[i-1], a.free = a.next[i-1], a.free, i
	}
}

// refile takes out of the overflow what lies within the horizon.
func (a *agenda) refile() {
	over := a.over
	a.over, a.overFirst = over[:0], math.MaxInt64
	for _, ev := range over { // file appends behind what is read
		if b := ev.at >> a.shift; b > a.cursor {
			a.file(b, ev)
		} else {
			a.near.push(ev)
		}
	}
}

// tune looks at the events per opened bucket. Where they are fewer than 1 or more
// than 4 it makes the buckets wider or narrower, in one step, so that they are 1 or
// 2: the horizon is then several times as far as the events are filed ahead. It also
// takes back buckets that nothing needs.
func (a *agenda) tune() {
	if a.cursor == heapOnly {
		a.direct = 0
		return
	}
	events, opened, shift, buckets := a.direct+a.taken, max(a.opened, 1), a.shift, len(a.heads)
	a.opened, a.direct, a.taken = 0, 0, 0
	switch {
	case events > 4*opened:
		for ; events >= 2*opened && shift > 0; shift-- {
			events /= 2
		}
	case events < opened:
		for events = max(events, 1); events < opened && shift < 60; shift++ {
			events *= 2
		}
	}
	for buckets > minBuckets && buckets > 32*max(a.far, 1) {
		buckets /= 2
	}
	if shift != a.shift || buckets != len(a.heads) {
		a.rebuild(shift, buckets)
	}
}

// rebuild files all events anew. The cursor goes back to the first of them where
// buckets that were too wide have put it far ahead.
func (a *agenda) rebuild(shift uint, buckets int) {
	all := a.unlink()
	cursor := ((a.cursor+1)<<a.shift - 1) >> shift // of the last instant of the open buckets
	if a.near.n > 0 {
		cursor = min(cursor, a.near.root().at>>shift)
		a.over = append(a.over, a.near.h[top:top+a.near.n]...)
	}
	a.near.n, a.shift, a.cursor = 0, shift, cursor
	if buckets == len(a.heads) {
		clear(a.heads)
		clear(a.used)
	} else {
		a.resize(buckets)
	}
	a.refile()
	for all != 0 {
		i := all
		all = a.next[i-1]
		switch b := a.nodes[i-1].at >> shift; {
		case b > cursor && b-cursor <= a.mask:
			a.link(i, b&a.mask)
			continue
		case b > cursor:
			a.over = append(a.over, a.nodes[i-1])
			a.overFirst = min(a.overFirst, a.nodes[i-1].at)
		default:
			a.near.push(a.nodes[i-1])
		}
		a.next[i-1], a.free = a.free, i
	}
}

// unlink takes all nodes out of their buckets, whose heads are invalid then, and
// returns them as one list: copies would double what a large fleet has pending.
func (a *agenda) unlink() (all uint32) {
	for _, first := range a.heads {
		if first == 0 {
			continue
		}
		last := first
		for a.next[last-1] != 0 {
			last = a.next[last-1]
		}
		a.next[last-1], all = all, first
	}
	a.far = 0
	return all
}

// keep drops every event that ok does not want.
func (a *agenda) keep(ok func(event) bool) {
	a.near.keep(ok)
	for b := range a.heads {
		for p := &a.heads[b]; *p != 0; {
			i := *p
			if ok(a.nodes[i-1]) {
				p = &a.next[i-1]
				continue
			}
			*p, a.next[i-1], a.free = a.next[i-1], a.free, i
			a.far--
		}
		if a.heads[b] == 0 {
			a.used[b>>6] &^= 1 << (b & 63)
		}
	}
	live := a.over[:0]
	for _, ev := range a.over {
		if ok(ev) {
			live = append(live, ev)
		}
	}
	a.over = live
	a.n = a.near.n + a.far + len(a.over)
}
