package theory

import "math"

// Batching is one replica that runs batches: whenever it is free it takes what waits,
// at most Most, and a batch of k takes A + B·k. Times are in any one unit, and so is
// the law. The unit of Rate is its inverse.
type Batching struct {
	A, B float64
	Most int
	Rate float64
}

// Load is Rate over the largest throughput, Most/(A + B·Most).
func (b Batching) Load() float64 { return b.Rate * b.time(b.Most) / float64(b.Most) }

func (b Batching) time(k int) float64 { return b.A + b.B*float64(k) }

// Law follows from the queue at the ends of batches, a Markov chain (Bailey 1954). A
// request that comes while a batch runs sees the rest of it, and p requests before it
// in the queue; it runs in batch ⌊p/Most⌋ from there, with those that will have come
// behind it. One that finds the replica free runs alone at once. busy is the share of
// time that batches run.
func (b Batching) Law() (law Law, busy float64) {
	left := b.queueAtEnds()
	free := left[0] / b.Rate // time, per batch
	var run float64
	for q, x := range left {
		run += x * b.time(min(max(q, 1), b.Most))
	}
	cycle := free + run
	s := newSpread(b.time(1)/1024, b.time(1), free/cycle)
	behind := make([]float64, max(1, len(left)-b.Most)) // a full batch leaves these
	for q, x := range left {
		if q >= b.Most {
			behind[q-b.Most] += x
			continue
		}
		if q == 1 {
			x += left[0]
		}
		if q > 0 {
			b.during(s, q, []float64{1}, x*b.time(q)/cycle)
		}
	}
	if full := sum(behind); b.Most == 1 {
		behind[0] += left[0]
		b.scaledDuring(s, behind, (full+left[0])*b.time(1)/cycle)
	} else if full > 0 {
		b.scaledDuring(s, behind, full*b.time(b.Most)/cycle)
	}
	return s.law(), run / cycle
}

func (b Batching) scaledDuring(s *spread, behind []float64, weight float64) {
	total := sum(behind)
	for i := range behind {
		behind[i] /= total
	}
	b.during(s, b.Most, behind, weight)
}

// queueAtEnds is the stationary law of the number waiting when a batch ends.
func (b Batching) queueAtEnds() []float64 {
	now := make([]float64, 8*b.Most+64)
	now[0] = 1
	for range 200_000 {
		next := make([]float64, len(now))
		for q, x := range now {
			if x < negligible*1e-6 {
				continue
			}
			k := min(max(q, 1), b.Most)
			rest := max(q, 1) - k
			for n, p := range poisson(b.Rate * b.time(k)) {
				next[min(rest+n, len(next)-1)] += x * p
			}
		}
		change := 0.0
		for q, x := range next {
			change += math.Abs(x - now[q])
		}
		now = next
		if now[len(now)-1] > negligible {
			now = append(now, make([]float64, len(now))...)
			continue
		}
		if change < 1e-12 {
			break
		}
	}
	return now
}

// instants is how many instants within a batch stand for all, each for those around it.
const instants = 128

// during books the arrivals while a batch of k runs that has left behind[r] waiting;
// weight is their share of all.
func (b Batching) during(s *spread, k int, behind []float64, weight float64) {
	length := b.time(k)
	for u := range instants {
		gone := (float64(u) + 0.5) / instants * length
		before := make([]float64, len(behind)+int(b.Rate*gone+10*math.Sqrt(b.Rate*gone))+12)
		for n, p := range poisson(b.Rate * gone) {
			for r, x := range behind {
				if x*p > negligible*1e-3 {
					before[r+n] += x * p
				}
			}
		}
		b.queued(s, before, length-gone, length/instants, weight/instants)
	}
}

// queued books arrivals that find before[p] requests ahead and the rest of a batch,
// give or take half of width.
func (b Batching) queued(s *spread, before []float64, rest, width, weight float64) {
	for p := 0; p < len(before); p += b.Most {
		at := rest + float64(p/b.Most)*b.time(b.Most) // its batch starts
		for i, x := range before[p:min(p+b.Most, len(before))] {
			if x < negligible {
				continue
			}
			more := 1.0
			for n, q := range poisson(b.Rate * at) {
				if i+1+n >= b.Most {
					break
				}
				s.add(at+b.time(i+1+n), weight*x*q, width)
				more -= q
			}
			s.add(at+b.time(b.Most), weight*x*max(0, more), width)
		}
	}
}

// spread is a law on a fine grid, with one atom. Masses lie evenly over an interval
// each: kept are the steps of the density, shared out between the nodes beside them.
type spread struct {
	width   float64 // of a cell
	steps   []float64
	at, own float64 // the atom and its mass
	moment  float64
}

func newSpread(width, at, own float64) *spread {
	return &spread{width: width, at: at, own: own, moment: at * own}
}

// add spreads mass p over the interval of length w around t.
func (s *spread) add(t, p, w float64) {
	s.step(t-w/2, p/w)
	s.step(t+w/2, -p/w)
	s.moment += t * p
}

func (s *spread) step(x, density float64) {
	i := int(x / s.width)
	for i+1 >= len(s.steps) {
		s.steps = append(s.steps, make([]float64, len(s.steps)+1024)...)
	}
	part := x/s.width - float64(i)
	s.steps[i] += density * (1 - part)
	s.steps[i+1] += density * part
}

func (s *spread) law() Law {
	below := make([]float64, len(s.steps)+1) // mass below node i
	density := 0.0
	for i, d := range s.steps {
		density += d
		below[i+1] = below[i] + density*s.width
	}
	all := below[len(s.steps)] + s.own
	return Law{Mean: s.moment / all, Tail: func(t float64) float64 {
		x := t / s.width
		i := int(x)
		if i >= len(s.steps) {
			return 0
		}
		part := below[i] + (x-float64(i))*(below[i+1]-below[i])
		if t >= s.at {
			part += s.own
		}
		return max(0, 1-part/all)
	}}
}
