package balance

import (
	"slices"
	"time"

	"taillab/policies"
)

// idleQueue is a dispatcher's queue of replicas that said they are idle: a doubly
// linked list of entries from a pool, found by ID, so that a withdrawal costs O(1)
// and nothing is allocated in steady state. An idle replica stands in few queues, so
// an entry per ID would be mostly empty: only its place in the pool is.
type idleQueue struct {
	place      []uint32 // by ID: entry+1; 0 = not listed
	items      []idleItem
	free       uint32 // entry+1 of the free list, linked by next; 0 = none
	head, tail uint32 // entry+1; 0 = empty
	n          int
}

type idleItem struct {
	at         time.Duration
	id, inc    uint32
	prev, next uint32 // entry+1; 0 = none
}

// room makes the columns of a queue of n replicas at one of m dispatchers; half as
// many again as its share may stand in it before the pool grows.
func (q *idleQueue) room(n, m int) {
	if len(q.place) < n {
		q.place = extend(q.place, n)
		q.items = slices.Grow(q.items, min(n, n/max(m, 1)*3/2+16))
	}
}

// insert appends a replica, or refreshes its age and keeps its place.
func (q *idleQueue) insert(env *Env, r policies.Ref) {
	q.room(env.Fleet.span(), env.Dispatchers)
	if at := q.place[r.ID]; at != 0 && q.items[at-1].inc == r.Inc {
		q.items[at-1].at = env.Now
		return
	}
	q.remove(r.ID) // an earlier life
	at := q.free
	if at != 0 {
		q.free = q.items[at-1].next
	} else {
		q.items = append(q.items, idleItem{})
		at = uint32(len(q.items))
	}
	q.items[at-1] = idleItem{at: env.Now, id: r.ID, inc: r.Inc, prev: q.tail}
	if q.tail == 0 {
		q.head = at
	} else {
		q.items[q.tail-1].next = at
	}
	q.tail, q.place[r.ID] = at, at
	q.n++
}

// remove takes a replica out; it tells whether it was listed.
func (q *idleQueue) remove(id uint32) bool {
	if int(id) >= len(q.place) || q.place[id] == 0 {
		return false
	}
	at := q.place[id]
	it := &q.items[at-1]
	if it.prev == 0 {
		q.head = it.next
	} else {
		q.items[it.prev-1].next = it.next
	}
	if it.next == 0 {
		q.tail = it.prev
	} else {
		q.items[it.next-1].prev = it.prev
	}
	q.place[id] = 0
	it.next, q.free = q.free, at
	q.n--
	return true
}

// pop takes the oldest entry, or with lifo the newest; false when there is none.
func (q *idleQueue) pop(lifo bool) (r policies.Ref, at time.Duration, ok bool) {
	first := q.head
	if lifo {
		first = q.tail
	}
	if first == 0 {
		return policies.Ref{}, 0, false
	}
	it := &q.items[first-1]
	r = policies.Ref{ID: it.id, Inc: it.inc}
	q.remove(r.ID)
	return r, it.at, true
}

// forget takes a replica out unless it is listed in a later life than inc.
func (q *idleQueue) forget(id, inc uint32) {
	if int(id) < len(q.place) && q.place[id] != 0 && q.items[q.place[id]-1].inc <= inc {
		q.remove(id)
	}
}
