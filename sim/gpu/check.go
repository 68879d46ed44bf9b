package gpu

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"taillab/policies"
)

func cmpOr(s, or string) string { return cmp.Or(s, or) }

// checker collects problems.
type checker struct{ list []policies.Problem }

func (c *checker) add(path, hint, format string, args ...any) {
	c.list = append(c.list, policies.Problem{Path: path, Msg: fmt.Sprintf(format, args...), Hint: hint})
}

// within wants lo ≤ v ≤ hi; NaN is in no range.
func (c *checker) within(path string, v, lo, hi float64) {
	if !(v >= lo && v <= hi) {
		c.add(path, "", "%g is out of range: it must be in [%g, %g]", v, lo, hi)
	}
}

// cost wants 0 ≤ v ≤ hi, and v > 0 where positive.
func (c *checker) cost(path string, v, hi Nanos, positive bool) {
	switch {
	case positive && !(v > 0 && v <= hi):
		c.add(path, "", "%v is out of range: it must be above 0 and at most %v", v, hi)
	case !(v >= 0 && v <= hi):
		c.add(path, "", "%v is out of range: it must be in [0, %v]", v, hi)
	}
}

func (c *checker) duration(path string, v, hi time.Duration) {
	if v < 0 || v > hi {
		c.add(path, "", "%v is out of range: it must be in [0, %v]", v, hi)
	}
}

func (c *checker) oneOf(path, v string, names []string) {
	if !slices.Contains(names, v) {
		c.add(path, "one of: "+strings.Join(names, ", "), "%q is not known", v)
	}
}

// Bounds of the parameters, in the units of the documents.
const (
	maxCost     = Nanos(100e9) // 1e5 ms
	maxPerToken = Nanos(100e6) // 100 ms
	maxPerSeq   = Nanos(1e9)   // 1e3 ms
	maxPerKV    = Nanos(1e6)   // 1e3 µs
	maxSlots    = 4096
	maxBatchSl  = 64
	maxForever  = time.Duration(1 << 60)
)

// Check returns everything that is wrong with the parameters.
func (s *Spec) Check() []policies.Problem {
	var c checker
	var kinds []string
	for _, k := range Kinds() {
		kinds = append(kinds, string(k))
	}
	c.oneOf("kind", string(s.Kind), kinds)
	c.oneOf("queue", s.Queue, Disciplines())
	c.oneOf("extrapolate", s.Extrapolate, []string{ExtrapolateWarn, ExtrapolateError})
	s.checkKind(&c)
	s.checkForeign(&c)
	s.checkQueue(&c)
	s.checkChance(&c)
	return c.list
}

func (s *Spec) checkKind(c *checker) {
	switch s.Kind {
	case Affine:
		c.cost("a", s.A, maxCost, false)
		c.cost("b", s.B, maxCost, true)
	case AffineTokens:
		c.cost("a", s.A, maxCost, false)
		c.cost("b", s.B, maxPerToken, false)
		c.cost("c", s.C, maxPerToken, false)
		if s.A == 0 && s.B == 0 && s.C == 0 {
			c.add("b", "set a, b or c", "every batch would take no time")
		}
	case Hinge:
		c.cost("f", s.F, maxCost, false)
		c.cost("s", s.S, maxPerToken, false)
		c.within("k", s.K, 0, 1e9)
		if s.F == 0 && s.S == 0 {
			c.add("f", "set f or s", "every batch would take no time")
		}
	case SmoothMax:
		c.cost("f", s.F, maxCost, false)
		c.cost("o", s.O, maxCost, false)
		c.cost("s", s.S, maxPerToken, false)
		c.within("p", s.P, 1, 64)
		if s.F == 0 && s.O == 0 && s.S == 0 {
			c.add("f", "set f, o or s", "every batch would take no time")
		}
	case TableKind:
		s.Table.check(c, "table")
		s.checkGrid(c)
	case Tokens:
		s.checkTokens(c)
	}
}

func (s *Spec) checkTokens(c *checker) {
	if len(s.Prefill.Table.X)+len(s.Prefill.Table.Y) > 0 {
		s.Prefill.Table.check(c, "prefill.table")
		if s.Prefill.Floor != 0 || s.Prefill.PerToken != 0 || s.Prefill.Knee != 0 {
			c.add("prefill", "keep one of the two", "has both a table and floor, per_token or knee")
		}
		if s.Prefill.Table.Axis == AxisItems {
			c.add("prefill.table.axis", "leave it out", "the table of a prompt counts tokens")
		}
	}
	c.cost("prefill.floor", s.Prefill.Floor, maxCost, false)
	c.cost("prefill.per_token", s.Prefill.PerToken, maxPerToken, false)
	c.within("prefill.knee", s.Prefill.Knee, 0, 1e6)
	c.cost("step.base", s.Step.Base, maxCost, true)
	c.cost("step.per_seq", s.Step.PerSeq, maxPerSeq, false)
	c.cost("step.per_kv", s.Step.PerKV, maxPerKV, false)
	c.oneOf("prompts", s.Prompts, []string{Inline, Parallel})
	if s.Noise.Per == PerBatch {
		c.add("noise.per", "write per: request", "kind tokens has no batch to draw noise for")
	}
}

