package balance

// One draws a uniform index; −1 when the fleet is empty.
func (f *Fleet) One(r Dice) int {
	if f.n == 0 {
		return -1
	}
	return Below(r, f.n)
}

// Weighted draws index i with probability Weight(i)/WeightSum(); −1 when nothing
// has a positive weight.
func (f *Fleet) Weighted(r Dice) int {
	if f.weights == nil {
		return f.One(r)
	}
	if f.n == 0 || f.sumW <= 0 {
		return -1
	}
	for range 64 { // rejection: about maxW/mean tries
		i := Below(r, f.n)
		if unit(r)*f.maxW < f.Weight(i) {
			return i
		}
	}
	x, last := unit(r)*f.sumW, -1
	for i := range f.n {
		w := f.Weight(i)
		if w <= 0 {
			continue
		}
		last = i
		if x -= w; x < 0 {
			break
		}
	}
	return last
}

func unit(r Dice) float64 { return float64(r.Uint64()>>11) * 0x1p-53 }

// DistinctPair draws two distinct indices from one 64-bit word, in random order;
// i == j when there is only one replica. The fleet must not be empty.
func (f *Fleet) DistinctPair(r Dice) (i, j int) {
	if f.n == 1 {
		return 0, 0
	}
	u, n := r.Uint64(), uint64(f.n)
	i = int((u & 0xffffffff) * n >> 32)
	j = int((u >> 32) * (n - 1) >> 32)
	if j >= i {
		j++
	}
	return i, j
}

// Sample draws min(len(dst), Len()) distinct indices into dst in random order and
// returns them.
func (f *Fleet) Sample(r Dice, dst []int) []int {
	k := min(len(dst), f.n)
	dst = dst[:k]
	if 2*k > f.n { // a partial shuffle: rejection would try too often
		f.c.perm = grow(f.c.perm, f.n)
		p := f.c.perm[:f.n]
		for i := range p {
			p[i] = uint32(i)
		}
		for i := range k {
			j := i + Below(r, f.n-i)
			p[i], p[j] = p[j], p[i]
			dst[i] = int(p[i])
		}
		return dst
	}
	for i := 0; i < k; {
		x := Below(r, f.n)
		if !contains(dst[:i], x) {
			dst[i] = x
			i++
		}
	}
	return dst
}

func contains(s []int, x int) bool {
	for _, v := range s {
		if v == x {
			return true
		}
	}
	return false
}

// grow returns s with room for n, keeping nothing.
func grow(s []uint32, n int) []uint32 {
	if cap(s) < n {
		return make([]uint32, n)
	}
	return s[:n]
}
