package autoscale

import (
	"fmt"
	"math/rand/v2"
	"time"

	"taillab/policies"
	"taillab/policies/chance"
)

// Call is one call of an autoscaler as a tape holds it: what it was shown, how many
// words it had drawn by then, and what it answered.
type Call struct {
	Now      time.Duration
	Metrics  Metrics
	Drawn    uint64
	Decision Decision
}

// Difference is the first call that went otherwise in a replay.
type Difference struct {
	Call       uint64 // from 1
	At         time.Duration
	Taped, Now string
}

// Replay shows the calls to a fresh instance with the stream of chance of its run; nil
// when every answer is the same. It returns how many calls it made.
func Replay(a Autoscaler, dice *chance.Dice, calls []Call) (n uint64, first *Difference) {
	env := policies.NewEnv(rand.New(dice), nil, 0)
	for i := range calls {
		c := &calls[i]
		env.Now = c.Now
		n++
		got := a.Desire(&env, &c.Metrics)
		if got != c.Decision || dice.Drawn != c.Drawn {
			return n, &Difference{n, c.Now, answer(c.Decision, c.Drawn), answer(got, dice.Drawn)}
		}
	}
	return n, nil
}

func answer(d Decision, drawn uint64) string {
	hold := ""
	if d.Hold {
		hold = ", hold"
	}
	return fmt.Sprintf("%d replicas%s, next in %v, %d draws", d.Count, hold, d.Next, drawn)
}
