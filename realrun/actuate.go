package realrun

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/realrun/actuator"
	"taillab/realrun/emulator"
	"taillab/realrun/kube"
	"taillab/realrun/wire"
	"taillab/scenarios"
)

// actuate starts the actuator of an elastic service, with the pods of the start.
func (s *session) actuate(ctx context.Context, d *drive, i int) error {
	svc, cfg := &d.services[i], &d.run.Cell.Setup.Services[i]
	e := svc.elastic
	var err error
	if svc.notices, err = noticesOf(cfg); err != nil {
		return err
	}
	if svc.half {
		if d.inferring(cfg.Reporter) {
			svc.inferred = d.infer(i)
		} else {
			svc.remote = true // each pod is told its part in the run when it is ready
		}
	}
	e.dial = func(url string) (Transport, func(), error) {
		c, err := wire.New(d.emulatedTarget(url), s.base, int(d.fuse))
		if err != nil {
			return nil, nil, err
		}
		if d.warm > 0 {
			c.Warm(d.ctx, d.warm)
		}
		return c, c.Close, nil
	}
	switch a := &d.run.Cell.Setup.Live.Actuator; a.Kind {
	case scenarios.ActuatorKube:
		err = d.openKube(ctx, e, a)
	case scenarios.ActuatorStub:
		err = d.openStub(ctx, e)
	default:
		err = d.openPool(ctx, e, a)
	}
	if err != nil {
		return err
	}
	s.ends = append(s.ends, func() {
		for r := range e.pods {
			if end := e.pods[r].close; end != nil { // the run is over: nobody changes pods
				end()
			}
		}
		if err := e.act.Close(); err != nil {
			s.note(err.Error())
		}
	})
	return e.adopt()
}

// openPool starts a pool: of emulated replicas in this process, or of child processes.
func (d *drive) openPool(ctx context.Context, e *elastic, a *scenarios.Actuator) error {
	c := actuator.PoolConfig{Slots: len(e.pods), Start: e.cfg.Start, Lifecycle: e.cfg.Lifecycle, Note: d.note}
	if len(a.Command) > 0 {
		c.Loads = a.Loads
		c.Make = func(int, string) (actuator.Server, error) { return actuator.Command(a.Command, d.note) }
		c.Check = func(ctx context.Context, url string) bool {
			client, err := wire.New(d.emulatedTarget(url), d.place.base, 1)
			if err != nil {
				return false
			}
			defer client.Close()
			return client.Ready(ctx, a.Ready)
		}
		d.services[e.svc].ready = a.Ready
	} else {
		house, err := d.newHouse(e)
		if err != nil {
			return err
		}
		c.Make = func(slot int, name string) (actuator.Server, error) { return house.open(slot, name) }
	}
	p, err := actuator.NewPool(ctx, c)
	if err != nil {
		return err
	}
	e.act = p
	return nil
}

// openKube reaches a cluster.
func (d *drive) openKube(ctx context.Context, e *elastic, a *scenarios.Actuator) error {
	access := kube.Access{Server: a.Server, TokenFile: a.TokenFile, CAFile: a.CA, Kubeconfig: a.Kubeconfig, Context: a.Context, Namespace: a.Namespace}
	cluster, err := access.Find()
	if err != nil {
		return err
	}
	cluster.Deployment, cluster.DryRun = a.Deployment, a.DryRun
	c := d.kubeConfig(e, cluster)
	c.Keep = a.Keep || a.DryRun
	c.URL = func(p *kube.Pod) (string, error) {
		if p.Address == "" {
			return "", errors.New("it is ready and has no address")
		}
		return "http://" + net.JoinHostPort(p.Address, strconv.Itoa(a.Port)), nil
	}
	d.services[e.svc].ready = a.Ready
	k, err := actuator.OpenKube(ctx, c)
	if err != nil {
		return err
	}
	e.act = k
	return nil
}

func (d *drive) kubeConfig(e *elastic, cluster kube.Config) actuator.KubeConfig {
	cluster.Min, cluster.Max = e.cfg.Min, e.cfg.Max
	return actuator.KubeConfig{Cluster: cluster, Slots: len(e.pods), Start: e.cfg.Start, Note: d.note}
}

