package sim

// event is 24 B without pointers; the class bits stand above the sequence, so one
// comparison of keys orders both.
type event struct {
	at  int64
	key uint64
	arg uint64
}

func (a *event) before(b *event) bool {
	return a.at < b.at || (a.at == b.at && a.key < b.key)
}

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
			g := h[c : c+4 : c+4]
			x := 0
			if g[1].before(&g[0]) {
				x = 1
			}
			y := 2
			if g[3].before(&g[2]) {
				y = 3
			}
			if g[y].before(&g[x]) {
				x = y
			}
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
