package quota

import (
	"time"

	"taillab/policies"
)

// SlidingLog remembers every admitted request for one window: exact at any instant, and
// as large as the limit. Each front end keeps its own.
type SlidingLog struct {
	Window time.Duration `yaml:"window" about:"length of the window" above:"0" max:"24h"`
	Limit  *float64      `yaml:"limit" about:"units per window; not given: what the group's rate gives" above:"0" max:"1e12"`

	groups perGroup[journal]
}

// journal is what was admitted, oldest first.
type journal struct {
	rows []entry
	gone int // rows that are too old
	sum  float64
}

type entry struct {
	at    time.Duration
	units float64
}

// drop forgets what is older than the window.
func (j *journal) drop(now, wide time.Duration) {
	for j.gone < len(j.rows) && j.rows[j.gone].at <= now-wide {
		j.sum -= j.rows[j.gone].units
		j.gone++
	}
	switch {
	case j.gone == len(j.rows):
		j.rows, j.gone, j.sum = j.rows[:0], 0, 0
	case j.gone > len(j.rows)/2:
		j.rows = append(j.rows[:0], j.rows[j.gone:]...)
		j.gone = 0
	}
}

// wait is how long until so many units are too old.
func (j *journal) wait(now, wide time.Duration, excess float64) time.Duration {
	for _, r := range j.rows[j.gone:] {
		if excess -= r.units; excess <= tiny {
			return r.at + wide - now
		}
	}
	return wide
}

// Admit implements Limiter.
func (p *SlidingLog) Admit(env *Env, req *policies.Request, cost float64) Verdict {
	b := boundOf(&env.Groups[req.Group], p.Limit, p.Window)
	if cost > b.limit+tiny {
		return Verdict{Outcome: Never}
	}
	j := p.groups.of(env, req.Group)
	j.drop(env.Now, b.wide)
	if excess := j.sum + cost - b.limit; excess > tiny {
		return Verdict{Denied, j.wait(env.Now, b.wide, excess)}
	}
	j.rows = append(j.rows, entry{env.Now, cost})
	j.sum += cost
	return Verdict{Outcome: Admitted}
}

// Observe implements Limiter: what a request used beyond its charge counts from the
// time it is known; what it left is taken off the newest rows.
func (p *SlidingLog) Observe(env *Env, ev *Event) {
	d := ev.Charged - ev.Actual
	if ev.Kind != Settled || d == 0 {
		return
	}
	j := p.groups.of(env, ev.Group)
	j.drop(env.Now, p.Window)
	if d < 0 {
		j.rows = append(j.rows, entry{env.Now, -d})
		j.sum -= d
		return
	}
	for k := len(j.rows) - 1; k >= j.gone && d > 0; k-- {
		x := min(d, j.rows[k].units)
		j.rows[k].units -= x
		j.sum -= x
		d -= x
	}
}
