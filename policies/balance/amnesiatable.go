package balance

import (
	"math"
	"time"

	"taillab/policies"
)

// none is no replica.
const none = math.MaxUint32

// amnesia is the table of who sent this dispatcher a heartbeat recently.
// Forgetting is lazy: it happens when an entry is met. Nobody is drawn while the
// idle-queue holds anyone, so whoever is forgotten here has left that before.
type amnesia struct {
	half, limit time.Duration // half-life; age beyond which a replica is forgotten
	ttl         bool
	rows        []amnesiaRow // by ID
	inc         []uint32     // by ID: the life heard of; nil = all 0
	heard       []uint32     // IDs of the rows in use, dense
	forgotten   uint64
}

// amnesiaRow is what is kept of every replica by every dispatcher, in 16 bytes.
type amnesiaRow struct {
	at    time.Duration
	pos   uint32 // place in heard, +1; 0 = not known
	load  uint16 // running + queued, as last heard, saturated
	since uint16 // own attempts sent since then and still out, saturated
}

// hear books what a replica says, which the flow core has found to be news.
func (t *amnesia) hear(env *Env, from policies.Ref, m Msg) {
	if n := env.Fleet.span(); len(t.rows) < n {
		t.rows = extend(t.rows, n)
		t.heard = append(make([]uint32, 0, n), t.heard...)
	}
	if t.inc == nil && from.Inc > 0 {
		t.inc = make([]uint32, len(t.rows))
	}
	if t.inc != nil {
		t.inc[from.ID] = from.Inc
	}
	r := &t.rows[from.ID]
	if r.pos == 0 {
		t.heard = append(t.heard, from.ID)
		r.pos = uint32(len(t.heard))
	}
	r.at, r.load, r.since = env.Now, uint16(max(0, min(m.A, saturated))), 0
}

// life is the one that a row is of.
func (t *amnesia) life(id uint32) uint32 {
	if t.inc == nil {
		return 0
	}
	return t.inc[id]
}

// knows tells whether the table holds this life of a replica.
func (t *amnesia) knows(r policies.Ref) bool {
	return int(r.ID) < len(t.rows) && t.rows[r.ID].pos != 0 && t.life(r.ID) == r.Inc
}

func (t *amnesia) stale(now time.Duration, id uint32) bool { return now-t.rows[id].at > t.limit }

func (t *amnesia) ref(id uint32) policies.Ref { return policies.Ref{ID: id, Inc: t.life(id)} }

// load is the last one heard and what has been sent since.
func (t *amnesia) load(id uint32) int { return int(t.rows[id].load) + int(t.rows[id].since) }

func (t *amnesia) sent(r policies.Ref) {
	if t.knows(r) && t.rows[r.ID].since < saturated {
		t.rows[r.ID].since++
	}
}

// ended takes back an attempt that was sent since the last heartbeat.
func (t *amnesia) ended(now time.Duration, d Done) {
	if !t.knows(d.Ref) {
		return
	}
	if r := &t.rows[d.Ref.ID]; now-d.Elapsed >= r.at && r.since > 0 {
		r.since--
	}
}

// drop takes a replica out of the table.
func (t *amnesia) drop(id uint32) {
	at := t.rows[id].pos
	last := t.heard[len(t.heard)-1]
	t.heard[at-1], t.rows[last].pos = last, at
	t.rows[id].pos = 0
	t.heard = t.heard[:len(t.heard)-1]
}

// erase drops a replica whose known life is not later than inc.
func (t *amnesia) erase(id, inc uint32) {
	if int(id) < len(t.rows) && t.rows[id].pos != 0 && t.life(id) <= inc {
		t.drop(id)
	}
}

// weight halves with every half-life, or is 1 up to the limit.
func (t *amnesia) weight(now time.Duration, id uint32) float64 {
	if t.ttl {
		return 1
	}
	return math.Exp2(-float64(now-t.rows[id].at) / float64(t.half))
}

// draw samples an eligible known replica in proportion to its weight, not the one
// given: by rejection, after 64 rejections by one exact sweep.
func (t *amnesia) draw(env *Env, not uint32) (uint32, bool) {
	for rejected := 0; rejected < 64 && len(t.heard) > 0; {
		id := t.heard[Below(env.Rand, len(t.heard))]
		switch {
		case t.stale(env.Now, id):
			t.drop(id)
			t.forgotten++
		case id == not || env.Fleet.Index(t.ref(id)) < 0:
			if len(t.heard) == 1 {
				return 0, false
			}
			rejected++
		case t.ttl || unit(env.Rand) < t.weight(env.Now, id):
			return id, true
		default:
			rejected++
		}
	}
	return t.sweep(env, not)
}

// sweep draws exactly, and forgets on the way.
func (t *amnesia) sweep(env *Env, not uint32) (uint32, bool) {
	sum := 0.0
	for i := 0; i < len(t.heard); {
		id := t.heard[i]
		if t.stale(env.Now, id) {
			t.drop(id) // the last one takes its place
			t.forgotten++
			continue
		}
		if id != not && env.Fleet.Index(t.ref(id)) >= 0 {
			sum += t.weight(env.Now, id)
		}
		i++
	}
	if sum == 0 {
		return 0, false
	}
	x, last := unit(env.Rand)*sum, uint32(0)
	for _, id := range t.heard {
		if id == not || env.Fleet.Index(t.ref(id)) < 0 {
			continue
		}
		last = id
		if x -= t.weight(env.Now, id); x < 0 {
			break
		}
	}
	return last, true
}
