package emulator

import (
	"slices"
	"time"

	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/scenarios"
	"taillab/sim/gpu"
)

// FaultStall is the fault that only streams and bytes on a wire know: a reply
// begins and then stands still until the fault is over or the client leaves.
const FaultStall = "stall_stream"

// Faults lists the kinds of faults that a fleet carries out.
func Faults() []string {
	return []string{scenarios.FaultCrash, scenarios.FaultFreeze, scenarios.FaultSlow, scenarios.FaultRefuse, scenarios.FaultReset,
		scenarios.FaultError, FaultStall, scenarios.FaultDrop, scenarios.FaultDelay}
}

// roll draws whether a share is hit.
func (c *core) roll(share float64) bool { return share >= 1 || chance.Float(&c.dice) < share }

// crash empties the replica; it stays down until restart.
func (c *core) crash(now time.Duration) {
	if c.down++; c.down > 1 {
		return
	}
	c.pool.Crash(now, 0, &c.ev)
	c.due = gpu.Due{At: gpu.Never}
	c.happened(now)
}

// restart brings the replica back empty, as its next incarnation.
func (c *core) restart(now time.Duration) {
	if c.down == 0 {
		return
	}
	if c.down--; c.down > 0 {
		return
	}
	c.inc++
	c.asleep = c.asleep[:0]
	c.rerate(now)
	c.start(now)
}

// freeze and its end: nothing progresses, and wakes come late.
func (c *core) freeze(now time.Duration, on bool) {
	if on {
		c.frozen++
	} else if c.frozen > 0 {
		c.frozen--
	}
	c.rerate(now)
	if c.frozen > 0 || c.down > 0 {
		return
	}
	for _, token := range c.asleep {
		c.tell(now, balance.ReplicaEvent{Kind: balance.ReplicaWoke, Token: token})
	}
	c.asleep = c.asleep[:0]
}

// rerate applies the faults in force to the speed.
func (c *core) rerate(now time.Duration) {
	if c.down > 0 {
		return
	}
	m := 1 / c.slow
	if c.frozen > 0 {
		m = 0
	}
	c.due = c.pool.Rate(now, 0, m, &c.ev)
	c.happened(now)
}

// fault begins or ends a fault.
func (c *core) fault(now time.Duration, f failing, factor float64, on bool) {
	switch f.kind {
	case scenarios.FaultCrash:
		if on {
			c.crash(now)
		} else {
			c.restart(now)
		}
	case scenarios.FaultFreeze:
		c.freeze(now, on)
	case scenarios.FaultSlow:
		if !on {
			factor = 1 / factor
		}
		c.slow *= factor
		c.rerate(now)
	case scenarios.FaultDrop:
		if on {
			c.mutes = append(c.mutes, f.share)
		} else if i := slices.Index(c.mutes, f.share); i >= 0 {
			c.mutes = slices.Delete(c.mutes, i, i+1)
		}
	case scenarios.FaultDelay:
		d := time.Duration(factor * float64(time.Second))
		if !on {
			d = -d
		}
		c.late = max(0, c.late+d)
	default:
		if on {
			c.fails = append(c.fails, f)
		} else if i := slices.Index(c.fails, f); i >= 0 {
			c.fails = slices.Delete(c.fails, i, i+1)
		}
	}
}

// fate is what faults do to one request.
type fate struct {
	failing      // kind "" = it is served
	stalls  bool // its reply will stand still
}

// fate draws what happens to a request that arrives now.
func (c *core) fate() (out fate) {
	if c.down > 0 {
		return fate{failing: failing{kind: scenarios.FaultRefuse}}
	}
	for _, f := range c.fails {
		if !c.roll(f.share) {
			continue
		}
		if f.kind != FaultStall {
			out.failing = f
			return out
		}
		out.stalls = true
	}
	return out
}
