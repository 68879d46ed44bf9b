package proxy

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/realrun/timers"
	"taillab/realrun/wire"
	"taillab/reports"
	"taillab/scenarios"
)

// The limits of what a client may take before it is a request.
const (
	maxHeader  = 64 << 10
	headerTime = 10 * time.Second
)

// Config is what a proxy is made of.
type Config struct {
	// Run is the one cell whose policies, front ends, discovery and slo are used. Its
	// services are told the targets as their membership (scenarios.Service.Know).
	Run     scenarios.Run
	Targets *scenarios.Targets
	Listen  string // address for clients
	Admin   string // address of /metrics, /healthz and /summary.json
	// Collector takes the record of every request, from one goroutine at a time; nil:
	// none is kept. It is made for Setup.
	Collector *reports.Collector
	// Tape begins a chain of the tape, numbered from 1, where the run is taped.
	Tape func(chain int) (TapeWriter, error)
	Log  *slog.Logger // nil: silent
}

// Proxy is a running reverse proxy. Its methods may be called from any goroutine.
type Proxy struct {
	name  string // of the run, in messages
	base  time.Time
	log   *slog.Logger
	tapes tapes

	services []*service
	fronts   []*front
	split    split
	rules    atomic.Pointer[rules]
	known    atomic.Pointer[[][]*member]
	tenants  *names
	classes  *names
	models   *names
	ids      atomic.Uint64
	stats    *stats
	bufs     sync.Pool // *[]byte

	fixed fixed // what a reload cannot change

	ctx    context.Context // of attempts: ends with the drain
	cancel context.CancelFunc
	work   sync.WaitGroup // attempts, probes, messages, checks

	clients, admin, ear *door

	change sync.Mutex // membership and rules
	earURL string

	gate     sync.Mutex // what follows
	handlers sync.WaitGroup
	draining bool
	shut     bool
}

// ErrNoTarget is returned by Start if no target answers its ready check.
var ErrNoTarget = errors.New("no target answers its ready check")

// Start checks the targets, begins the run and serves. ctx is that of the proxy's
// whole life; Close ends it in good order.
func Start(ctx context.Context, cfg Config) (*Proxy, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	c := cfg.Run.Cell
	p := &Proxy{base: time.Now(), log: cfg.Log, tenants: newNames(maxTenants), classes: newNames(maxClasses), models: newNames(maxModels),
		split: newSplit(c.Setup.FrontEnds)}
	if c.Setup.Live.Tape && cfg.Tape != nil {
		p.tapes.open, p.tapes.fresh = cfg.Tape, cfg.Targets.Proxy.Tape.WhenFull == scenarios.TapeFresh
	}
	p.name = fmt.Sprintf("%016x", chance.Mix(cfg.Run.Seed)^uint64(p.base.UnixNano()))
	p.ctx, p.cancel = context.WithCancel(ctx)
	p.bufs.New = func() any { b := make([]byte, 32<<10); return &b }
	p.stats = newStats(p, cfg.Collector)
	p.fixed = fixedOf(cfg.Targets)
	err := p.build(cfg)
	if err == nil {
		err = p.open(cfg)
	}
	if err != nil {
		p.abort()
		return nil, err
	}
	return p, nil
}

// build makes services and front ends.
func (p *Proxy) build(cfg Config) error {
	c := cfg.Run.Cell
	for i := range c.Setup.Services {
		t := cfg.Targets.Service(c.Setup.Services[i].Name)
		if t == nil {
			return fmt.Errorf("service %s has no targets", c.Setup.Services[i].Name)
		}
		s, err := newService(p.ctx, p.base, &c.Setup.Services[i], *t, c.Balancers[i])
		if err != nil {
			return err
		}
		p.services = append(p.services, s)
	}
	p.rules.Store(p.compile(cfg.Targets))
	p.publish()
	if p.tapes.open != nil {
		if err := p.next(); err != nil {
			return fmt.Errorf("the tape cannot be begun: %w", err)
		}
	}
	for k := range c.Setup.FrontEnds.Count {
		p.fronts = append(p.fronts, p.front(cfg.Run, k))
	}
	for i, s := range p.services {
		if s.half && s.spec.Reporter == scenarios.ReporterInferred {
			if len(p.fronts) > 1 {
				return fmt.Errorf("service %s: reporter inferred needs one front end, the scenario has %d: use agent or replica", s.name, len(p.fronts))
			}
			s.inferred = p.infer(cfg.Run, i)
		}
	}
	return p.firstMembers()
}

