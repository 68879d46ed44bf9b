package sim

import "math/bits"

// MaxLanes is up to how many lanes are faster than the agenda: a larger tournament
// leaves the caches.
const MaxLanes = 1 << 14

// lanes holds events of which each has a place of its own that is filed anew again
// and again, as the end of a replica's service: a tournament (Knuth, The Art of
// Computer Programming 3, 5.4.1) whose every node is the first of the two below it.
// Filing one reads the siblings on its way to the root, whose places are known
// beforehand, and takes no branch that could be mispredicted, where an agenda would
// put the event into a bucket, find the bucket, and sort it.
type lanes struct {
	tree    []lane   // 1 is the root; those below i are 2i and 2i+1; lane k is at half+k
	keys    []uint64 // by lane: class, sequence and handler, which order equal instants
	half    int
	pending int
	handler HandlerID
}

// lane is an instant, never where nothing is filed, and whose it is.
type lane struct {
	at  int64
	num uint64
}

// init makes n empty lanes.
func (t *lanes) init(n int, h HandlerID) {
	t.half = 1 << bits.Len(uint(max(n, 1)-1))
	t.tree, t.keys, t.handler, t.pending = make([]lane, 2*t.half), make([]uint64, t.half), h, 0
	t.clear()
}

func (t *lanes) clear() {
	for i := range t.tree {
		t.tree[i].at = int64(Never)
	}
	t.pending = 0
}

// first is the lane whose turn it is.
func (t *lanes) first() lane { return t.tree[1] }

// set files lane k for an instant, in place of the one before.
func (t *lanes) set(k int, at int64, key uint64) {
	i := t.half + k
	t.pending += boolInt(at != int64(Never)) - boolInt(t.tree[i].at != int64(Never))
	t.keys[k] = key
	num := uint64(k)
	tree := t.tree
	tree[i].at, tree[i].num = at, num
	for i > 1 {
		o := &tree[i^1]
		if o.at == at && t.keys[o.num] < t.keys[num] { // rare
			num = o.num
		}
		num ^= (num ^ o.num) & -uint64(boolInt(o.at < at))
		at = min(at, o.at)
		i >>= 1
		tree[i].at, tree[i].num = at, num
	}
}

// boolInt is 1 for true, without a branch.
func boolInt(b bool) int {
	if b {
		return 1
	}
	return 0
}
