package balance

// requests is a table of what a decorator keeps per open request: open addressing
// with linear probing and backward-shift deletion, so that nothing is allocated in
// steady state. A pointer that it returns is valid until the next put or del.
type requests[T any] struct {
	keys []uint64 // request + 1; 0 = empty
	vals []T
	n    int
}

func (t *requests[T]) home(k uint64) int {
	return int((k * 0x9e3779b97f4a7c15) >> 32 & uint64(len(t.keys)-1))
}

// find returns the place of a request, −1 when it is not there.
func (t *requests[T]) find(req uint64) int {
	if t.n == 0 {
		return -1
	}
	for i := t.home(req + 1); t.keys[i] != 0; i = (i + 1) & (len(t.keys) - 1) {
		if t.keys[i] == req+1 {
			return i
		}
	}
	return -1
}

// get returns what is kept of a request, nil when nothing is.
func (t *requests[T]) get(req uint64) *T {
	if i := t.find(req); i >= 0 {
		return &t.vals[i]
	}
	return nil
}

// put returns what is kept of a request, zero when it is new.
func (t *requests[T]) put(req uint64) *T {
	if i := t.find(req); i >= 0 {
		return &t.vals[i]
	}
	if 2*(t.n+1) > len(t.keys) {
		t.grow()
	}
	i := t.home(req + 1)
	for t.keys[i] != 0 {
		i = (i + 1) & (len(t.keys) - 1)
	}
	var zero T
	t.keys[i], t.vals[i] = req+1, zero
	t.n++
	return &t.vals[i]
}

func (t *requests[T]) del(req uint64) {
	i := t.find(req)
	if i < 0 {
		return
	}
	mask := len(t.keys) - 1
	t.n--
	for j := (i + 1) & mask; t.keys[j] != 0; j = (j + 1) & mask {
		// move j back unless its home lies cyclically after the hole
		if h := t.home(t.keys[j]); (j-h)&mask >= (j-i)&mask {
			t.keys[i], t.vals[i] = t.keys[j], t.vals[j]
			i = j
		}
	}
	t.keys[i] = 0
}

func (t *requests[T]) grow() {
	old := *t
	size := max(16, 2*len(old.keys))
	t.keys, t.vals, t.n = make([]uint64, size), make([]T, size), 0
	for i, k := range old.keys {
		if k != 0 {
			*t.put(k - 1) = old.vals[i]
		}
	}
}
