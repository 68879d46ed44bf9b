package workloads

import (
	"cmp"
	"math"
	"slices"
	"strconv"
	"time"

	"taillab/policies"
)

// Modulation changes the rate of any arrival process over time: exactly one of
// its fields is set. Steps and ramps give absolute rates (a factor on a process
// that has no single rate: relative to its mean); bursts multiply.
type Modulation struct {
	Step  []Level `yaml:"step"`  // the rate holds until the next point
	Ramp  []Level `yaml:"ramp"`  // linear between the points, level after the last
	Burst *Burst  `yaml:"burst"` // a factor for a while
}

// Level is a rate from an instant on.
type Level struct {
	At   time.Duration `yaml:"at"`
	Rate float64       `yaml:"rate"` // per second; 0 is legal for a stretch
}

// Burst multiplies the rate for a while.
type Burst struct {
	At     time.Duration `yaml:"at"`
	Factor float64       `yaml:"factor"`
	For    time.Duration `yaml:"for"`
}

func checkModulate(ms []Modulation) []policies.Problem {
	var ps []policies.Problem
	levels := 0
	for i, m := range ms {
		at := "modulate[" + strconv.Itoa(i) + "]"
		given := 0
		if len(m.Step) > 0 {
			given, levels = given+1, levels+1
			ps = append(ps, under(at+".step", checkLevels(m.Step))...)
		}
		if len(m.Ramp) > 0 {
			given, levels = given+1, levels+1
			ps = append(ps, under(at+".ramp", checkLevels(m.Ramp))...)
		}
		if m.Burst != nil {
			given++
			ps = append(ps, under(at+".burst", m.Burst.check())...)
		}
		if given != 1 {
			ps = append(ps, hint(problem(at, "one entry holds %d of step, ramp and burst", given), "give exactly one"))
		}
		if levels == 2 && m.Burst == nil {
			ps = append(ps, hint(problem(at, "a second step or ramp"), "put all points into one; bursts may be many"))
		}
	}
	return ps
}

func checkLevels(ls []Level) []policies.Problem {
	var ps []policies.Problem
	for i, l := range ls {
		at := "[" + strconv.Itoa(i) + "]"
		if l.At < 0 {
			ps = append(ps, problem(at+".at", "at is %v: it must be at least 0", l.At))
		}
		if i > 0 && l.At < ls[i-1].At {
			ps = append(ps, problem(at+".at", "at is %v: it lies before the point above it", l.At))
		}
		if !within(l.Rate, 0, MaxRate) {
			ps = append(ps, problem(at+".rate", "the rate is %v/s: it must lie in [0, 1e9]/s", l.Rate))
		}
	}
	if n := len(ls); n > 0 && ls[n-1].Rate == 0 {
		ps = append(ps, hint(problem("["+strconv.Itoa(n-1)+"].rate", "the rate stays 0 from %v on: the schedule would end", ls[n-1].At), "add a point with a rate above 0"))
	}
	return ps
}

func (b Burst) check() []policies.Problem {
	var ps []policies.Problem
	if b.At < 0 {
		ps = append(ps, problem("at", "at is %v: it must be at least 0", b.At))
	}
	if !within(b.Factor, 0, 1e6) {
		ps = append(ps, problem("factor", "factor is %v: it must lie in [0, 1e6]", b.Factor))
	}
	if b.For <= 0 {
		ps = append(ps, problem("for", "for is %v: it must be above 0", b.For))
	}
	return ps
}

// stretch is a piece of time over which the rate is a linear multiple of the
// base process's: m0 at its start, m1 at its end.
type stretch struct {
	length time.Duration // ≤ 0: for ever
	m0, m1 float64
}

// stretches compiles the modulation of a process of the given mean rate. The
// last one lasts for ever.
func stretches(ms []Modulation, rate float64) []stretch {
	var edges []time.Duration
	for _, m := range ms {
		for _, l := range slices.Concat(m.Step, m.Ramp) {
			edges = append(edges, l.At)
		}
		if m.Burst != nil {
			edges = append(edges, m.Burst.At, m.Burst.At+m.Burst.For)
		}
	}
	slices.SortFunc(edges, cmp.Compare)
	edges = slices.Compact(edges)
	if len(edges) == 0 || edges[0] != 0 {
		edges = slices.Insert(edges, 0, 0)
	}
	out := make([]stretch, len(edges))
	for i, from := range edges {
		to := from + 1
		if i+1 < len(edges) {
			to = edges[i+1]
			out[i].length = to - from
		}
		out[i].m0, out[i].m1 = factors(ms, rate, from, to)
		if i+1 == len(edges) {
			out[i].m1 = out[i].m0
		}
	}
	return out
}

// factors is the multiple just after from and just before to; no edge lies between.
func factors(ms []Modulation, rate float64, from, to time.Duration) (m0, m1 float64) {
	m0, m1 = 1, 1
	for _, m := range ms {
		switch {
		case m.Burst != nil:
			if from >= m.Burst.At && from < m.Burst.At+m.Burst.For {
				m0, m1 = m0*m.Burst.Factor, m1*m.Burst.Factor
			}
		case len(m.Step) > 0:
			if i := reached(m.Step, from); i >= 0 {
				m0, m1 = m0*m.Step[i].Rate/rate, m1*m.Step[i].Rate/rate
			}
		case len(m.Ramp) > 0:
			if i := reached(m.Ramp, from); i >= 0 {
				m0, m1 = m0*rampAt(m.Ramp, i, from)/rate, m1*rampAt(m.Ramp, i, to)/rate
			}
		}
	}
	return m0, m1
}

// reached is the last point at or before t, −1 if none.
func reached(ls []Level, t time.Duration) int {
	n := -1
	for i, l := range ls {
		if l.At <= t {
			n = i
		}
	}
	return n
}

// rampAt is the rate at t on the piece that begins with point i.
func rampAt(ls []Level, i int, t time.Duration) float64 {
	if i+1 >= len(ls) || ls[i+1].At == ls[i].At {
		return ls[i].Rate
	}
	share := float64(t-ls[i].At) / float64(ls[i+1].At-ls[i].At)
	return ls[i].Rate + float64(share*(ls[i+1].Rate-ls[i].Rate))
}

// modulated maps a process's own time to the clock by inverting the integral of
// the multiple, piece by piece: a gap keeps its law, only time runs faster or slower.
type modulated struct {
	base  process
	list  []stretch
	cycle bool // begin again after the last
	at    int
	spent float64 // ns of the stretch already used
}

func (m *modulated) gap() float64 {
	need, out := m.base.gap(), 0.0
	for {
		s := m.list[m.at]
		if s.length <= 0 {
			return out + need/s.m0 // +Inf at a rate of 0
		}
		left := float64(s.length) - m.spent
		slope := (s.m1 - s.m0) / float64(s.length)
		here := s.m0 + float64(slope*m.spent)
		if area := left * (here + s.m1) / 2; need > area {
			need -= area
			out += left
			m.spent = 0
			if m.at++; m.at == len(m.list) && m.cycle {
				m.at = 0
			}
			continue
		}
		dt := min(left, 2*need/(here+math.Sqrt(max(0, here*here+2*slope*need))))
		if math.IsNaN(dt) { // 0/0: nothing needed where the rate is 0
			dt = 0
		}
		m.spent += dt
		return out + dt
	}
}