// compile prepares the routes of a targets file.
func (p *Proxy) compile(t *scenarios.Targets) *rules {
	return compile(t.Proxy, []string{wire.HeaderFrontEnd, wire.HeaderMsg}, p.index)
}

// index is the number of a service, −1 without one.
func (p *Proxy) index(name string) int {
	for i, s := range p.services {
		if s.name == name {
			return i
		}
	}
	return -1
}

func (p *Proxy) front(run scenarios.Run, k int) *front {
	f := &front{p: p, index: k, clock: timers.New(p.now, func() bool { return false })}
	for range p.services {
		f.outs = append(f.outs, map[ref]int{})
		f.drain = append(f.drain, map[ref]bool{})
		f.said = append(f.said, map[uint32]balance.Change{})
	}
	f.fresh = func(tape *flow.Tape) *flow.FrontEnd { return flow.New(p.config(run, k, tape)) }
	f.begin(p.tapes.spool)
	p.work.Go(func() { f.clock.Run(p.ctx) })
	return f
}

// config is what an instance of front end k is made of.
func (p *Proxy) config(run scenarios.Run, k int, tape *flow.Tape) flow.Config {
	c := run.Cell
	cfg := flow.Config{Index: k, Count: c.Setup.FrontEnds.Count, Tape: tape}
	for i, s := range p.services {
		d := c.Setup.Services[i].Discovery
		cfg.Services = append(cfg.Services, flow.Service{Name: s.name, Table: s.table, Period: d.Period, Detect: detection(d.Detect), Loads: true,
			Balancer: c.Balancers[i].Make(), Dice: chance.NewDice(run.Seed, fmt.Sprintf("balance/%s/%d", s.name, k))})
	}
	return cfg
}

func detection(name string) flow.Detect {
	switch name {
	case scenarios.DetectNever:
		return flow.DetectNever
	case scenarios.DetectHealth:
		return flow.DetectHealth
	}
	return flow.DetectReset
}

// open begins the run and listens; clients come last.
func (p *Proxy) open(cfg Config) (err error) {
	if p.remote() {
		if p.ear, err = p.door("front ends", cfg.Targets.FrontEndListen, p.earMux()); err != nil {
			return err
		}
		p.earURL = "http://" + p.ear.addr()
	}
	for _, f := range p.fronts {
		f.start()
	}
	for i, s := range p.services {
		if s.inferred != nil {
			s.inferred.Start(p.present(i))
		}
	}
	if err := p.beginHalves(); err != nil {
		return err
	}
	if p.admin, err = p.door("admin", cfg.Admin, p.adminMux()); err != nil {
		return err
	}
	if p.clients, err = p.door("clients", cfg.Listen, p); err != nil {
		return err
	}
	p.watch()
	r := p.rules.Load()
	p.log.Info("memory bound", "bytes", int64(len(p.fronts))*int64(r.MaxInFlight)*(r.Buffer+maxHeader))
	return nil
}

// now is the time since the proxy began, on the monotonic clock.
func (p *Proxy) now() time.Duration { return time.Since(p.base) }

// Addr is where clients are served.
func (p *Proxy) Addr() string { return p.clients.addr() }

// AdminAddr is where /metrics, /healthz and /summary.json are.
func (p *Proxy) AdminAddr() string { return p.admin.addr() }

