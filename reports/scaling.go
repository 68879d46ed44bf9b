package reports

import "time"

// Scaling gathers what a fleet that changes its size is judged by, over one run.
// Instants must not decrease within Desired and within Ready.
type Scaling struct {
	SLO    bool          // there is one: seconds that missed it can be counted
	Surge  time.Duration // when the load rises for the first time; < 0 = never
	Needed int           // replicas that the load after the surge keeps busy

	open     bool
	from     time.Duration // of the measured window
	until    time.Duration
	bins     []scaleBin // by second of arrival since from
	desired  steps
	ready    steps
	before   int // desired when the load rose
	detected time.Duration
	capable  time.Duration
	most     int // desired since the load rose
	turns    int
	rising   int // direction of the last change: −1, 0, 1

	starts, held, killed, reclaimed int64
	heldFor                         time.Duration
}

// scaleBin is a second: the requests that arrived in it, and those outside the SLO.
type scaleBin struct{ n, bad int32 }

// steps is a count that changes at instants, integrated over the window.
type steps struct {
	now  int
	at   time.Duration
	area float64 // count · ns; once closed, count · s
}

func (s *steps) set(at time.Duration, n int) {
	s.area += float64(float64(s.now) * float64(at-s.at))
	s.now, s.at = n, at
}

// Begin sets the counts at the start of the run.
func (s *Scaling) Begin(desired, ready int) {
	s.desired.now, s.ready.now = desired, ready
	s.before, s.detected, s.capable = desired, -1, -1
	if s.Surge >= 0 && ready >= s.Needed {
		s.capable = s.Surge
	}
}

// Open begins the measured window.
func (s *Scaling) Open(at time.Duration) {
	s.open, s.from = true, at
	s.desired.set(at, s.desired.now)
	s.ready.set(at, s.ready.now)
	s.desired.area, s.ready.area = 0, 0
}

// Close ends it; what is told later changes no mean.
func (s *Scaling) Close(at time.Duration) {
	s.desired.set(at, s.desired.now)
	s.ready.set(at, s.ready.now)
	s.open, s.until = false, at
	s.desired.area, s.ready.area = s.desired.area/1e9, s.ready.area/1e9
}

// Desired tells that the autoscaler now wants n replicas.
func (s *Scaling) Desired(at time.Duration, n int) {
	was := s.desired.now
	if s.until > 0 || n == was {
		return
	}
	s.desired.set(at, n)
	direction := 1
	if n < was {
		direction = -1
	}
	if s.open && s.rising == -direction {
		s.turns++
	}
	s.rising = direction
	switch {
	case s.Surge < 0:
	case at < s.Surge:
		s.before = n
	default:
		s.most = max(s.most, n)
		if s.detected < 0 && n > s.before {
			s.detected = at
		}
	}
}

// Ready tells that n replicas now take requests.
func (s *Scaling) Ready(at time.Duration, n int) {
	if s.until > 0 {
		return
	}
	s.ready.set(at, n)
	if s.Surge >= 0 && at < s.Surge {
		s.capable = -1
		if n >= s.Needed {
			s.capable = s.Surge
		}
	}
	if s.Surge >= 0 && at >= s.Surge && s.capable < 0 && n >= s.Needed {
		s.capable = at
	}
}

// Request books a measured request by its arrival; good says that it met the SLO.
func (s *Scaling) Request(arrived time.Duration, good bool) {
	i := int((arrived - s.from) / time.Second)
	if i < 0 {
		return
	}
	for i >= len(s.bins) {
		s.bins = append(s.bins, scaleBin{})
	}
	s.bins[i].n++
	if !good {
		s.bins[i].bad++
	}
}

// Held books a measured request that waited in the hold stage.
func (s *Scaling) Held(d time.Duration) { s.held++; s.heldFor += d }

// Started books a replica that became ready.
func (s *Scaling) Started() {
	if s.open {
		s.starts++
	}
}

// Killed books a measured request that ended because its replica was killed or gone.
func (s *Scaling) Killed(byReclaim bool) {
	s.killed++
	if byReclaim {
		s.reclaimed++
	}
}

// Missed is the number of seconds whose P99 lay outside the SLO, counted by arrivals:
// the ⌈0.99 n⌉-th smallest latency of n does when more than ⌊n/100⌋ do. A request that
// failed lies outside.
func (s *Scaling) Missed() int {
	n := 0
	for _, b := range s.bins {
		if b.bad > b.n/100 {
			n++
		}
	}
	return n
}

// Metrics closes the run: what was gathered, under the names of the summary. GPUSeconds
// and the share of them in which nothing ran come from the host.
func (s *Scaling) Metrics(gpuSeconds, idle float64) []Metric {
	window := (s.until - s.from).Seconds()
	out := []Metric{
		{"gpu_hours", finite(gpuSeconds / 3600)}, {"idle_gpu", finite(idle)},
		{"replicas_desired", finite(s.desired.area / window)}, {"replicas_ready", finite(s.ready.area / window)},
		{"cold_starts", finite(float64(s.starts))}, {"oscillations", finite(float64(s.turns) * 3600 / window)},
		{"held_requests", finite(float64(s.held))}, {"held_mean_s", nil},
		{"killed_requests", finite(float64(s.killed))}, {"killed_by_reclaim", nil},
		{"slo_miss_s", nil}, {"detection_s", nil}, {"capacity_s", nil}, {"overshoot", nil},
	}
	set := func(name string, v float64) {
		for i := range out {
			if out[i].Name == name {
				out[i].Value = finite(v)
			}
		}
	}
	if s.held > 0 {
		set("held_mean_s", s.heldFor.Seconds()/float64(s.held))
	}
	if s.killed > 0 {
		set("killed_by_reclaim", float64(s.reclaimed)/float64(s.killed))
	}
	if s.SLO {
		set("slo_miss_s", float64(s.Missed()))
	}
	if s.Surge >= 0 {
		set("overshoot", float64(max(0, max(s.most, s.before)-s.Needed)))
		switch {
		case s.before >= s.Needed:
			set("detection_s", 0)
		case s.detected >= 0:
			set("detection_s", (s.detected - s.Surge).Seconds())
		}
		if s.capable >= 0 {
			set("capacity_s", (s.capable - s.Surge).Seconds())
		}
	}
	return out
}
