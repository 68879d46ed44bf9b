package quota

import "taillab/policies"

// fitRate refuses a setting without a rate for a limiter that has none of its own.
func fitRate(s Setting, own *float64) []policies.Problem {
	if own != nil {
		return nil
	}
	for i := range s.Groups {
		switch g := &s.Groups[i]; {
		case g.Units > 0:
			return []policies.Problem{{Msg: "it keeps a rate, but the group limit is a number of units held at once", Hint: "use concurrency, static, or central with inner: concurrency"}}
		case g.Rate == 0:
			return []policies.Problem{{Msg: "there is no limit to keep", Hint: "give quota.group_limit a rate, such as {rate: 600/s, burst: 600}"}}
		}
	}
	return nil
}

// fitUnits refuses a setting without a number of units, likewise.
func fitUnits(s Setting, own *float64) []policies.Problem {
	for i := range s.Groups {
		if own == nil && s.Groups[i].Units == 0 {
			return []policies.Problem{{Msg: "there is no number of units to keep", Hint: "give quota.group_limit {concurrency: 64}"}}
		}
	}
	return nil
}

// Fit implements Fitted.
func (p *Token) Fit(s Setting) (problems, warnings []policies.Problem) {
	return fitRate(s, p.Rate), nil
}

// Fit implements Fitted.
func (p *GCRA) Fit(s Setting) (problems, warnings []policies.Problem) {
	return fitRate(s, p.Rate), nil
}

// Fit implements Fitted.
func (p *Concurrency) Fit(s Setting) (problems, warnings []policies.Problem) {
	return fitUnits(s, p.Units), nil
}

// Fit implements Fitted: a part of either kind of limit.
func (p *Static) Fit(s Setting) (problems, warnings []policies.Problem) {
	for i := range s.Groups {
		if s.Groups[i].Units == 0 {
			return fitRate(s, nil), nil
		}
	}
	return nil, nil
}

// Fit implements Fitted.
func (p *FixedWindow) Fit(s Setting) (problems, warnings []policies.Problem) {
	return fitRate(s, p.Limit), nil
}

// Fit implements Fitted.
func (p *SlidingCounter) Fit(s Setting) (problems, warnings []policies.Problem) {
	return fitRate(s, p.Limit), nil
}

// Fit implements Fitted.
func (p *SlidingLog) Fit(s Setting) (problems, warnings []policies.Problem) {
	return fitRate(s, p.Limit), nil
}

// Fit implements Fitted.
func (p *Leaky) Fit(s Setting) (problems, warnings []policies.Problem) {
	return fitRate(s, p.Rate), nil
}