// Setup is what a Collector of this run must expect. Tenants and classes come from
// clients and are in /metrics, not in the summary.
func Setup(run scenarios.Run) reports.Setup {
	s := reports.Setup{SLO: run.Cell.Setup.Measure.SLO, Seed: run.Rep + 1, Opaque: true, Sections: true}
	s.Outcomes = outcomes()
	for i := range run.Cell.Setup.Services {
		s.Services = append(s.Services, run.Cell.Setup.Services[i].Name)
	}
	return s
}

// enter counts a handler in; false once the proxy is shut.
func (p *Proxy) enter() bool {
	p.gate.Lock()
	defer p.gate.Unlock()
	if p.shut {
		return false
	}
	p.handlers.Add(1)
	return true
}

func (p *Proxy) leave() { p.handlers.Done() }

// stopping tells that what is open is being given up.
func (p *Proxy) stopping() bool { p.gate.Lock(); defer p.gate.Unlock(); return p.shut }

// Close stops listening, lets what is under way end for as long as drain, closes the
// rest as unfinished, and returns when nothing of the proxy runs any more. When ctx
// ends the drain is over at once.
func (p *Proxy) Close(ctx context.Context, drain time.Duration) End {
	p.gate.Lock()
	p.draining = true
	p.gate.Unlock()
	ctx, stop := context.WithTimeout(ctx, drain)
	defer stop()
	if p.clients != nil {
		_ = p.clients.server.Shutdown(ctx) // what it leaves, the next lines end
	}
	p.gate.Lock()
	p.shut = true
	p.gate.Unlock()
	p.tapes.last()
	for _, f := range p.fronts {
		f.stop()
	}
	p.abort()
	return p.result()
}

// abort ends everything that runs.
func (p *Proxy) abort() {
	p.tapes.last()
	p.cancel()
	p.clients.close()
	p.handlers.Wait()
	for _, f := range p.fronts {
		f.stop()
	}
	p.ear.close()
	p.admin.close()
	p.work.Wait()
	p.unwind()
	for _, s := range p.services {
		s.close()
	}
}

// End is what a proxy leaves.
type End struct {
	Requests int64
	Measured time.Duration // the proxy's life
	Messages flow.Counters
	Heard    int64
	Cut      error // why the tape ended before the proxy; nil if it did not
}

func (p *Proxy) result() End {
	e := End{Requests: p.stats.total(), Measured: p.now(), Heard: p.stats.heard.Load(), Cut: p.tapes.cut}
	for _, f := range p.fronts {
		f.mu.Lock()
		e.Messages = e.Messages.Add(f.counters())
		f.mu.Unlock()
	}
	return e
}

// door is a listener and its server.
type door struct {
	ln     net.Listener
	server *http.Server
	done   chan struct{}
}

func (p *Proxy) door(what, addr string, h http.Handler) (*door, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("%s cannot be served on %s: %w", what, addr, err)
	}
	d := &door{ln: ln, done: make(chan struct{}), server: &http.Server{Handler: h, ReadHeaderTimeout: headerTime,
		MaxHeaderBytes: maxHeader, ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelDebug)}}
	go func() {
		defer close(d.done)
		_ = d.server.Serve(ln) // ends with ErrServerClosed
	}()
	return d, nil
}

func (d *door) addr() string { return d.ln.Addr().String() }

// close ends a door at once; nil has none.
func (d *door) close() {
	if d == nil {
		return
	}
	_ = d.server.Close() // it listens no more, whatever it says
	<-d.done
}

// remote tells whether a policy has a half in the replicas.
func (p *Proxy) remote() bool {
	return slices.ContainsFunc(p.services, func(s *service) bool { return s.remote() })
}

// remote tells whether the half of the service's policy runs in the replicas.
func (s *service) remote() bool { return s.half && s.inferred == nil }

// isHalved tells whether a policy, or one that it decorates, has a replica half.
func isHalved(b balance.Balancer) bool {
	h, ok := balance.Inside[balance.Halved](b)
	return ok && h.Reporter() != nil
}
