package sim

import (
	"math"
	"time"

	"taillab/policies/autoscale"
	"taillab/policies/chance"
	"taillab/scenarios"
)

// reclaimer takes nodes away. The time to the next event is drawn once as an
// exponential amount of hazard, which the nodes then use up: together each of them is
// taken at the scenario's rate, whatever the size of the batches.
type reclaimer struct {
	timer Timer
	drawn bool
	left  float64       // hazard until the next event
	at    time.Duration // until when it was used up
}

// batch is how many nodes an event takes.
func (e *elastic) batch() int {
	return max(1, int(math.Round(e.cfg.Reclaim.Batch*float64(e.nodes.N))))
}

// hazard is that of a node between two ages. A Weibull law of shape 2
// and mean 1/rate has the cumulative hazard (π/4)·(rate·age)².
func (e *elastic) hazard(from, to time.Duration) float64 {
	rate := e.cfg.Reclaim.Rate
	if e.cfg.Reclaim.Law == scenarios.LawWeibull {
		a, b := rate*from.Seconds(), rate*to.Seconds()
		return math.Pi / 4 * (float64(b*b) - float64(a*a))
	}
	return rate * (to - from).Seconds()
}

// pass uses hazard up until now, before the set of nodes changes.
func (e *elastic) pass() {
	if e.cfg.Reclaim.Rate == 0 {
		return
	}
	now, t := e.l.now(), &e.taken
	sum := 0.0
	for r := range e.pods {
		if p := &e.pods[r]; p.holds {
			sum += e.hazard(t.at-p.bound, now-p.bound)
		}
	}
	t.left -= sum / float64(e.batch())
	t.at = now
}

// age files the next event for the nodes as they are now.
func (e *elastic) age() {
	if e.cfg.Reclaim.Rate == 0 {
		return
	}
	t := &e.taken
	if !t.drawn {
		t.left, t.drawn = chance.Exp(e.l.stream("reclaim/"+e.s.name)), true
	}
	if e.nodes.N == 0 {
		e.l.eng.Cancel(t.timer)
		return
	}
	need := float64(max(0, t.left) * float64(e.batch()))
	e.l.eng.Reset(t.timer, At(t.at+time.Duration(min(e.solve(need), 1e17)+1)))
}

// solve is the time in ns in which the nodes use up an amount of hazard: linear in it,
// or the root of a square for nodes that wear out.
func (e *elastic) solve(need float64) float64 {
	rate, n, ages := e.cfg.Reclaim.Rate, float64(e.nodes.N), 0.0
	if e.cfg.Reclaim.Law == scenarios.LawExp {
		return need / (rate * n) * 1e9
	}
	for r := range e.pods {
		if p := &e.pods[r]; p.holds {
			ages += (e.taken.at - p.bound).Seconds()
		}
	}
	k := math.Pi / 4 * rate * rate // k·(n·t² + 2·ages·t) = need
	return (math.Sqrt(float64(ages*ages)+float64(n*need)/k) - ages) / n * 1e9
}

// reclaimNodes is one event: a batch of nodes gets its notice at once.
func (e *elastic) reclaimNodes() {
	e.pass()
	e.taken.drawn = false
	for range e.batch() {
		r := e.draw()
		if r < 0 {
			break
		}
		e.condemn(uint32(r))
	}
	e.age()
}

// draw picks a node that is not under notice, by its hazard.
func (e *elastic) draw() int {
	now, sum := e.l.now(), 0.0
	weight := func(p *pod) float64 {
		if !p.holds || p.condemned {
			return 0
		}
		if e.cfg.Reclaim.Law == scenarios.LawWeibull {
			return (now - p.bound).Seconds() + 1e-9
		}
		return 1
	}
	for r := range e.pods {
		sum += weight(&e.pods[r])
	}
	x, last := chance.Float(e.l.stream("reclaim/"+e.s.name))*sum, -1
	for r := range e.pods {
		w := weight(&e.pods[r])
		if w == 0 {
			continue
		}
		if last = r; x < w {
			break
		}
		x -= w
	}
	return last
}

// condemn gives a node its notice: its pod drains until then, at the speed of a node
// under notice, and is killed with what is left. A pod that is not wanted to end is
// replaced at once.
func (e *elastic) condemn(r uint32) {
	p, c := &e.pods[r], &e.s.state[r]
	p.condemned = true
	notice := e.cfg.Reclaim.Notice
	if p.phase >= autoscale.Ready {
		if notice <= 0 {
			p.cause = reclaimed
			e.kill(r)
			return
		}
		c.slow /= e.cfg.Reclaim.Factor
		e.l.rerate(e.svc, r)
	}
	e.drain(r, notice, reclaimed)
	e.reconcile()
}
