package gpu

import (
	"fmt"
	"strings"

	"taillab/policies"
)

// kind numbers, so that hot paths compare small integers.
const (
	kindService = iota
	kindAffine
	kindAffineTokens
	kindHinge
	kindSmoothMax
	kindTable
	kindTokens
)

// Model is a checked Spec: immutable, shared by the replicas that run it.
type Model struct {
	spec Spec

	// What hot paths read.
	kind       uint8
	queue      uint8
	simple     bool // the fast path serves it
	perBatch   bool // noise and stragglers are drawn per batch
	sticky     bool // the replica alternates between fast and slow
	inline     bool
	cuts       bool // a cancelled request leaves its slot at once
	strict     bool // extrapolation fails the run
	onTokens   bool // the table's x counts tokens
	slots      int
	maxBatch   int
	queueLimit int
	maxLen     uint64 // 0 = none
	sigma      float64
	prob       float64

	// affine: a, b; affine-tokens: a, b, c; hinge and prefill: a floor, b slope, k knee;
	// smooth-max: a floor, b slope, c what comes beside the tokens, k exponent.
	a, b, c, k float64
	step       [3]float64
	table      curve
}

// Discipline numbers.
const (
	queueFCFS = iota
	queueLIFO
	queuePS
	queuePriority
	queueEDF
	queueSJF
)

// New checks the parameters and makes the model. It returns all problems it
// finds, and no model when there is one.
func New(s Spec) (*Model, []policies.Problem) {
	if ps := s.Check(); len(ps) > 0 {
		return nil, ps
	}
	m := &Model{
		spec: s, slots: s.Slots, maxBatch: s.MaxBatch, queueLimit: s.QueueLimit, maxLen: uint64(s.MaxModelLen),
		sigma: s.Noise.Sigma, prob: s.Straggler.Prob, strict: s.Extrapolate == ExtrapolateError,
		perBatch: s.Noise.Per == PerBatch && (s.Noise.Sigma > 0 || s.Straggler.Prob > 0),
		sticky:   s.Straggler.FastFor > 0,
	}
	for i, k := range Kinds() {
		if k == s.Kind {
			m.kind = uint8(i)
		}
	}
	for i, q := range Disciplines() {
		if q == s.Queue {
			m.queue = uint8(i)
		}
	}
	m.parameters()
	m.cuts = m.kind == kindService || m.kind == kindTokens || m.queue == queuePS
	m.simple = m.kind != kindTokens && m.slots == 1 && m.maxBatch == 1 && m.queue == queueFCFS &&
		s.QueueTimeout == 0 && !m.perBatch && !m.sticky
	return m, nil
}

func (m *Model) parameters() {
	s := &m.spec
	switch m.kind {
	case kindAffine, kindAffineTokens:
		m.a, m.b, m.c = float64(s.A), float64(s.B), float64(s.C)
	case kindHinge:
		m.a, m.b, m.k = float64(s.F), float64(s.S), s.K
	case kindSmoothMax:
		m.a, m.b, m.c, m.k = float64(s.F), float64(s.S), float64(s.O), s.P
	case kindTable:
		m.table, m.onTokens = newCurve(&s.Table), s.Table.Axis == AxisTokens
	case kindTokens:
		m.a, m.b, m.k = float64(s.Prefill.Floor), float64(s.Prefill.PerToken), s.Prefill.Knee
		if len(s.Prefill.Table.X) > 0 {
			m.table = newCurve(&s.Prefill.Table)
		}
		m.step = [3]float64{float64(s.Step.Base), float64(s.Step.PerSeq), float64(s.Step.PerKV)}
		m.inline = s.Prompts == Inline
	}
}

// Kind returns the latency model's name.
func (m *Model) Kind() Kind { return m.spec.Kind }

// Spec returns the parameters the model was made of.
func (m *Model) Spec() Spec { return m.spec }

// Slots returns how many batches (tokens: requests) a replica runs at a time.
func (m *Model) Slots() int { return m.slots }

// MaxBatch returns the most requests of one batch.
func (m *Model) MaxBatch() int { return m.maxBatch }

// Streams reports whether requests yield tokens one by one, so that TTFT and
// TPOT mean something.
func (m *Model) Streams() bool { return m.kind == kindTokens }

// BatchNoise reports whether replicas draw from a stream of their own, for noise
// per batch or for sticky stragglers: Add then needs a seeded one. Noise per
// batch is unpaired between policies, because who shares a batch depends on them.
func (m *Model) BatchNoise() bool { return m.perBatch || m.sticky }

// RequestNoise reports whether RequestFactor can differ from 1, so that the host
// needs to draw for it.
func (m *Model) RequestNoise() bool { return !m.perBatch && (m.sigma > 0 || m.prob > 0) }

// Strict reports whether a point outside a table's grid must fail the run.
func (m *Model) Strict() bool { return m.strict }

