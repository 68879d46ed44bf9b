package gpu

// Pairing heaps (Fredman and others 1986) over nodes: any number of heaps share the
// pool's nodes, a node is in at most one at a time, and joining one costs no
// allocation. Order: key, then seq, so equal keys leave in the order they came.

func (p *Pool) less(a, b int32) bool {
	x, y := &p.more[a], &p.more[b]
	if x.key != y.key {
		return x.key < y.key
	}
	return x.seq < y.seq
}

// meld joins two heaps by their roots, either of which may be none.
func (p *Pool) meld(a, b int32) int32 {
	if a == none {
		return b
	}
	if b == none {
		return a
	}
	if p.less(b, a) {
		a, b = b, a
	}
	x, y := &p.more[a], &p.more[b]
	y.sib, y.back = x.child, a
	if x.child != none {
		p.more[x.child].back = b
	}
	x.child = b
	return a
}

// push adds node i, whose key and seq are set, and returns the new root.
func (p *Pool) push(root, i int32) int32 {
	m := &p.more[i]
	m.child, m.sib, m.back = none, none, none
	return p.meld(root, i)
}

// pop removes the root and returns the new one.
func (p *Pool) pop(root int32) int32 {
	first := p.more[root].child
	p.more[root].child = none
	return p.pairs(first)
}

// pairs melds a list of siblings two by two, then the results from the last to
// the first: the order that gives the heap its bounds.
func (p *Pool) pairs(first int32) int32 {
	done := int32(none) // melded pairs, last first, linked by sib
	for first != none {
		a := first
		b := p.more[a].sib
		first = none
		p.more[a].sib, p.more[a].back = none, none
		if b != none {
			first = p.more[b].sib
			p.more[b].sib, p.more[b].back = none, none
		}
		a = p.meld(a, b)
		p.more[a].sib = done
		done = a
	}
	root := int32(none)
	for done != none {
		next := p.more[done].sib
		p.more[done].sib = none
		root = p.meld(root, done)
		done = next
	}
	return root
}

// drop removes node i from anywhere in the heap and returns the new root.
func (p *Pool) drop(root, i int32) int32 {
	if i == root {
		return p.pop(root)
	}
	m := &p.more[i]
	if b := &p.more[m.back]; b.child == i {
		b.child = m.sib
	} else {
		b.sib = m.sib
	}
	if m.sib != none {
		p.more[m.sib].back = m.back
	}
	first := m.child
	m.child, m.sib, m.back = none, none, none
	return p.meld(root, p.pairs(first))
}
