package flow

// ids is an open-addressing table from request (or probe) numbers to slots, with
// linear probing and backward-shift deletion: no tombstones, no allocation in
// steady state. Key 0 is stored as any other.
type ids struct {
	keys []uint64 // key+1; 0 = empty
	vals []uint32
	n    int
}

func (t *ids) home(k uint64) int {
	return int((k * 0x9e3779b97f4a7c15) >> 32 & uint64(len(t.keys)-1))
}

func (t *ids) put(k uint64, v uint32) {
	if 2*(t.n+1) > len(t.keys) {
		t.grow()
	}
	k++
	i := t.home(k)
	for t.keys[i] != 0 {
		if t.keys[i] == k {
			t.vals[i] = v
			return
		}
		i = (i + 1) & (len(t.keys) - 1)
	}
	t.keys[i], t.vals[i] = k, v
	t.n++
}

func (t *ids) get(k uint64) (uint32, bool) {
	if t.n == 0 {
		return 0, false
	}
	k++
	for i := t.home(k); t.keys[i] != 0; i = (i + 1) & (len(t.keys) - 1) {
		if t.keys[i] == k {
			return t.vals[i], true
		}
	}
	return 0, false
}

func (t *ids) del(k uint64) {
	if t.n == 0 {
		return
	}
	k++
	mask := len(t.keys) - 1
	i := t.home(k)
	for t.keys[i] != k {
		if t.keys[i] == 0 {
			return
		}
		i = (i + 1) & mask
	}
	t.n--
	for j := (i + 1) & mask; ; j = (j + 1) & mask {
		if t.keys[j] == 0 {
			break
		}
		// move j back unless its home lies cyclically after the hole
		if h := t.home(t.keys[j]); (j-h)&mask >= (j-i)&mask {
			t.keys[i], t.vals[i] = t.keys[j], t.vals[j]
			i = j
		}
	}
	t.keys[i] = 0
}

func (t *ids) grow() {
	old := *t
	size := max(16, 2*len(old.keys))
	t.keys, t.vals, t.n = make([]uint64, size), make([]uint32, size), 0
	for i, k := range old.keys {
		if k != 0 {
			t.put(k-1, old.vals[i])
		}
	}
}
