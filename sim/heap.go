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

// heap is a 4-ary value heap. The root stands at index 3 and the children of i
// at 4i−8 … 4i−5, so that sibling groups are aligned.
type heap struct {
	h []event
	n int
}

const top = 3

func (a *heap) init() { a.h = make([]event, 64) }

func (a *heap) root() *event { return &a.h[top] }

func (a *heap) push(ev event) {
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

func (a *heap) pop() event {
	r := a.h[top]
	a.n--
	if a.n > 0 {
		a.sift(a.h[top+a.n])
	}
	return r
}

// sift files ev from the root down.
func (a *heap) sift(ev event) {
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

// keep drops every event that ok does not want.
func (a *heap) keep(ok func(event) bool) {
	list := a.h[top : top+a.n]
	live := list[:0]
	for _, ev := range list {
		if ok(ev) {
			live = append(live, ev)
		}
	}
	a.n = 0
	for _, ev := range live { // push writes no further than it has read
		a.push(ev)
	}
}
