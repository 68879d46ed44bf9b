package app

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"taillab/cmd/taillab/internal/tape"
	"taillab/policies/balance"
	"taillab/scenarios"
)

// replayCmd is `taillab replay`: it proves that a policy decides the same again.
type replayCmd struct {
	Tape   string `arg:"" help:"A file tapes/*.tape of a run directory; of a chain, its folder or its first file."`
	Policy string `help:"Feed the tape to another policy and print the share of equal decisions." placeholder:"NAME"`
	Common common `embed:""`
}

func (c *replayCmd) run(s *session) int {
	t, code := c.open(s)
	if t == nil {
		return code
	}
	makers, err := c.makers(s, t)
	if err != nil {
		return s.fail(exitUsage, "", "%s: %v", c.Tape, err)
	}
	limit, err := limiterOf(s, t)
	if err != nil {
		return s.fail(exitUsage, "", "%s: %v", c.Tape, err)
	}
	if t.Scalers, err = scalers(s, t); err != nil {
		return s.fail(exitUsage, "", "%s: %v", c.Tape, err)
	}
	f, err := t.Replay(makers, limit, c.Policy != "")
	if err != nil {
		return s.fail(exitBroken, "the tape is damaged, or it was recorded by a policy that works differently by now", "%s: %v", c.Tape, err)
	}
	if t.Cut || len(f.Truncated) > 0 {
		code = s.fail(exitBroken, "", "%s is cut short: replayed up to its last whole record", c.Tape)
	}
	return worst(code, c.print(s, t, f))
}

// open reads the tape. Of one whose last part is missing there is a tape and a code.
func (c *replayCmd) open(s *session) (*tape.Tape, int) {
	t, err := tape.Open(c.Tape)
	switch {
	case err == nil:
		return t, exitOK
	case errors.Is(err, os.ErrNotExist):
		return nil, s.fail(exitUsage, "tapes are recorded by: taillab run SCENARIO --tape on", "there is no tape %s", c.Tape)
	case t != nil:
		return t, s.fail(exitBroken, "", "%s: %v: replayed as far as it goes", c.Tape, err)
	case errors.Is(err, tape.ErrDamaged):
		return nil, s.fail(exitBroken, "", "%s: %v", c.Tape, err)
	}
	return nil, s.fail(exitUsage, "", "%s: %v", c.Tape, err)
}

// makers gives one maker per service: of the taped policy, or of --policy.
func (c *replayCmd) makers(s *session, t *tape.Tape) ([]tape.Maker, error) {
	var out []tape.Maker
	for _, svc := range t.Services {
		name, params := svc.Type, svc.Params
		if c.Policy != "" {
			name, params = c.Policy, nil
		}
		if _, ok := s.catalog.Find("balance", name); !ok {
			return nil, fmt.Errorf("no balancer called %q (%s)", name, scenarios.Suggest(name, s.catalog.Names("balance"), "taillab list policies"))
		}
		p, problems := scenarios.MakeBalancer(s.catalog, name, params)
		if len(problems) > 0 {
			return nil, fmt.Errorf("the policy %s cannot be made: %s", name, problems[0].Message)
		}
		if c.Policy != "" {
			if err := fits(p.Make(), svc.Type, s); err != nil {
				return nil, err
			}
		}
		out = append(out, tape.Maker(p.Make))
	}
	return out, nil
}

// limiterOf gives the maker of the taped limiter, nil where there was none.
func limiterOf(s *session, t *tape.Tape) (tape.Limit, error) {
	q := t.Quota
	if q == nil {
		return nil, nil
	}
	for _, x := range []struct{ family, name string }{{"quota", q.Type}, {"share", q.Share}} {
		if _, ok := s.catalog.Find(x.family, x.name); !ok {
			return nil, fmt.Errorf("there is no policies.%s called %q (%s)", x.family, x.name, scenarios.Suggest(x.name, s.catalog.Names(x.family), "taillab list policies"))
		}
	}
	x, problems := scenarios.MakeLimiter(s.catalog, q.Type, q.Params, q.Share, q.ShareParams)
	if len(problems) > 0 {
		return nil, fmt.Errorf("the limiter %s cannot be made: %s", q.Type, problems[0].Message)
	}
	return x.Make, nil
}

// scalers gives one maker per service that has an autoscaler on the tape.
func scalers(s *session, t *tape.Tape) ([]tape.ScalerMaker, error) {
	out := make([]tape.ScalerMaker, len(t.Services))
	for i, svc := range t.Services {
		if svc.Scaler == nil {
			continue
		}
		a, problems := scenarios.MakeAutoscaler(s.catalog, svc.Scaler.Type, svc.Scaler.Params)
		if len(problems) > 0 {
			return nil, fmt.Errorf("the autoscaler %s cannot be made: %s", svc.Scaler.Type, problems[0].Message)
		}
		out[i] = tape.ScalerMaker(a.Make)
	}
	return out, nil
}

// fits refuses to try a policy that needs what the tape does not hold.
func fits(b balance.Balancer, taped string, s *session) error {
	e, ok := s.catalog.Find("balance", taped)
	if tape.Oracle(b) {
		was := false
		if old, isBalancer := e.New().(balance.Balancer); ok && isBalancer {
			was = tape.Oracle(old)
		}
		if !was {
			return fmt.Errorf("this policy reads the true state of the replicas, which the tape of %s does not hold", taped)
		}
	}
	return nil
}

func (c *replayCmd) print(s *session, t *tape.Tape, f tape.Finding) int {
	calls := grouped(f.Calls)
	if c.Policy != "" {
		share := 0.0
		if f.Decisions > 0 {
			share = 100 * float64(f.Same) / float64(f.Decisions)
		}
		fmt.Fprintf(s.out, "%s calls of %s, fed to %s: %s of %s decisions are equal (%.1f%%)\n",
			calls, t.Policy, c.Policy, grouped(f.Same), grouped(f.Decisions), share)
		return exitOK
	}
	if f.First == nil {
		fmt.Fprintf(s.out, "%s calls, identical\n", calls)
		return exitOK
	}
	d := f.First
	fmt.Fprintf(s.out, "first difference: %s of policy %s, call %s, %s at %v\n  tape    %s\n  replay  %s\n",
		f.Stream, t.Policy, grouped(d.Record), d.Input, d.At, d.Taped, d.Now)
	return exitFailed
}

// grouped writes 5386 as "5 386".
func grouped(n uint64) string {
	s := fmt.Sprint(n)
	var parts []string
	for len(s) > 3 {
		parts = append([]string{s[len(s)-3:]}, parts...)
		s = s[:len(s)-3]
	}
	return strings.Join(append([]string{s}, parts...), " ")
}
