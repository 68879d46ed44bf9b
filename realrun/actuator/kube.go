package actuator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"taillab/policies/autoscale"
	"taillab/realrun/kube"
)

// KubeConfig says what a Kube scales.
type KubeConfig struct {
	Cluster kube.Config // with the bounds of the fleet
	Slots   int         // pods at a time that get a slot
	Start   int         // pods that must be ready before the run
	Keep    bool        // leave the count as it is when the run is over

	// URL is where the server of a pod is reached; it is asked once, when the pod is
	// ready. Gone is told that a pod is no more; nil = nobody.
	URL  func(p *kube.Pod) (string, error)
	Gone func(name string)
	// Note is told what goes wrong and is tried again; nil = nobody.
	Note func(text string)
	// Wait is how long the pods of the start may take; 0 = two minutes.
	Wait time.Duration
}

// Kube is an Actuator over a Deployment of a Kubernetes cluster. The cluster chooses
// which pod goes, and tells it at once: pods that must lose no request sleep in a
// preStop hook for as long as front ends take to learn of it.
type Kube struct {
	cfg      KubeConfig
	client   *kube.Client
	free     *kube.Client // the same without bounds: what there was need not lie in them
	selector string
	before   int // the count that was found
	changed  token
	stop     context.CancelFunc
	done     chan struct{}

	mu    sync.Mutex
	pods  map[string]*Pod
	slots []bool // taken
	spare bool   // somebody was told that there are more pods than slots
}

// rewatch is the wait before a watch that failed is begun anew.
const rewatch = 200 * time.Millisecond

// OpenKube scales a Deployment to the count of the start and returns when so many of its
// pods are ready. The pods are followed until Close.
func OpenKube(ctx context.Context, c KubeConfig) (*Kube, error) {
	if c.Note == nil {
		c.Note = func(string) {}
	}
	if c.Wait == 0 {
		c.Wait = startLimit
	}
	if c.Cluster.Log == nil {
		c.Cluster.Log = func(format string, a ...any) { c.Note(fmt.Sprintf(format, a...)) }
	}
	unbounded := c.Cluster
	unbounded.Min, unbounded.Max = 0, 0
	k := &Kube{cfg: c, changed: make(token, 1), done: make(chan struct{}), pods: map[string]*Pod{}, slots: make([]bool, c.Slots)}
	var err error
	if k.client, err = kube.New(c.Cluster); err != nil {
		return nil, err
	}
	if k.free, err = kube.New(unbounded); err != nil {
		return nil, err
	}
	scale, err := k.client.Scale(ctx)
	if err != nil {
		return nil, err
	}
	k.selector, k.before = scale.Selector, scale.Spec
	var follow context.Context
	follow, k.stop = context.WithCancel(ctx)
	go k.follow(follow)
	if _, err = k.client.SetScale(ctx, c.Start); err == nil {
		err = k.wait(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, k.Close())
	}
	k.changed.raise()
	return k, nil
}

// wait returns when the pods of the start are ready.
func (k *Kube) wait(ctx context.Context) error {
	limit := time.NewTimer(k.cfg.Wait)
	defer limit.Stop()
	for {
		ready := 0
		for _, p := range k.Pods() {
			if p.Phase == autoscale.Ready {
				ready++
			}
		}
		if ready >= k.cfg.Start {
			return nil
		}
		select {
		case <-k.changed:
		case <-ctx.Done():
			return ctx.Err()
		case <-limit.C:
			return fmt.Errorf("only %d pods of %s are ready after %v, the run begins with %d", ready, k.cfg.Cluster.Deployment, k.cfg.Wait, k.cfg.Start)
		}
	}
}

// Apply implements Actuator.
func (k *Kube) Apply(ctx context.Context, count int) error {
	_, err := k.client.SetScale(ctx, count)
	return err
}

// Pods implements Actuator.
func (k *Kube) Pods() []Pod {
	k.mu.Lock()
	defer k.mu.Unlock()
	var out []Pod
	for _, p := range k.pods {
		if p.Slot >= 0 {
			out = append(out, *p)
		}
	}
	slices.SortFunc(out, func(a, b Pod) int { return a.Slot - b.Slot })
	return out
}

// Changed implements Actuator.
func (k *Kube) Changed() <-chan struct{} { return k.changed }

