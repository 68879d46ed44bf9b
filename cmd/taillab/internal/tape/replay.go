package tape

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"

	"taillab/policies/autoscale"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/policies/quota"
)

// Maker gives a fresh balancer of one service.
type Maker func() balance.Balancer

// Limit gives a fresh limiter, as the front ends of the tape had.
type Limit func() quota.Limiter

// Finding is what the replay of a tape gave.
type Finding struct {
	Calls     uint64
	Decisions uint64 // records that send a request
	Same      uint64 // of those, the ones that are equal
	Stream    string // where First is
	First     *flow.Difference
	Truncated []string // streams that end inside a record
}

// Replay feeds the streams to fresh instances: makers hold one per service, limit is
// nil where the tape has no quota. With
// free set the replay goes on after a difference, because another policy is
// being tried. An error names the stream that is no tape of such an instance.
func (t *Tape) Replay(makers []Maker, limit Limit, free bool) (Finding, error) {
	p := rebuild{t: t, makers: makers, limit: limit, free: free, dice: map[string]*chance.Dice{}}
	if err := p.inspect(); err != nil {
		return Finding{}, err
	}
	var f Finding
	for i := range t.Streams {
		s := &t.Streams[i]
		if service, ok := strings.CutPrefix(s.Name, "autoscale/"); ok {
			if err := p.autoscaler(&f, s, service); err != nil {
				return f, fmt.Errorf("stream %s: %w", s.Name, err)
			}
			if f.First != nil && !free {
				return f, nil
			}
			continue
		}
		in, err := p.instance(s.Name)
		if err != nil {
			return f, fmt.Errorf("stream %s: %w", s.Name, err)
		}
		if in == nil { // a front end that serves nothing: the policies are shared
			continue
		}
		in.Watch = t.Watch
		res, err := flow.Replay(s.Data, *in)
		f.Calls += res.Calls
		f.Decisions += res.Decisions
		f.Same += res.Same
		if err != nil {
			return f, fmt.Errorf("stream %s: %w", s.Name, err)
		}
		if res.Truncated {
			f.Truncated = append(f.Truncated, s.Name)
		}
		if res.First != nil && f.First == nil {
			f.Stream, f.First = s.Name, res.First
			if !free {
				return f, nil
			}
		}
	}
	return f, nil
}

// ScalerMaker gives a fresh autoscaler of one service.
type ScalerMaker func() autoscale.Autoscaler

// autoscaler replays the calls of a service's autoscaler and adds what it gave to f.
// Another balancer changes nothing that an autoscaler was shown on the tape, so with
// free set there is nothing to try.
func (p *rebuild) autoscaler(f *Finding, s *Stream, service string) error {
	if p.free {
		return nil
	}
	i := slices.IndexFunc(p.t.Services, func(x Service) bool { return x.Name == service })
	if i < 0 || i >= len(p.t.Scalers) || p.t.Scalers[i] == nil {
		return fmt.Errorf("the tape names no autoscaler for it")
	}
	var calls []autoscale.Call
	in := json.NewDecoder(bytes.NewReader(s.Data))
	for {
		var c autoscale.Call
		if err := in.Decode(&c); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			f.Truncated = append(f.Truncated, s.Name)
			break
		}
		calls = append(calls, c)
	}
	n, first := autoscale.Replay(p.t.Scalers[i](), chance.NewDice(p.t.RunSeed, s.Name), calls)
	f.Calls += n
	if first != nil {
		f.Stream, f.First = s.Name, &flow.Difference{Record: first.Call, At: first.At, Input: "desire", Taped: first.Taped, Now: first.Now}
	}
	return nil
}

// rebuild makes the instances of a run as the host made them: the same streams of
// chance under the same names, going on over the generations of a front end.
type rebuild struct {
	t      *Tape
	makers []Maker
	limit  Limit
	free   bool
	shared []bool // by service
	oracle []bool
	any    bool // some service is shared: its policy lives behind the front ends
	dice   map[string]*chance.Dice
}

// inspect looks at a throw-away instance of each policy.
func (p *rebuild) inspect() error {
	if (p.limit == nil) != (p.t.Quota == nil) {
		return fmt.Errorf("a limiter is given where the tape has none, or the other way round")
	}
	if len(p.makers) != len(p.t.Services) {
		return fmt.Errorf("%d policies for the %d services of the tape", len(p.makers), len(p.t.Services))
	}
	for _, m := range p.makers {
		b := m()
		if b == nil {
			return fmt.Errorf("the policy could not be made")
		}
		_, shared := balance.Inside[balance.Shared](b)
		p.shared = append(p.shared, shared)
		p.oracle = append(p.oracle, Oracle(b))
		p.any = p.any || shared
	}
	return nil
}

