package sim

import "math/bits"

// event is 24 B without pointers; the class bits stand above the sequence, so one
// comparison of keys orders both.
type event struct {
	at  int64
	key uint64
	arg uint64
}

// less is 1 when a comes before b, else 0: the borrow of a 128-bit subtraction, so
// that the choice among siblings needs no branch (half of them would be mispredicted).
func (a *event) less(b *event) int {
	_, c := bits.Sub64(a.key, b.key, 0)
	_, c = bits.Sub64(uint64(a.at), uint64(b.at), c)
	return int(c)
}

func (a *event) before(b *event) bool { return a.less(b) != 0 }

// agenda is a 4-ary value heap. The root stands at index 3 and the children of i
// at 4i−8 … 4i−5, so that sibling groups are aligned.
type agenda struct {
	h []event
	n int
}

const top = 3

func (a *agenda) init(hint int) { a.h = make([]event, max(64, hint+8)) }

func (a *agenda) root() *event { return &a.h[top] }

func (a *agenda) push(ev event) {
	i := top + a.n
	if i+4 >= len(a.h) {
		a.h = append(a.h, make([]event, len(a.h))...)
	}
	a.n++
	for i > top {
		p := i>>2 + 2
		if !ev.before(&a.h[p]) {
			break
		}
		a.h[i] = a.h[p]
		i = p
	}
	a.h[i] = ev
}

func (a *agenda) pop() event {
	r := a.h[top]
	a.n--
	if a.n > 0 {
		a.sift(a.h[top+a.n])
	}
	return r
}

// sift files ev from the root down.
func (a *agenda) sift(ev event) {
	h, i, end := a.h, top, top+a.n
	for {
		c := 4*i - 8
		if c+3 < end {
			g := (*[4]event)(h[c : c+4])
			x, y := g[1].less(&g[0]), 2+g[3].less(&g[2])
			x ^= (x ^ y) & -g[y].less(&g[x])
			if !g[x].before(&ev) {
				break
			}
			h[i] = g[x]
			i = c + x
			continue
		}
		if c >= end {
			break
		}
		m := c
		for k := c + 1; k < end; k++ {
			if h[k].before(&h[m]) {
				m = k
			}
		}
		if !h[m].before(&ev) {
			break
		}
		h[i] = h[m]
		i = m
	}
	h[i] = ev
}

// soon is the messages filed for the present instant: they are in order already, so
// a ring serves them without the heap. Most networks without delay live here.
type soon struct {
	ring []event // length is a power of two
	head int
	n    int
}

func (q *soon) first() *event { return &q.ring[q.head] }

func (q *soon) push(ev event) {
	if q.n == len(q.ring) {
		grown := make([]event, max(16, 2*q.n))
		for i := range q.n {
			grown[i] = q.ring[(q.head+i)&(len(q.ring)-1)]
		}
		q.ring, q.head = grown, 0
	}
	q.ring[(q.head+q.n)&(len(q.ring)-1)] = ev
	q.n++
}

func (q *soon) pop() event {
	ev := q.ring[q.head]
	q.head = (q.head + 1) & (len(q.ring) - 1)
	q.n--
	return ev
}