// Release implements Actuator; the cluster ends pods by itself.
func (k *Kube) Release(int) {}

// Close implements Actuator: the count that was found is restored, unless it is to be
// kept, even where it lies outside the bounds of the run.
func (k *Kube) Close() error {
	k.stop()
	<-k.done
	for _, p := range k.Pods() {
		k.gone(p.Name)
	}
	if k.cfg.Keep {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), startLimit) // the run's is over
	defer cancel()
	if _, err := k.free.SetScale(ctx, k.before); err != nil {
		return fmt.Errorf("the count of %s was not restored to %d: %w", k.cfg.Cluster.Deployment, k.before, err)
	}
	return nil
}

// follow keeps the pods until ctx ends: it lists them, then watches what changes, and
// lists anew when the watch has lost its place.
func (k *Kube) follow(ctx context.Context) {
	defer close(k.done)
	for ctx.Err() == nil {
		pods, version, err := k.client.Pods(ctx, k.selector)
		if err == nil {
			k.replace(pods)
			for err == nil && ctx.Err() == nil {
				version, err = k.client.Watch(ctx, k.selector, version, k.tell)
			}
		}
		if ctx.Err() != nil || errors.Is(err, kube.ErrExpired) {
			continue
		}
		k.cfg.Note(fmt.Sprintf("following the pods of %s: %v", k.cfg.Cluster.Deployment, err))
		select {
		case <-ctx.Done():
		case <-time.After(rewatch):
		}
	}
}

// replace takes a whole list: pods that are not on it are gone.
func (k *Kube) replace(list []kube.Pod) {
	there := map[string]bool{}
	slices.SortFunc(list, func(a, b kube.Pod) int { return strings.Compare(a.Name, b.Name) })
	for i := range list {
		there[list[i].Name] = true
		k.put(&list[i])
	}
	k.mu.Lock()
	var lost []string
	for name := range k.pods {
		if !there[name] {
			lost = append(lost, name)
		}
	}
	k.mu.Unlock()
	for _, name := range lost {
		k.gone(name)
	}
}

// tell takes a change.
func (k *Kube) tell(e kube.Event) {
	if e.Kind == "DELETED" || e.Pod.Phase == "Succeeded" || e.Pod.Phase == "Failed" {
		k.gone(e.Pod.Name)
		return
	}
	k.put(&e.Pod)
}

// put takes the state of a pod.
func (k *Kube) put(p *kube.Pod) {
	phase := autoscale.Pending
	url := ""
	switch {
	case p.Deleting:
		phase = autoscale.Draining
	case p.Ready:
		phase = autoscale.Ready
		k.mu.Lock()
		known := k.pods[p.Name]
		if known != nil {
			url = known.URL
		}
		k.mu.Unlock()
		if url == "" {
			var err error
			if url, err = k.cfg.URL(p); err != nil {
				k.cfg.Note(fmt.Sprintf("pod %s: %v", p.Name, err))
				phase = autoscale.Loading
			}
		}
	case !p.Started.IsZero():
		phase = autoscale.Loading
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	m := k.pods[p.Name]
	if m == nil {
		m = &Pod{Name: p.Name, Slot: k.slot(), Created: time.Now()}
		k.pods[p.Name] = m
	}
	m.Phase, m.Started, m.Changed = phase, p.Started, p.Changed
	if url != "" {
		m.URL = url
	}
	k.changed.raise()
}

// slot takes the lowest free slot; −1 when there is none. mu is held.
func (k *Kube) slot() int {
	for i, taken := range k.slots {
		if !taken {
			k.slots[i] = true
			return i
		}
	}
	if !k.spare {
		k.spare = true
		k.cfg.Note(fmt.Sprintf("%s has more than %d pods: the rest get no requests", k.cfg.Cluster.Deployment, len(k.slots)))
	}
	return -1
}

// gone forgets a pod.
func (k *Kube) gone(name string) {
	k.mu.Lock()
	m := k.pods[name]
	if m != nil {
		delete(k.pods, name)
		if m.Slot >= 0 {
			k.slots[m.Slot] = false
		}
		k.changed.raise()
	}
	k.mu.Unlock()
	if m != nil && k.cfg.Gone != nil {
		k.cfg.Gone(name)
	}
}