// Moved returns how far monotone pooling moved the table's furthest value, as a
// cost; 0 where there is no table or nothing fell.
func (m *Model) Moved() Nanos { return Nanos(m.table.moved) }

// batchTime is t of a batch in ns at speed 1, by items, Σ tokens and Σ tokens².
// The float64 conversions keep multiplication and addition apart: fused, they
// would round differently on other CPUs.
func (m *Model) batchTime(items, tokens, tokensSq float64) (ns float64, outside bool) {
	switch m.kind {
	case kindAffine:
		return m.a + float64(m.b*items), false
	case kindAffineTokens:
		return m.a + float64(m.b*tokens) + float64(m.c*tokensSq), false
	case kindHinge:
		return m.a + float64(m.b*max(0, tokens-m.k)), false
	case kindSmoothMax:
		return SmoothMaximum(m.a, m.c+float64(m.b*tokens), m.k), false
	case kindTable:
		if m.onTokens {
			items = tokens
		}
		return m.table.at(items)
	}
	return 0, false
}

// prefillTime is the time in ns of a prompt before its first step.
func (m *Model) prefillTime(input float64) (ns float64, outside bool) {
	if len(m.table.x) > 0 {
		return m.table.at(input)
	}
	return m.a + float64(m.b*max(0, input-m.k)), false
}

// stepTime is the time in ns of one step of n sequences with kv tokens of context.
func (m *Model) stepTime(n, kv float64) float64 {
	return m.step[0] + float64(m.step[1]*n) + float64(m.step[2]*kv)
}

// Formula writes the model out with its numbers.
func (m *Model) Formula() string {
	s := &m.spec
	var out string
	switch m.kind {
	case kindService:
		out = "t = demand of the request"
	case kindAffine:
		out = fmt.Sprintf("t(B) = %v + %v·B", s.A, s.B)
	case kindAffineTokens:
		out = fmt.Sprintf("t = %v + %v·tokens", s.A, s.B)
		if s.C > 0 {
			out += fmt.Sprintf(" + %v·ΣS²", s.C)
		}
	case kindHinge:
		out = "t(n) = " + hinge(s.F, s.S, s.K, "n")
	case kindSmoothMax:
		out = fmt.Sprintf("t(n) = ((%v)^p + (%v + %v·n)^p)^(1/p), p = %g", s.F, s.O, s.S, s.P)
	case kindTable:
		out = fmt.Sprintf("t = %s, x counts %s", s.Table.describe(), cmpOr(s.Table.Axis, AxisItems))
	case kindTokens:
		prefill := hinge(s.Prefill.Floor, s.Prefill.PerToken, s.Prefill.Knee, "I")
		if len(s.Prefill.Table.X) > 0 {
			prefill = s.Prefill.Table.describe()
		}
		step := s.Step.Base.String()
		if s.Step.PerSeq > 0 {
			step += fmt.Sprintf(" + %v·n", s.Step.PerSeq)
		}
		if s.Step.PerKV > 0 {
			step += fmt.Sprintf(" + %v·K", s.Step.PerKV)
		}
		out = fmt.Sprintf("t = prefill(input) + output·step(n, K), prefill(I) = %s, step(n, K) = %s, prompts %s",
			prefill, step, s.Prompts)
	}
	return out + m.around()
}

// around describes what the model adds to its formula.
func (m *Model) around() string {
	s := &m.spec
	var b strings.Builder
	fmt.Fprintf(&b, "; slots %d", s.Slots)
	if s.MaxBatch > 1 {
		fmt.Fprintf(&b, ", max_batch %d, max_delay %v", s.MaxBatch, s.MaxDelay)
	}
	if s.Noise.Sigma > 0 {
		fmt.Fprintf(&b, "; ×exp(σZ − σ²/2) per %s, σ %g", s.Noise.Per, s.Noise.Sigma)
	}
	if s.Straggler.Prob > 0 {
		fmt.Fprintf(&b, "; ×%g with probability %g", s.Straggler.Factor, s.Straggler.Prob)
	}
	if m.sticky {
		fmt.Fprintf(&b, "; fast for %v, ×%g for %v on average", s.Straggler.FastFor, s.Straggler.Factor, s.Straggler.SlowFor)
	}
	return b.String()
}

func hinge(f, s Nanos, k float64, n string) string {
	switch {
	case k == 0 && f == 0:
		return fmt.Sprintf("%v·%s", s, n)
	case k == 0:
		return fmt.Sprintf("%v + %v·%s", f, s, n)
	}
	return fmt.Sprintf("%v + %v·max(0, %s − %g)", f, s, n, k)
}

func (t *Table) describe() string {
	lo, hi := t.X[0], t.X[0]
	for _, x := range t.X {
		lo, hi = min(lo, x), max(hi, x)
	}
	return fmt.Sprintf("%s table of %d points over [%g, %g]", cmpOr(t.Scale, Linear), len(t.X), lo, hi)
}