// Oracle tells whether a balancer, or one it decorates, reads the truth.
func Oracle(b balance.Balancer) bool {
	for b != nil {
		if _, ok := b.(balance.Oracle); ok {
			return true
		}
		w, ok := b.(balance.Wrapper)
		if !ok {
			return false
		}
		b = w.Unwrap().Bal
	}
	return false
}

// instance makes the instance that a stream was taped from, nil for one without
// any policy.
func (p *rebuild) instance(name string) (*flow.Replayed, error) {
	kind, rest, _ := strings.Cut(name, "/")
	switch kind {
	case "replicas":
		return p.replicas(rest)
	case "frontend":
		k, _, ok := strings.Cut(rest, ".")
		n, err := strconv.Atoi(k)
		if !ok || err != nil || n < 0 || n > p.t.FrontEnds {
			return nil, fmt.Errorf("no front end has this name")
		}
		return p.frontEnd(n)
	}
	return nil, fmt.Errorf("no kind of instance has this name")
}

func (p *rebuild) frontEnd(k int) (*flow.Replayed, error) {
	behind := k == p.t.FrontEnds
	index, count := k, p.t.FrontEnds
	if behind {
		index, count = 0, 1
	}
	truth := &flow.TapedTruth{}
	in := &flow.Replayed{Free: p.free}
	cfg := flow.Config{Index: index, Count: count}
	serves := false
	for i := range p.t.Services {
		s := &p.t.Services[i]
		svc := flow.Service{Name: s.Name, Table: s.table(), Detect: detect(s.Detect), Period: s.Period, Hold: s.Hold}
		if p.serves(i, behind) {
			serves = true
			svc.Dice, svc.Balancer = p.die(k, s.Name, index), p.makers[i]()
			if p.oracle[i] {
				svc.Truth, in.Truth = truth, truth
			}
		}
		cfg.Services = append(cfg.Services, svc)
	}
	if q := p.t.Quota; q != nil && !behind {
		serves = true
		cfg.Quota = &flow.Quota{Limiter: p.limit(), Dice: p.stream(k, fmt.Sprintf("quota/%d", k)), Groups: q.Groups,
			Loss: q.Loss, Cost: q.Cost, OnDenied: q.OnDenied}
	}
	if !serves && p.free {
		return nil, nil
	}
	in.FrontEnd = flow.New(cfg)
	return in, nil
}

// serves tells whether a front end holds the policy of service i. With another
// policy than the taped one the instances stay where they were.
func (p *rebuild) serves(i int, behind bool) bool {
	if p.free {
		return p.tapedShared() == behind
	}
	return p.shared[i] == behind
}

// tapedShared tells whether the taped policy lived behind the front ends.
func (p *rebuild) tapedShared() bool {
	behind := "frontend/" + strconv.Itoa(p.t.FrontEnds) + "."
	for _, s := range p.t.Streams {
		if strings.HasPrefix(s.Name, behind) {
			return true
		}
	}
	return false
}

// die is the stream of one policy at place k, which its next generation goes on with.
func (p *rebuild) die(k int, service string, index int) *chance.Dice {
	return p.stream(k, fmt.Sprintf("balance/%s/%d", service, index))
}

// stream is the stream of that name at place k, likewise.
func (p *rebuild) stream(k int, name string) *chance.Dice {
	at := strconv.Itoa(k) + " " + name
	if p.dice[at] == nil {
		p.dice[at] = chance.NewDice(p.t.RunSeed, name)
	}
	return p.dice[at]
}

func (p *rebuild) replicas(service string) (*flow.Replayed, error) {
	for i := range p.t.Services {
		s := &p.t.Services[i]
		if s.Name != service {
			continue
		}
		dice := make([]rand.PCG, s.Replicas)
		for r := range dice {
			dice[r] = chance.Stream(p.t.RunSeed, fmt.Sprintf("reporter/%s/%d", s.Name, r))
		}
		half := flow.NewReplicas(p.makers[i](), i, p.t.FrontEnds, dice, nil)
		if half == nil {
			if p.free {
				return nil, nil // the other policy has no half in the replicas
			}
			return nil, fmt.Errorf("the policy has no half in the replicas")
		}
		return &flow.Replayed{Replicas: half, Free: p.free}, nil
	}
	return nil, fmt.Errorf("the tape has no such service")
}

func (s *Service) table() *balance.Table {
	return &balance.Table{N: s.Replicas, Weights: s.Weights, Slots: s.Slots, Labels: s.Labels, Later: s.Later}
}

func detect(name string) flow.Detect {
	switch name {
	case "never":
		return flow.DetectNever
	case "health":
		return flow.DetectHealth
	}
	return flow.DetectReset
}
