package autoscale

import (
	"time"

	"taillab/policies"
)

// KEDA scales between zero and one by itself, polling whether anything is to be done,
// and leaves the rest to a horizontal pod autoscaler over an external total: so many
// replicas that each has Target of it. Code: kedacore/keda pkg/scaling.
//
// The default total is every request that is not answered yet, as RabbitMQ counts
// messages that are not acknowledged: one that counts waiting requests only drops to
// zero as soon as the fleet keeps up.
type KEDA struct {
	Trigger         string        `yaml:"trigger" about:"total to go by: open = not answered yet, waiting = in no slot yet" enum:"open|waiting"`
	Target          float64       `yaml:"target" about:"of it per replica" above:"0"`
	Activation      float64       `yaml:"activation" about:"active while the total is above this" min:"0"`
	Poll            time.Duration `yaml:"poll" about:"time between looks while at zero, and of the way there" above:"0s"`
	Cooldown        time.Duration `yaml:"cooldown" about:"to zero after being inactive for this long" min:"0s"`
	InitialCooldown time.Duration `yaml:"initial_cooldown" about:"not to zero before this" min:"0s"`

	hpa    *HPA
	poll   time.Duration // of the next look
	active time.Duration // last time it was
	begun  bool
	zero   bool // the scaler wants none
}

func newKEDA() *KEDA {
	return &KEDA{Trigger: OpenRequests, Target: 5, Poll: 30 * time.Second, Cooldown: 5 * time.Minute}
}

// FromZero implements Waker.
func (k *KEDA) FromZero() bool { return true }

// Desire implements Autoscaler. It is called at the polls and at the rounds of the
// horizontal pod autoscaler, whichever comes first.
func (k *KEDA) Desire(env *policies.Env, m *Metrics) Decision {
	now := env.Now
	if !k.begun {
		k.begun, k.hpa, k.active = true, newHPA(), now
		k.zero = m.Spec == 0
	}
	total, ok := m.external(k.Trigger)
	n := m.Spec
	if now >= k.poll {
		k.poll = now + k.Poll
		n = k.look(now, total, ok, m)
	}
	if n > 0 && ok && !k.hpaWaits(now) {
		n = k.round(now, total, n, m)
	}
	next := k.poll
	if n > 0 {
		next = min(next, max(k.hpa.clock.next, now+time.Millisecond))
	}
	return Decision{Count: m.clamp(n), Next: next - now}
}

// look is one poll: to one and back to zero.
func (k *KEDA) look(now time.Duration, total float64, ok bool, m *Metrics) int {
	switch {
	case !ok:
		return m.Spec
	case total > k.Activation:
		k.active, k.zero = now, false
		return max(m.Spec, m.Min, 1)
	case m.Min == 0 && now-k.active >= k.Cooldown && now >= k.InitialCooldown:
		k.zero = true
	}
	if k.zero {
		return m.Min
	}
	return m.Spec
}

func (k *KEDA) hpaWaits(now time.Duration) bool { return now < k.hpa.clock.next }

// round is one round of the autoscaler between 1 and the maximum.
func (k *KEDA) round(now time.Duration, total float64, n int, m *Metrics) int {
	k.hpa.clock.next = now + k.hpa.Period
	above := *m
	above.Spec, above.Min = n, max(m.Min, 1)
	return k.hpa.limited(now, k.hpa.averageValue(total, k.Target, &above), &above)
}
