package fit

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"taillab/sim/gpu"
)

// Play serves the requests of a run by a model: the same arrivals at the same replicas,
// without noise. The result has the instants that the model gives.
func Play(s gpu.Spec, run []Served) ([]Served, error) {
	if s.Kind == gpu.Service {
		return nil, fmt.Errorf("a model of kind %s needs the demand of requests, which a served run does not tell", s.Kind)
	}
	s.Noise.Sigma, s.Straggler = 0, gpu.Straggler{Factor: 1}
	m, problems := gpu.New(s)
	if len(problems) > 0 {
		return nil, fmt.Errorf("%s: %s", problems[0].Path, problems[0].Msg)
	}
	if err := checkServed(run); err != nil {
		return nil, err
	}
	out := slices.Clone(run)
	order := byArrival(run)
	lines := map[int]*line{}
	for _, i := range order {
		r := &run[i]
		l := lines[r.Replica]
		if l == nil {
			l = &line{pool: gpu.NewPool(1, 16), due: gpu.Due{At: gpu.Never}, run: out, zero: run[order[0]].Arrival}
			l.pool.Add(m, 1, rand.PCG{})
			lines[r.Replica] = l
		}
		l.accept(i)
	}
	for _, i := range order {
		lines[run[i].Replica].until(gpu.Never)
	}
	for _, i := range order {
		if l := lines[run[i].Replica]; l.refused != nil {
			return nil, l.refused
		}
	}
	return out, nil
}

// byArrival lists the requests in order of arrival.
func byArrival(run []Served) []int {
	order := make([]int, len(run))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(run[a].Arrival, run[b].Arrival) })
	return order
}

// line is one replica in virtual time.
type line struct {
	pool    *gpu.Pool
	due     gpu.Due
	ev      gpu.Events
	run     []Served
	zero    float64 // the instant of 0, ms
	refused error
}

func (l *line) accept(i int) {
	r := &l.run[i]
	now := time.Duration((r.Arrival - l.zero) * ms)
	l.until(now)
	l.due = l.pool.Accept(now, 0, &gpu.Item{ID: uint32(i), Input: uint32(r.Input), Output: uint32(r.Output)}, &l.ev)
	l.note()
}

// until runs what is due before an arrival: completions before and at its instant,
// timers before it.
func (l *line) until(now time.Duration) {
	for l.due.At < now || l.due.At == now && !l.due.Timer && now != gpu.Never {
		if l.due.Timer {
			l.due = l.pool.Expire(l.due.At, 0, &l.ev)
		} else {
			l.due = l.pool.Settle(l.due.At, 0, &l.ev)
		}
		l.note()
	}
}

// note takes the instants of what has ended.
func (l *line) note() {
	for _, e := range l.ev.List {
		switch r := &l.run[e.ID]; e.Kind {
		case gpu.Finished:
			r.First, r.Last = l.zero+float64(e.First)/ms, l.zero+float64(e.At)/ms
		case gpu.Rejected:
			if l.refused == nil {
				l.refused = fmt.Errorf("the model turns request %d away: %s", e.ID+1, e.Outcome)
			}
		}
	}
	l.ev.List = l.ev.List[:0]
}

// Scores compares a played run with the measured one.
type Scores struct {
	N               int
	TTFT, TPOT, E2E Score
}

// Score holds measured and predicted times of one kind, ms: mean, P50, P90, P99.
type Score struct{ Measured, Predicted [4]float64 }

// Error is predicted/measured − 1 in percent of mean, P50, P90 or P99.
func (s *Score) Error(i int) float64 { return 100 * (s.Predicted[i]/s.Measured[i] - 1) }

// Worst is the largest of the four errors, by size.
func (s *Score) Worst() (worst float64) {
	for i := range s.Measured {
		if e := s.Error(i); !math.IsNaN(e) && math.Abs(e) > math.Abs(worst) {
			worst = e
		}
	}
	return worst
}

// Compare scores the requests of index from on in order of arrival.
func Compare(run, played []Served, from int) Scores {
	order := byArrival(run)[from:]
	take := func(f func(*Served) float64) Score {
		return Score{spread(run, order, f), spread(played, order, f)}
	}
	return Scores{N: len(order),
		TTFT: take(func(r *Served) float64 { return r.First - r.Arrival }),
		E2E:  take(func(r *Served) float64 { return r.Last - r.Arrival }),
		TPOT: take(func(r *Served) float64 {
			if r.Output < 2 {
				return math.NaN() // has none
			}
			return r.perToken()
		})}
}

// spread is mean, P50, P90 and P99 (nearest rank) over some requests; NaN is left out.
func spread(run []Served, order []int, f func(*Served) float64) (out [4]float64) {
	var x []float64
	for _, i := range order {
		if v := f(&run[i]); !math.IsNaN(v) {
			x = append(x, v)
		}
	}
	if len(x) == 0 {
		return out
	}
	slices.Sort(x)
	for _, v := range x {
		out[0] += v / float64(len(x))
	}
	for i, p := range []float64{.5, .9, .99} {
		out[i+1] = x[int(math.Ceil(p*float64(len(x))))-1]
	}
	return out
}
