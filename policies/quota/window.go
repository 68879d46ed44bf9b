package quota

import (
	"time"

	"taillab/policies"
)

// Bounds of a number of units per time, when a limiter has one of its own.
type bound struct {
	limit float64 // units per window
	wide  time.Duration
}

// boundOf is the limit per window: the limiter's own, else what the group's rate gives
// in that time.
func boundOf(g *Group, own *float64, window time.Duration) bound {
	if own != nil {
		return bound{*own, window}
	}
	return bound{g.Rate * window.Seconds(), window}
}

// perGroup is what a windowed limiter keeps by group.
type perGroup[T any] struct{ list []T }

func (p *perGroup[T]) of(env *Env, group uint32) *T {
	if p.list == nil {
		p.list = make([]T, len(env.Groups))
	}
	return &p.list[group]
}

// FixedWindow counts units in windows that begin at whole multiples of their length
// (code: envoyproxy/ratelimit). Around a border twice the limit can pass at once. Each
// front end counts by itself.
type FixedWindow struct {
	Unit     string   `yaml:"unit" about:"length of a window" enum:"second|minute|hour|day"`
	Limit    *float64 `yaml:"limit" about:"units per window; not given: what the group's rate gives" above:"0" max:"1e12"`
	Near     float64  `yaml:"near" about:"share of the limit from which decisions count as near it" above:"0" max:"1"`
	StopOver bool     `yaml:"stop_when_over" about:"denied requests are not counted; else they are, too"`

	groups  perGroup[window]
	charged map[uint64]struct{} // requests admitted in the newest window
	newest  time.Duration
	near    uint64
}

// window is a count of units since a time.
type window struct {
	start     time.Duration
	prev, cur float64
}

// length of the windows.
func (p *FixedWindow) length() time.Duration {
	switch p.Unit {
	case "minute":
		return time.Minute
	case "hour":
		return time.Hour
	case "day":
		return 24 * time.Hour
	}
	return time.Second
}

// turn begins the window that holds now.
func (w *window) turn(now, wide time.Duration) {
	start := now - now%wide
	if start == w.start {
		return
	}
	w.prev = 0
	if start == w.start+wide {
		w.prev = w.cur
	}
	w.start, w.cur = start, 0
}

// Admit implements Limiter: over is when the count after adding is above the limit.
func (p *FixedWindow) Admit(env *Env, req *policies.Request, cost float64) Verdict {
	b := boundOf(&env.Groups[req.Group], p.Limit, p.length())
	if cost > b.limit+tiny {
		return Verdict{Outcome: Never}
	}
	w := p.groups.of(env, req.Group)
	w.turn(env.Now, b.wide)
	over := w.cur+cost > b.limit+tiny
	if !over || !p.StopOver {
		w.cur += cost
	}
	if over {
		return Verdict{Denied, w.start + b.wide - env.Now}
	}
	if w.cur > b.limit*p.Near {
		p.near++
	}
	if p.charged == nil || w.start != p.newest {
		p.charged, p.newest = map[uint64]struct{}{}, w.start
	}
	p.charged[req.ID] = struct{}{}
	return Verdict{Outcome: Admitted}
}

// Observe implements Limiter: a settlement counts within the window that was charged.
func (p *FixedWindow) Observe(env *Env, ev *Event) {
	if ev.Kind != Settled {
		return
	}
	_, known := p.charged[ev.Req]
	delete(p.charged, ev.Req)
	if w := p.groups.of(env, ev.Group); known && env.Now-env.Now%p.length() == w.start {
		w.cur = max(0, w.cur-(ev.Charged-ev.Actual))
	}
}

// Counts implements Counted.
func (p *FixedWindow) Counts(add func(name string, n uint64)) { add("near_limit", p.near) }

// SlidingCounter estimates the units of the last window from two aligned windows: the
// part of the one before that still counts, and the present one. Each front end counts
// by itself.
type SlidingCounter struct {
	Window time.Duration `yaml:"window" about:"length of the window" above:"0" max:"24h"`
	Limit  *float64      `yaml:"limit" about:"units per window; not given: what the group's rate gives" above:"0" max:"1e12"`

	groups perGroup[window]
}

// Admit implements Limiter.
func (p *SlidingCounter) Admit(env *Env, req *policies.Request, cost float64) Verdict {
	b := boundOf(&env.Groups[req.Group], p.Limit, p.Window)
	if cost > b.limit+tiny {
		return Verdict{Outcome: Never}
	}
	w := p.groups.of(env, req.Group)
	w.turn(env.Now, b.wide)
	if w.estimate(env.Now, b.wide)+cost > b.limit+tiny {
		return Verdict{Denied, w.wait(env.Now, b, cost)}
	}
	w.cur += cost
	return Verdict{Outcome: Admitted}
}

// estimate is prev·(1 − part of the window gone) + cur.
func (w *window) estimate(now, wide time.Duration) float64 {
	return w.prev*(1-float64(now-w.start)/float64(wide)) + w.cur
}

// wait is how long until the estimate leaves room for the cost: within this window as
// the one before fades, else within the next as this one does.
func (w *window) wait(now time.Duration, b bound, cost float64) time.Duration {
	fade := func(count, room float64) time.Duration { // into a window until count·(1−x) ≤ room
		return nanos((1-room/count)*b.wide.Seconds(), 1)
	}
	if room := b.limit - cost - w.cur; room >= 0 && w.prev > 0 {
		return max(0, w.start+fade(w.prev, room)-now)
	}
	at := w.start + b.wide
	if room := b.limit - cost; w.cur > room {
		at += fade(w.cur, room)
	}
	return at - now
}

// Observe implements Limiter.
func (p *SlidingCounter) Observe(env *Env, ev *Event) {
	if ev.Kind == Settled && ev.Charged != ev.Actual {
		w := p.groups.of(env, ev.Group)
		w.turn(env.Now, p.Window)
		w.cur = max(0, w.cur-(ev.Charged-ev.Actual))
	}
}
