package fit

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"taillab/sim/gpu"
)

// Served is one request of a run that a replica served, in ms since any instant.
type Served struct {
	Replica              int // requests of one replica slow each other
	Arrival, First, Last float64
	Input, Output        float64 // tokens
}

// perToken is the time per output token after the first.
func (r *Served) perToken() float64 { return (r.Last - r.First) / (r.Output - 1) }

// begin is where the step of the first token begins and the prompt ends.
func (r *Served) begin() float64 {
	if r.Output < 2 {
		return r.First
	}
	return r.First - r.perToken()
}

// FitServed finds the parameters of a tokens model from a run that was served. Between
// its first and last token a request of O tokens sees O − 1 steps of base + per_seq·n +
// per_kv·K. Summed over them, n is the number of tokens that all requests put out in
// that time, and K the context that those tokens had; the prompts that came between add
// per_token for each of their tokens. So the time from first to last token is linear in
// all four, and no instants of single tokens are needed. A floor of prompts is not told
// apart from it: many prompts lie between two tokens, so their number is their length.
func FitServed(run []Served) (gpu.Spec, Report, error) {
	r := Report{LOO: math.NaN()}
	if err := checkServed(run); err != nil {
		return gpu.Spec{}, r, err
	}
	rows, c, err := servedRates(run, byArrival(run))
	r.N = len(rows)
	if err != nil {
		return gpu.Spec{}, r, err
	}
	at := func(x servedRow, c []float64) float64 { return dot(x.columns, c) }
	for _, x := range rows {
		r.add(x.ms, at(x, c))
	}
	r.LOO = leaveOut(rows, func(x servedRow) float64 { return x.ms },
		solveServed, at)
	r.zeros([]string{"step.base", "step.per_seq", "step.per_kv", "prefill.per_token"}, c)
	return servedSpec(c, run), r, nil
}

// HoldOut foretells a run from its first third: parameters are fitted to the requests
// that arrived first, the whole run is played by them, and the others are scored.
func HoldOut(run []Served) (Scores, error) {
	if err := checkServed(run); err != nil {
		return Scores{}, err
	}
	from := len(run) / 3
	_, c, err := servedRates(run, byArrival(run)[:from])
	if err != nil {
		return Scores{}, err
	}
	played, err := Play(servedSpec(c, run), run)
	if err != nil {
		return Scores{}, err
	}
	return Compare(run, played, from), nil
}

func servedSpec(c []float64, run []Served) gpu.Spec {
	s := tokensSpec(c)
	s.Slots = mostInside(run)
	return s
}

// servedRates fits base, per_seq and per_kv of the step and per_token of prompts, in ms,
// to some requests of a run. What is not known is what else happened at the ends of a
// request's time, whatever its length: hence the root of it as weight.
func servedRates(run []Served, of []int) (rows []servedRow, c []float64, err error) {
	rows = servedRows(run, of)
	c, err = solveServed(rows)
	return rows, c, err
}

func solveServed(rows []servedRow) ([]float64, error) {
	if len(rows) < 4 {
		return nil, fmt.Errorf("%d requests of two or more output tokens for 4 parameters", len(rows))
	}
	a, y, weights := make([][]float64, len(rows)), make([]float64, len(rows)), make([]float64, len(rows))
	for i, x := range rows {
		a[i], y[i], weights[i] = x.columns, x.ms, Root.of(x.ms)
	}
	c, err := weighted(a, y, weights)
	if err == nil && c[0] == 0 {
		err = errors.New("the base of a step comes out as 0: the number of requests inside hardly changed, so nothing tells a step's parts apart; take a run that begins or ends with few")
	}
	return c, err
}

func checkServed(run []Served) error {
	for i, r := range run {
		if !(r.Input >= 0 && r.Output >= 1 && r.Arrival <= r.First && r.First <= r.Last) || math.IsInf(r.Last-r.Arrival, 0) {
			return fmt.Errorf("request %d: arrival %g, first token %g, last token %g ms, input %g, output %g: the instants must follow each other, and output be 1 or more",
				i+1, r.Arrival, r.First, r.Last, r.Input, r.Output)
		}
	}
	return nil
}

// servedRow is the time from first to last token, and what it was spent on.
type servedRow struct {
	ms      float64
	columns []float64 // steps; tokens put out; their context; tokens of prompts
}

// servedRows looks at some requests of a run beside all others.
func servedRows(run []Served, of []int) []servedRow {
	replicas := map[int][]*Served{}
	for i := range run {
		replicas[run[i].Replica] = append(replicas[run[i].Replica], &run[i])
	}
	made := map[int]steps{}
	for k, list := range replicas {
		made[k] = countSteps(list)
	}
	var out []servedRow
	for _, i := range of {
		r := &run[i]
		if r.Output < 2 || !(r.Last > r.First) {
			continue
		}
		x := servedRow{ms: r.Last - r.First, columns: []float64{r.Output - 1, 0, 0, 0}}
		count := made[r.Replica]
		for _, o := range replicas[r.Replica] {
			x.meet(r, o, &count)
		}
		out = append(out, x)
	}
	return out
}

// meet adds what a request did between the first and the last token of r: a token in
// each step that it was inside, its prompt before them.
func (x *servedRow) meet(r, o *Served, count *steps) {
	begin := o.begin()
	if from, to := max(r.First, begin), min(r.Last, o.Last); from < to {
		n := count.until(to) - count.until(from)
		x.columns[1] += n
		x.columns[2] += n * (o.Input + o.Output/2)
	}
	if o != r && begin > r.First && begin <= r.Last {
		x.columns[3] += o.Input
	}
}

// mostInside is the largest number of requests of one replica between their first and
// last tokens at a time.
func mostInside(run []Served) int {
	type edge struct {
		at      float64
		replica int
		by      int
	}
	var edges []edge
	for _, r := range run {
		edges = append(edges, edge{r.First, r.Replica, 1}, edge{r.Last, r.Replica, -1})
	}
	slices.SortFunc(edges, func(a, b edge) int {
		switch {
		case a.at < b.at:
			return -1
		case a.at > b.at:
			return 1
		}
		return a.by - b.by // leave before another enters
	})
	inside, most := map[int]int{}, 1
	for _, e := range edges {
		inside[e.replica] += e.by
		most = max(most, inside[e.replica])
	}
	return most
}
