package autoscale

import (
	"fmt"
	"time"
)

// Setting is what a policy can be told of its service before the run.
type Setting struct {
	Lead        time.Duration // from asking for a replica to Ready
	Concurrency int           // requests that one replica serves at once
}

// Advice is something that works, but hardly as meant.
type Advice struct{ Code, Msg string }

// The codes of advice.
const (
	AdviceSlowLoad   = "slow-load"
	AdviceSaturating = "saturating-metric"
)

// Adviser is implemented by a policy that knows what of a service does not suit it.
type Adviser interface{ Advise(s Setting) []Advice }

// flapping warns of a fleet that shrinks sooner than it can grow again.
func flapping(lead, window time.Duration) []Advice {
	if lead <= window {
		return nil
	}
	return []Advice{{AdviceSlowLoad, fmt.Sprintf("a replica takes %v to start, longer than the %v after which the fleet may shrink: it may flap", lead, window)}}
}

// Advise implements Adviser.
func (h *HPA) Advise(s Setting) []Advice {
	out := flapping(s.Lead, h.Down.Window)
	for _, t := range h.targets() {
		if t.Metric.Resource() && s.Concurrency > 1 {
			out = append(out, Advice{AdviceSaturating, fmt.Sprintf(
				"the metric %s cannot exceed 100%% however long the queue is: with a target of %.0f%% the fleet grows by at most %.0f%% per period; concurrency has no such bound",
				t.Metric, percent(t.Target), 100*(100/percent(t.Target)-1))})
		}
	}
	return out
}

// Advise implements Adviser.
func (k *KPA) Advise(s Setting) []Advice { return flapping(s.Lead, max(k.Stable, k.Delay)) }

// Advise implements Adviser.
func (k *KEDA) Advise(s Setting) []Advice { return flapping(s.Lead, newHPA().Down.Window) }

// Advise implements Adviser.
func (b *Backlog) Advise(s Setting) []Advice { return flapping(s.Lead, b.DownWindow) }
