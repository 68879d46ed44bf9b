package scenarios

import "time"

// Builds of an update.
const (
	BuildGood    = "good"
	BuildBad     = "bad"     // is ready, and fails its requests
	BuildUnready = "unready" // fails its requests and its readiness check
)

func builds() []string { return []string{BuildGood, BuildBad, BuildUnready} }

// Update is a rolling update of the front ends.
type Update struct {
	Batch        int
	Gap          time.Duration // between the beginnings of two batches
	Detect       float64       // chance that a bad build is noticed after a batch
	Build        string
	Readiness    bool
	Restart      time.Duration
	ReadyTimeout time.Duration
}

// Cures of a lock that stalls.
const (
	CureNone    = "none"
	CureEvict   = "readiness"     // leave out a front end that misses its checks
	CureTimeout = "timeout"       // give the lock up and try another front end, once
	CureFlight  = "single_flight" // only the request that refreshes waits
)

func cures() []string { return []string{CureNone, CureEvict, CureTimeout, CureFlight} }

// Lock is the lock that every request of a front end takes before its limiter is asked:
// first come, first served. A stall is one long hold.
type Lock struct {
	Above float64 // load of the lock above which stalls begin
	Hold  time.Duration
	Cure  string
}

// frontFaults happen to front ends.
func frontFaults() []string { return []string{FaultCrash, FaultRolling, FaultLock} }

// operations decodes the keys of the faults that are operations on front ends.
func (d *decoder) operations(b block, f *Fault) {
	update := []string{"batch", "gap", "detect", "build", "readiness", "restart", "ready_timeout"}
	lock := []string{"above", "hold", "cure"}
	for i, k := range append(update, lock...) {
		takes := FaultRolling
		if i >= len(update) {
			takes = FaultLock
		}
		if n := b.get(k); n != nil && f.Kind != "" && f.Kind != takes {
			d.ps.at(n.key, b.at(k), "remove it", "the fault %s takes no %s", f.Kind, k)
		}
	}
	if f.Kind == FaultRolling || f.Kind == FaultLock {
		f.place = b.n.place()
		f.place.Path = b.path
	}
	switch f.Kind {
	case FaultRolling:
		f.Update = d.update(b, len(f.Fronts))
		if n := b.get("every"); n != nil {
			d.ps.at(n.key, b.at("every"), "give at", "a %s happens once", f.Kind)
		}
		if n := b.get("for"); n != nil {
			d.ps.at(n.key, b.at("for"), "remove it: gap and batch say how long it takes", "the fault %s takes no for", f.Kind)
		}
	case FaultLock:
		f.Lock = &Lock{Above: 0.8, Hold: 200 * time.Microsecond, Cure: CureNone}
		b.share("above", &f.Lock.Above, span{lo: 0, hi: 1, above: true})
		b.duration("hold", &f.Lock.Hold, 0, time.Second, true)
		b.enum("cure", &f.Lock.Cure, cures()...)
		if f.ForHi == 0 && b.get("for") == nil {
			d.ps.at(b.n, b.at("for"), "such as for: [5s, 60s]", "%s is missing: how long a stall lasts", b.at("for"))
		}
	}
}

func (d *decoder) update(b block, fronts int) *Update {
	u := &Update{Batch: 1, Gap: time.Minute, Detect: 0.5, Build: BuildBad, Readiness: true, Restart: 5 * time.Second, ReadyTimeout: 30 * time.Second}
	b.integer("batch", &u.Batch, 1, unbounded)
	if n := b.get("batch"); n != nil && fronts > 0 && u.Batch > fronts {
		d.ps.at(n, b.at("batch"), "", "%s is %d: above the number of front ends to update, %d", b.at("batch"), u.Batch, fronts)
	}
	b.duration("gap", &u.Gap, 0, 0, true)
	b.share("detect", &u.Detect, span{lo: 0, hi: 1})
	b.enum("build", &u.Build, builds()...)
	b.boolean("readiness", &u.Readiness)
	b.duration("restart", &u.Restart, 0, 0, true)
	b.duration("ready_timeout", &u.ReadyTimeout, 0, 0, true)
	if u.Restart >= u.Gap {
		at := b.get("gap")
		if at == nil {
			at = b.n
		}
		d.ps.at(at, b.at("gap"), "", "%s is %s: a batch would begin before the one before it has restarted, which takes %s", b.at("gap"), durationText(u.Gap), durationText(u.Restart))
	}
	return u
}
