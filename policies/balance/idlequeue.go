package balance

import (
	"time"

	"taillab/policies"
)

// idleQueue is a dispatcher's queue of replicas that said they are idle: a doubly
// linked list through columns by ID, so that a withdrawal costs O(1) and nothing
// is allocated once every ID has been seen.
type idleQueue struct {
	items      []idleItem // by ID
	head, tail uint32     // ID+1; 0 = empty
	n          int
}

type idleItem struct {
	inc        uint32
	prev, next uint32 // ID+1; 0 = none
	at         time.Duration
	listed     bool
}

// insert appends a replica, or refreshes its age and keeps its place.
func (q *idleQueue) insert(r policies.Ref, now time.Duration) {
	if int(r.ID) >= len(q.items) {
		q.items = extend(q.items, max(int(r.ID)+1, 2*len(q.items)))
	}
	it := &q.items[r.ID]
	if it.listed && it.inc == r.Inc {
		it.at = now
		return
	}
	q.remove(r.ID) // an earlier life
	*it = idleItem{inc: r.Inc, at: now, listed: true, prev: q.tail}
	if q.tail == 0 {
		q.head = r.ID + 1
	} else {
		q.items[q.tail-1].next = r.ID + 1
	}
	q.tail = r.ID + 1
	q.n++
}

// remove takes a replica out; it tells whether it was listed.
func (q *idleQueue) remove(id uint32) bool {
	if int(id) >= len(q.items) || !q.items[id].listed {
		return false
	}
	it := &q.items[id]
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
	it.listed = false
	q.n--
	return true
}

// pop takes the oldest entry, or with lifo the newest; false when there is none.
func (q *idleQueue) pop(lifo bool) (r policies.Ref, at time.Duration, ok bool) {
	at1 := q.head
	if lifo {
		at1 = q.tail
	}
	if at1 == 0 {
		return policies.Ref{}, 0, false
	}
	it := &q.items[at1-1]
	r = policies.Ref{ID: at1 - 1, Inc: it.inc}
	q.remove(r.ID)
	return r, it.at, true
}

// forget takes a replica out unless it is listed in a later life than inc.
func (q *idleQueue) forget(id, inc uint32) {
	if int(id) < len(q.items) && q.items[id].inc <= inc {
		q.remove(id)
	}
}