// openStub starts a cluster of one Deployment inside this process, whose pods are
// emulated replicas.
func (d *drive) openStub(ctx context.Context, e *elastic) error {
	house, err := d.newHouse(e)
	if err != nil {
		return err
	}
	stub := kube.NewStub(e.cfg.Start)
	stub.Load, stub.Grace = e.cfg.Lifecycle.Lead(), e.cfg.Lifecycle.DrainGrace
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	srv := &http.Server{Handler: stub, ReadHeaderTimeout: checkLimit}
	var serving sync.WaitGroup
	serving.Go(func() { _ = srv.Serve(ln) }) // until it is closed
	calls := &http.Transport{}
	end := func() {
		calls.CloseIdleConnections()
		_ = srv.Close() // nobody calls any more
		serving.Wait()
	}
	c := d.kubeConfig(e, kube.Config{Server: "http://" + ln.Addr().String(), Deployment: "web", HTTP: &http.Client{Transport: calls}})
	c.URL = func(p *kube.Pod) (string, error) {
		r, err := house.open(0, p.Name)
		if err != nil {
			return "", err
		}
		return r.URL(), nil
	}
	c.Gone = house.shut
	k, err := actuator.OpenKube(ctx, c)
	if err != nil {
		end()
		return err
	}
	e.act = ended{k, end}
	return nil
}

// ended is an actuator with something that ends after it.
type ended struct {
	actuator.Actuator
	after func()
}

// Close implements actuator.Actuator.
func (e ended) Close() error {
	err := e.Actuator.Close()
	e.after()
	return err
}

// house is where the emulated replicas of an elastic service live.
type house struct {
	d   *drive
	e   *elastic
	cfg emulator.Config

	mu      sync.Mutex
	servers map[string]*actuator.Emulated // by pod
	opened  uint64
	faults  []*haunting
}

// haunting is a fault in force at the pods that it began at.
type haunting struct {
	fault   *scenarios.Fault
	replica int
	at      *actuator.Emulated
}

// newHouse prepares the emulated replicas of a service.
func (d *drive) newHouse(e *elastic) (*house, error) {
	s, svc := &d.run.Cell.Setup.Services[e.svc], &d.services[e.svc]
	h := &house{d: d, e: e, servers: map[string]*actuator.Emulated{}}
	h.cfg = emulator.Config{Service: s.Name, Run: d.name(), Base: d.place.base, Replicas: []emulator.Replica{{Model: s.Groups[0].Model, Speed: s.Groups[0].Speed}}}
	if svc.remote {
		mk := d.run.Cell.Balancers[e.svc].Make
		h.cfg.Policy = func(string) func() balance.Balancer { return mk }
	}
	if err := d.disturb(&h.cfg, s); err != nil {
		return nil, err
	}
	svc.queued = h.queued
	svc.fault = func(r int, f *scenarios.Fault, _ time.Duration, begin bool) {
		if err := h.fault(r, f, begin); err != nil {
			d.note(fmt.Sprintf("the fault %s at replica %d of %s failed: %v", f.Kind, r, svc.name, err))
		}
	}
	return h, nil
}

// open starts the replica of a pod.
func (h *house) open(slot int, name string) (*actuator.Emulated, error) {
	h.mu.Lock()
	h.opened++
	c := h.cfg
	c.Seed = chance.Mix(h.d.run.Seed ^ chance.Mix(uint64(h.e.svc)<<48|uint64(slot)<<32|h.opened)) // of noise: no two lives have the same
	h.mu.Unlock()
	r, err := actuator.Emulate(c)
	if err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.servers[name] = r
	return r, nil
}

// shut ends the replica of a pod that is gone.
func (h *house) shut(name string) {
	h.mu.Lock()
	r := h.servers[name]
	delete(h.servers, name)
	h.mu.Unlock()
	if r != nil {
		r.Kill()
		<-r.Done()
	}
}

// queued counts the requests that wait in replicas.
func (h *house) queued() (n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for name, r := range h.servers {
		select {
		case <-r.Done():
			delete(h.servers, name)
		default:
			n += r.Queued()
		}
	}
	return n
}

// fault begins a fault at the pod that has the replica ID now, or ends it at the pod
// where it began. A slot without a pod cannot fail.
func (h *house) fault(replica int, f *scenarios.Fault, begin bool) error {
	h.e.mu.Lock()
	name := h.e.pods[replica].name
	h.e.mu.Unlock()
	h.mu.Lock()
	var at *actuator.Emulated
	if begin {
		if at = h.servers[name]; at != nil {
			h.faults = append(h.faults, &haunting{f, replica, at})
		}
	} else {
		for i, x := range h.faults {
			if x.fault == f && x.replica == replica {
				at = x.at
				h.faults = append(h.faults[:i], h.faults[i+1:]...)
				break
			}
		}
	}
	h.mu.Unlock()
	if at == nil {
		return nil
	}
	return at.Apply(0, f, begin)
}