// checkForeign refuses parameters of another kind: they would change nothing.
func (s *Spec) checkForeign(c *checker) {
	affine := s.Kind == Affine || s.Kind == AffineTokens
	bent := s.Kind == Hinge || s.Kind == SmoothMax
	for _, f := range []struct {
		path       string
		set, known bool
	}{
		{"a", s.A != 0, affine},
		{"b", s.B != 0, affine},
		{"c", s.C != 0, s.Kind == AffineTokens},
		{"f", s.F != 0, bent},
		{"s", s.S != 0, bent},
		{"k", s.K != 0, s.Kind == Hinge},
		{"o", s.O != 0, s.Kind == SmoothMax},
		{"p", s.P != 0, s.Kind == SmoothMax},
		{"table", len(s.Table.X)+len(s.Table.Y) > 0, s.Kind == TableKind},
		{"prefill", s.Prefill.Floor != 0 || s.Prefill.PerToken != 0 || s.Prefill.Knee != 0 ||
			len(s.Prefill.Table.X)+len(s.Prefill.Table.Y) > 0, s.Kind == Tokens},
		{"step", s.Step != Step{}, s.Kind == Tokens},
		{"prompts", s.Prompts != "", s.Kind == Tokens},
		{"max_model_len", s.MaxModelLen != 0, s.Kind == Tokens},
	} {
		if f.set && !f.known {
			c.add(f.path, "remove it", "kind %s has no such parameter", s.Kind)
		}
	}
}

func (s *Spec) checkQueue(c *checker) {
	most := maxSlots
	if s.Kind != Tokens && s.Kind != Service {
		most = maxBatchSl
	}
	if s.Slots < 1 || s.Slots > most {
		c.add("slots", "", "%d is out of range: kind %s takes 1 to %d", s.Slots, s.Kind, most)
	}
	if s.MaxBatch < 1 || s.MaxBatch > maxSlots {
		c.add("max_batch", "", "%d is out of range: it must be in [1, %d]", s.MaxBatch, maxSlots)
	}
	if s.MaxBatch > 1 && (s.Kind == Service || s.Kind == Tokens) {
		c.add("max_batch", "use slots", "kind %s does not batch: max_batch must be 1", s.Kind)
	}
	c.duration("max_delay", s.MaxDelay, 10*time.Second)
	c.duration("queue_timeout", s.QueueTimeout, maxForever)
	if s.QueueLimit < NoLimit || s.QueueLimit > math.MaxInt32 {
		c.add("queue_limit", "leave it out for no limit", "%d is out of range: it must be at least 0", s.QueueLimit)
	}
	if s.Queue == PS && s.MaxBatch > 1 {
		c.add("queue", "use max_batch: 1 or another discipline", "ps cannot batch")
	}
	if s.Queue == PS && s.Kind == Tokens {
		c.add("queue", "use fcfs", "ps is refused for kind tokens, whose sequences share the engine by themselves")
	}
	if s.Queue == PS && s.Noise.Per == PerBatch {
		c.add("noise.per", "write per: request", "ps has no batch to draw noise for")
	}
	if s.Queue == SJF && !s.Oracle {
		c.add("queue", "write oracle: true to permit it", "sjf needs to know the true work, which no real replica does")
	}
}

func (s *Spec) checkChance(c *checker) {
	c.within("noise.sigma", s.Noise.Sigma, 0, 2)
	c.oneOf("noise.per", s.Noise.Per, []string{PerRequest, PerBatch})
	c.within("straggler.prob", s.Straggler.Prob, 0, 1)
	c.within("straggler.factor", s.Straggler.Factor, 1, 1000)
	c.duration("straggler.fast_for", s.Straggler.FastFor, maxForever)
	c.duration("straggler.slow_for", s.Straggler.SlowFor, maxForever)
	fast, slow := s.Straggler.FastFor, s.Straggler.SlowFor
	switch {
	case (fast > 0) != (slow > 0):
		c.add("straggler", "set both or none", "fast_for and slow_for belong together")
	case fast > 0 && min(fast, slow) < time.Microsecond:
		c.add("straggler", "", "fast_for %v and slow_for %v: both must be at least 1us", fast, slow)
	}
}

func (t *Table) check(c *checker, path string) {
	if len(t.X) == 0 || len(t.X) != len(t.Y) {
		c.add(path, "give one y for each x, and at least one", "has %d x and %d y", len(t.X), len(t.Y))
		return
	}
	c.oneOf(path+".scale", cmpOr(t.Scale, Linear), []string{Linear, LogLog})
	c.oneOf(path+".axis", cmpOr(t.Axis, AxisItems), []string{AxisItems, AxisTokens})
	for i := range t.X {
		x, y := t.X[i], float64(t.Y[i])
		switch {
		case !(x >= 0 && x <= 1e12):
			c.add(fmt.Sprintf("%s.x[%d]", path, i), "", "%g is out of range: it must be in [0, 1e12]", x)
		case !(y >= 0 && y < longest):
			c.add(fmt.Sprintf("%s.y[%d]", path, i), "", "%v is out of range: it must be at least 0", t.Y[i])
		case t.Scale == LogLog && (x == 0 || y == 0):
			c.add(fmt.Sprintf("%s.x[%d]", path, i), "use scale: linear", "a loglog table takes no zero")
		}
		for j := range i {
			if t.X[j] == x && t.Y[j] != t.Y[i] {
				c.add(fmt.Sprintf("%s.x[%d]", path, i), "keep one of them", "x %g has two different y", x)
			}
		}
	}
}

// checkGrid refuses batch sizes that a strict table does not cover.
func (s *Spec) checkGrid(c *checker) {
	if s.Extrapolate != ExtrapolateError || s.Table.Axis == AxisTokens || len(s.Table.X) == 0 {
		return
	}
	if lo, hi := slices.Min(s.Table.X), slices.Max(s.Table.X); lo > 1 || hi < float64(s.MaxBatch) {
		c.add("table.x", "measure more points, lower max_batch, or write extrapolate: warn",
			"covers [%g, %g] only, batches run from 1 to %d", lo, hi, s.MaxBatch)
	}
}
