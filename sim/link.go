package sim

import (
	"math/rand/v2"
	"time"

	"taillab/policies/chance"
	"taillab/scenarios"
	"taillab/workloads"
)

// link carries messages of one class, one way: stream net/<service>/<class>.
type link struct {
	law     workloads.Sampler
	fixed   time.Duration // when constant
	drawn   bool          // the delay must be drawn
	loss    float64
	twice   float64
	reorder float64
	free    bool // messages arrive at once and surely
	dice    rand.PCG
}

func newLink(l scenarios.Link, seed uint64, service, class string) (link, error) {
	k := link{loss: l.Loss, twice: l.Duplicate, reorder: l.Reorder}
	k.dice = chance.Stream(seed, "net/"+service+"/"+class)
	if l.Delay.Kind != "" {
		var err error
		if k.law, err = workloads.NewSampler(l.Delay); err != nil {
			return k, err
		}
		var same bool
		k.fixed, same = k.law.Fixed()
		k.drawn = !same
	}
	k.free = !k.drawn && k.fixed == 0 && k.loss == 0 && k.twice == 0 && k.reorder == 0
	return k, nil
}

func (k *link) delay() time.Duration {
	if !k.drawn {
		return k.fixed
	}
	return k.law.Draw(&k.dice)
}

// send draws one message's fate: its delay, whether it is lost, and the delay of
// its double (negative when there is none). A reordered message takes a second
// delay, so that those behind it may overtake it.
func (k *link) send() (d time.Duration, lost bool, double time.Duration) {
	d, double = k.delay(), -1
	if k.loss > 0 && chance.Float(&k.dice) < k.loss {
		lost = true
	}
	if k.reorder > 0 && chance.Float(&k.dice) < k.reorder {
		d += k.delay() + 1
	}
	if k.twice > 0 && chance.Float(&k.dice) < k.twice {
		double = k.delay()
	}
	return d, lost, double
}
