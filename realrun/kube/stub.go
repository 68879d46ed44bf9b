package kube

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Stub answers as an API server does for one Deployment named "web" in the namespace
// "default", with pods that become ready after Load. It keeps everything in memory and
// starts no process.
type Stub struct {
	Load   time.Duration // from a pod's creation until it is ready
	Grace  time.Duration // from a pod's deletion until it is gone
	Window int           // how many changes a watch may lie behind; 0 = 100

	// Fail, when set, is asked before each call: an answer other than 0 is sent
	// instead, a 429 with Retry-After: 0.
	Fail func(method, path string) int

	mu      sync.Mutex
	version int
	spec    int
	next    int
	pods    []*stubPod
	log     []stubChange
	changed chan struct{} // closed and made anew with each change
}

type stubPod struct {
	name     string
	born     time.Time
	ready    bool
	deleting *time.Time
}

type stubChange struct {
	version int
	kind    string
	doc     podDoc
}

// NewStub makes a Deployment of n pods that are ready at once.
func NewStub(n int) *Stub {
	s := &Stub{version: 1, changed: make(chan struct{})}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.spec = n
	s.reconcile()
	return s
}

// Touch changes the Deployment's version, as another writer would.
func (s *Stub) Touch() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.version++
}

// Counts returns the replicas asked for, and the pods that are there and ready.
func (s *Stub) Counts() (spec, there, ready int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pods {
		if p.deleting == nil {
			there++
		}
		if p.ready {
			ready++
		}
	}
	return s.spec, there, ready
}

// ServeHTTP implements http.Handler.
func (s *Stub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.Fail != nil {
		if code := s.Fail(r.Method, r.URL.Path); code != 0 {
			if code == http.StatusTooManyRequests {
				w.Header().Set("Retry-After", "0")
			}
			refuse(w, code, "made to fail")
			return
		}
	}
	const pods = "/api/v1/namespaces/default/pods"
	switch path := r.URL.Path; {
	case path == "/apis/apps/v1/namespaces/default/deployments/web/scale":
		s.scale(w, r)
	case path == pods && r.URL.Query().Get("watch") != "":
		s.watch(w, r)
	case path == pods:
		s.list(w)
	case strings.HasPrefix(path, pods+"/") && r.Method == http.MethodDelete:
		s.remove(w, strings.TrimPrefix(path, pods+"/"))
	default:
		refuse(w, http.StatusNotFound, path+" is not here")
	}
}

func refuse(w http.ResponseWriter, code int, message string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(statusDoc{Reason: strings.ReplaceAll(http.StatusText(code), " ", ""), Message: message, Code: code})
}

func (s *Stub) scale(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method == http.MethodPatch || r.Method == http.MethodPut {
		var d scaleDoc
		if err := json.NewDecoder(r.Body).Decode(&d); err != nil || d.Spec.Replicas < 0 {
			refuse(w, http.StatusUnprocessableEntity, fmt.Sprintf("not a scale: %v", err))
			return
		}
		if v := d.Metadata.ResourceVersion; v != "" && v != strconv.Itoa(s.version) {
			refuse(w, http.StatusConflict, "the object has been modified")
			return
		}
		s.version++
		s.spec = d.Spec.Replicas
		s.reconcile()
	}
	var d scaleDoc
	d.Metadata = meta{Name: "web", ResourceVersion: strconv.Itoa(s.version)}
	d.Spec.Replicas, d.Status.Replicas, d.Status.Selector = s.spec, len(s.pods), "app=web"
	_ = json.NewEncoder(w).Encode(d)
}

func (s *Stub) list(w http.ResponseWriter) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var l podList
	l.Metadata.ResourceVersion = strconv.Itoa(s.version)
	for _, p := range s.pods {
		l.Items = append(l.Items, s.doc(p))
	}
	_ = json.NewEncoder(w).Encode(l)
}

func (s *Stub) remove(w http.ResponseWriter, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pods {
		if p.name == name && p.deleting == nil {
			s.end(p)
			s.reconcile() // the Deployment makes up for it
			_ = json.NewEncoder(w).Encode(s.doc(p))
			return
		}
	}
	refuse(w, http.StatusNotFound, "pods \""+name+"\" not found")
}

// watch streams the changes since a version, and 410 where it has forgotten some.
func (s *Stub) watch(w http.ResponseWriter, r *http.Request) {
	since, err := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	window := s.Window
	if window == 0 {
		window = 100
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil || len(s.log) > window && since < s.log[len(s.log)-window].version-1 {
		refuse(w, http.StatusGone, "too old resource version")
		return
	}
	enc, flush := json.NewEncoder(w), http.NewResponseController(w)
	_ = flush.Flush()
	for {
		for _, c := range s.log {
			if c.version > since {
				since = c.version
				if enc.Encode(map[string]any{"type": c.kind, "object": c.doc}) != nil {
					return
				}
			}
		}
		_ = flush.Flush()
		wait := s.changed
		s.mu.Unlock()
		select {
		case <-wait:
			s.mu.Lock()
		case <-r.Context().Done():
			s.mu.Lock()
			return
		}
	}
}

// reconcile makes and ends pods until there are as many as asked for. mu is held.
func (s *Stub) reconcile() {
	var live []*stubPod
	for _, p := range s.pods {
		if p.deleting == nil {
			live = append(live, p)
		}
	}
	for len(live) < s.spec {
		p := &stubPod{name: fmt.Sprintf("web-%d", s.next), born: time.Now()}
		s.next++
		s.pods, live = append(s.pods, p), append(live, p)
		s.note("ADDED", p)
		s.after(s.Load, func() {
			if p.deleting == nil {
				p.ready = true
				s.note("MODIFIED", p)
			}
		})
	}
	for len(live) > s.spec { // the youngest goes first
		s.end(live[len(live)-1])
		live = live[:len(live)-1]
	}
}

func (s *Stub) end(p *stubPod) {
	now := time.Now()
	p.deleting, p.ready = &now, false
	s.note("MODIFIED", p)
	s.after(s.Grace, func() {
		for i, q := range s.pods {
			if q == p {
				s.pods = append(s.pods[:i:i], s.pods[i+1:]...)
				s.note("DELETED", p)
				return
			}
		}
	})
}

// after does something under the lock in a while, at once when d is 0.
func (s *Stub) after(d time.Duration, do func()) {
	if d <= 0 {
		do()
		return
	}
	time.AfterFunc(d, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		do()
	})
}

func (s *Stub) note(kind string, p *stubPod) {
	s.version++
	s.log = append(s.log, stubChange{s.version, kind, s.doc(p)})
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Stub) doc(p *stubPod) podDoc {
	var d podDoc
	d.Metadata = meta{Name: p.name, ResourceVersion: strconv.Itoa(s.version), DeletionTimestamp: p.deleting}
	d.Status.Phase, d.Status.StartTime = "Running", &p.born
	status := "False"
	if p.ready {
		status = "True"
	}
	d.Status.Conditions = []condition{{Type: "Ready", Status: status, LastTransitionTime: &p.born}}
	return d
}
