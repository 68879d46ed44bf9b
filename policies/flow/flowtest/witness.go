package flowtest

import (
	"time"

	"taillab/policies"
	"taillab/policies/flow"
	"taillab/policies/quota"
)

// Witness stands before the limiter of a front end while its tape is replayed, and
// notes what was decided when, and whether the store had answered. Set its Watch as the
// replay's.
type Witness struct {
	quota.Limiter

	Decisions []Decided
	Answers   []Answer

	asked map[uint64]asked
	alone uint64 // decisions without the store so far
}

// Decided is a final answer to a request.
type Decided struct {
	At      time.Duration
	Group   uint32
	Outcome quota.Outcome
	Alone   bool          // the store was silent: decided as on_store_loss says
	Came    time.Duration // when the request should have come
	Late    time.Duration // how much later it came
}

// Answer is the end of one ask.
type Answer struct {
	At    time.Duration
	Group uint32
	Lost  bool
}

type asked struct {
	group      uint32
	came, late time.Duration
}

// Admit implements quota.Limiter.
func (w *Witness) Admit(env *quota.Env, req *policies.Request, cost float64) quota.Verdict {
	if w.asked == nil {
		w.asked = map[uint64]asked{}
	}
	if _, again := w.asked[req.ID]; !again {
		w.asked[req.ID] = asked{req.Group, req.Arrived, env.Now - req.Arrived}
	}
	return w.Limiter.Admit(env, req, cost)
}

// Observe implements quota.Limiter.
func (w *Witness) Observe(env *quota.Env, ev *quota.Event) {
	if ev.Kind == quota.Granted || ev.Kind == quota.AskLost {
		w.Answers = append(w.Answers, Answer{env.Now, ev.Group, ev.Kind == quota.AskLost})
	}
	w.Limiter.Observe(env, ev)
}

// Watch looks at what an input has brought about. A limiter decides all that one input
// brings about with the store, or all of it alone.
func (w *Witness) Watch(now time.Duration, out *flow.Actions) {
	was := w.alone
	if c, ok := w.Limiter.(quota.Counted); ok {
		c.Counts(func(name string, n uint64) {
			if name == "decisions_without_store" {
				w.alone = n
			}
		})
	}
	for i := range out.List {
		if a := &out.List[i]; a.Kind == flow.ActDecided {
			q := w.asked[a.Req]
			w.Decisions = append(w.Decisions, Decided{At: now, Group: q.group, Outcome: quota.Outcome(a.Arg), Alone: w.alone > was, Came: q.came, Late: q.late})
		}
	}
}
