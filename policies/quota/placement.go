package quota

import (
	"math"

	"github.com/cespare/xxhash/v2"

	"taillab/policies/chance"
)

// Placement says which shard of a store holds a group. It decides how evenly groups
// spread and how many move when a shard is added.
type Placement uint8

// The placements.
const (
	// Rendezvous takes the shard with the highest hash of group and shard (Thaler,
	// Ravishankar 1998): adding a shard moves 1/(n+1) of the groups, to it alone.
	Rendezvous Placement = iota
	// Jump is jump consistent hashing (Lamping, Veach 2014): as few moves, no table, but
	// shards can be added and removed at the end only.
	Jump
	// Mod is the hash modulo the number of shards: nearly all groups move.
	Mod
)

// Placements returns the names, indexed by Placement.
func Placements() []string { return []string{"rendezvous", "jump", "mod"} }

// Key is where the counters of a group stand in a real store. The braces are a Redis
// hash tag: all keys of a group share a slot.
func Key(group string) string { return "quota:{" + group + "}" }

// Shard is the number of the shard that holds a group.
func (p Placement) Shard(group string, shards int) int {
	if shards <= 1 {
		return 0
	}
	h := xxhash.Sum64String(Key(group))
	switch p {
	case Jump:
		return jump(h, shards)
	case Mod:
		return int(h % uint64(shards))
	default:
		return rendezvous(h, shards)
	}
}

func rendezvous(h uint64, shards int) int {
	best, top := 0, uint64(0)
	for i := range shards {
		if x := chance.Mix(h ^ chance.Mix(uint64(i))); i == 0 || x > top {
			best, top = i, x
		}
	}
	return best
}

// jump follows the jumps of a group through growing numbers of shards: at j shards it
// moves to the new one with probability 1/j, by a generator seeded with its hash.
func jump(h uint64, shards int) int {
	at, next := int64(-1), int64(0)
	for next < int64(shards) {
		at = next
		h = h*2862933555777941757 + 1
		next = int64(float64(at+1) * (math.Exp2(31) / float64(h>>33+1)))
	}
	return int(at)
}
