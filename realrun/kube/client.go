package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
)

// Config names a Deployment and the way to its cluster.
type Config struct {
	Server     string                 // base URL of the API server
	Token      func() (string, error) // bearer token, asked for each call since it may be rotated; nil = none
	HTTP       *http.Client           // carries the CA and the client certificate; nil = http.DefaultClient
	Namespace  string                 // empty = "default"
	Deployment string
	Min, Max   int                           // the client never asks for less or more; Max 0 = no bound
	DryRun     bool                          // say what would be asked for and ask for nothing
	Log        func(format string, a ...any) // told of retries and of dry runs; nil = silent
	Backoff    Backoff                       // zero value = 0.1 s to 5 s
}

// Backoff bounds the wait before a call that was throttled or failed is repeated. It
// doubles from Least to Most, spread by half of it; a Retry-After is obeyed.
type Backoff struct {
	Least, Most time.Duration
	Tries       int // calls in all, 0 = 6
}

// Scale is the scale of a Deployment.
type Scale struct {
	Spec, Status int
	Selector     string // label selector of its pods
	Version      string // resourceVersion
}

// Pod is what an autoscaler wants to know of a pod.
type Pod struct {
	Name     string
	Address  string // pod IP, empty before it has one
	Phase    string // Pending, Running, Succeeded, Failed, Unknown
	Ready    bool
	Deleting bool
	Started  time.Time // zero before it has started
	Changed  time.Time // last transition of Ready
}

// Event is one change that Watch saw: ADDED, MODIFIED or DELETED.
type Event struct {
	Kind string
	Pod  Pod
}

// StatusError is an answer of the API server that is not a success.
type StatusError struct {
	Code    int
	Reason  string
	Message string
	after   time.Duration
}

// Error says what was answered.
func (e *StatusError) Error() string {
	if e.Message == "" {
		return fmt.Sprintf("the API server answered %d %s", e.Code, http.StatusText(e.Code))
	}
	return fmt.Sprintf("the API server answered %d %s: %s", e.Code, e.Reason, e.Message)
}

// ErrExpired tells that a watch asked for a version that the server has forgotten:
// list again and watch from there.
var ErrExpired = errors.New("the version to watch from is too old")

// maxConflicts is how often a scale is read again after another writer was faster.
const maxConflicts = 5

// Client scales one Deployment. Its methods may be called from several goroutines.
type Client struct{ cfg Config }

// New makes a client; it makes no call.
func New(c Config) (*Client, error) {
	u, err := url.Parse(c.Server)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "":
		return nil, fmt.Errorf("kube: the server %q is not an http or https URL", c.Server)
	case c.Deployment == "":
		return nil, errors.New("kube: no deployment is named")
	case c.Min < 0 || c.Max < 0 || c.Max > 0 && c.Min > c.Max:
		return nil, fmt.Errorf("kube: the bounds %d to %d hold no count", c.Min, c.Max)
	}
	c.Server = strings.TrimSuffix(c.Server, "/")
	if c.HTTP == nil {
		c.HTTP = http.DefaultClient
	}
	if c.Namespace == "" {
		c.Namespace = "default"
	}
	if c.Log == nil {
		c.Log = func(string, ...any) {}
	}
	if c.Backoff.Least <= 0 {
		c.Backoff.Least, c.Backoff.Most = 100*time.Millisecond, 5*time.Second
	}
	if c.Backoff.Tries <= 0 {
		c.Backoff.Tries = 6
	}
	return &Client{c}, nil
}

func (c *Client) scalePath() string {
	return "/apis/apps/v1/namespaces/" + url.PathEscape(c.cfg.Namespace) + "/deployments/" + url.PathEscape(c.cfg.Deployment) + "/scale"
}

func (c *Client) podsPath() string {
	return "/api/v1/namespaces/" + url.PathEscape(c.cfg.Namespace) + "/pods"
}

// wire forms of what the API server says.
type (
	meta struct {
		Name              string    `json:"name"`
		ResourceVersion   string    `json:"resourceVersion,omitempty"`
		DeletionTimestamp *jsonTime `json:"deletionTimestamp,omitempty"`
	}
	scaleDoc struct {
		Metadata meta `json:"metadata"`
		Spec     struct {
			Replicas int `json:"replicas"`
		} `json:"spec"`
		Status struct {
			Replicas int    `json:"replicas"`
			Selector string `json:"selector"`
		} `json:"status"`
	}
	condition struct {
		Type               string    `json:"type"`
		Status             string    `json:"status"`
		LastTransitionTime *jsonTime `json:"lastTransitionTime"`
	}
	podDoc struct {
		Metadata meta `json:"metadata"`
		Status   struct {
			Phase      string      `json:"phase"`
			PodIP      string      `json:"podIP,omitempty"`
			StartTime  *jsonTime   `json:"startTime,omitempty"`
			Conditions []condition `json:"conditions,omitempty"`
		} `json:"status"`
	}
	podList struct {
		Metadata meta     `json:"metadata"`
		Items    []podDoc `json:"items"`
	}
	statusDoc struct {
		Reason  string `json:"reason"`
		Message string `json:"message"`
		Code    int    `json:"code"`
	}
	jsonTime = time.Time
)

func (p *podDoc) pod() Pod {
	out := Pod{Name: p.Metadata.Name, Address: p.Status.PodIP, Phase: p.Status.Phase, Deleting: p.Metadata.DeletionTimestamp != nil}
	if p.Status.StartTime != nil {
		out.Started = *p.Status.StartTime
	}
	for _, c := range p.Status.Conditions {
		if c.Type == "Ready" {
			out.Ready = c.Status == "True"
			if c.LastTransitionTime != nil {
				out.Changed = *c.LastTransitionTime
			}
		}
	}
	return out
}

// Scale reads the scale.
func (c *Client) Scale(ctx context.Context) (Scale, error) {
	var d scaleDoc
	if err := c.call(ctx, http.MethodGet, c.scalePath(), "", nil, &d); err != nil {
		return Scale{}, err
	}
	return Scale{d.Spec.Replicas, d.Status.Replicas, d.Status.Selector, d.Metadata.ResourceVersion}, nil
}

// SetScale asks for n replicas, held to the client's bounds, and returns the count
// asked for. When another writer was faster the scale is read again, five times at
// most; it makes no call when the scale is what it should be.
func (c *Client) SetScale(ctx context.Context, n int) (int, error) {
	n = max(n, c.cfg.Min)
	if c.cfg.Max > 0 {
		n = min(n, c.cfg.Max)
	}
	for try := 0; ; try++ {
		s, err := c.Scale(ctx)
		if err != nil || s.Spec == n {
			return n, err
		}
		if c.cfg.DryRun {
			c.cfg.Log("dry run: %s/%s would be scaled from %d to %d", c.cfg.Namespace, c.cfg.Deployment, s.Spec, n)
			return n, nil
		}
		body := fmt.Sprintf(`{"metadata":{"resourceVersion":%q},"spec":{"replicas":%d}}`, s.Version, n)
		err = c.call(ctx, http.MethodPatch, c.scalePath(), "application/merge-patch+json", []byte(body), nil)
		var status *StatusError
		if err == nil || !errors.As(err, &status) || status.Code != http.StatusConflict || try >= maxConflicts {
			return n, err
		}
		c.cfg.Log("somebody else changed the scale of %s: reading it again", c.cfg.Deployment)
	}
}

// Pods lists the pods of a selector and the version that a watch goes on from.
func (c *Client) Pods(ctx context.Context, selector string) ([]Pod, string, error) {
	var list podList
	if err := c.call(ctx, http.MethodGet, c.podsPath()+"?labelSelector="+url.QueryEscape(selector), "", nil, &list); err != nil {
		return nil, "", err
	}
	out := make([]Pod, len(list.Items))
	for i := range list.Items {
		out[i] = list.Items[i].pod()
	}
	return out, list.Metadata.ResourceVersion, nil
}

// Delete deletes a pod; one that is gone already is no error.
func (c *Client) Delete(ctx context.Context, pod string) error {
	if c.cfg.DryRun {
		c.cfg.Log("dry run: pod %s would be deleted", pod)
		return nil
	}
	err := c.call(ctx, http.MethodDelete, c.podsPath()+"/"+url.PathEscape(pod), "", nil, nil)
	var status *StatusError
	if errors.As(err, &status) && status.Code == http.StatusNotFound {
		return nil
	}
	return err
}

// Watch tells of each change to the pods of a selector since a version, until the
// server ends the watch (nil), the version is too old (ErrExpired) or ctx ends. It
// returns the last version seen, to go on from.
func (c *Client) Watch(ctx context.Context, selector, version string, tell func(Event)) (string, error) {
	q := url.Values{"watch": {"1"}, "labelSelector": {selector}, "resourceVersion": {version}, "allowWatchBookmarks": {"true"}}
	resp, err := c.send(ctx, http.MethodGet, c.podsPath()+"?"+q.Encode(), "", nil)
	if err != nil {
		return version, expired(err)
	}
	defer func() { _ = resp.Body.Close() }()
	dec := json.NewDecoder(resp.Body)
	for {
		var e struct {
			Type   string          `json:"type"`
			Object json.RawMessage `json:"object"`
		}
		if err := dec.Decode(&e); err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return version, cmpErr(ctx, err)
		}
		if e.Type == "ERROR" {
			var s statusDoc
			_ = json.Unmarshal(e.Object, &s) // an answer that says nothing is an error all the same
			return version, expired(&StatusError{Code: s.Code, Reason: s.Reason, Message: s.Message})
		}
		var p podDoc
		if err := json.Unmarshal(e.Object, &p); err != nil {
			return version, fmt.Errorf("kube: a watch event: %w", err)
		}
		version = p.Metadata.ResourceVersion
		if e.Type != "BOOKMARK" {
			tell(Event{e.Type, p.pod()})
		}
	}
}

// cmpErr prefers the reason why a call was given up to how it broke.
func cmpErr(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

func expired(err error) error {
	var s *StatusError
	if errors.As(err, &s) && s.Code == http.StatusGone {
		return ErrExpired
	}
	return err
}

// call makes a call, again after a while where the server is busy or failing, and
// decodes the answer.
func (c *Client) call(ctx context.Context, method, path, kind string, body []byte, into any) error {
	resp, err := c.send(ctx, method, path, kind, body)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if into == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return err
	}
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil {
		return fmt.Errorf("kube: %s %s: the answer is not what it should be: %w", method, path, err)
	}
	return nil
}

// send makes a call until it succeeds or fails for good. Every call is safe to repeat:
// a patch names the version that it changes.
func (c *Client) send(ctx context.Context, method, path, kind string, body []byte) (*http.Response, error) {
	wait := &backoff.ExponentialBackOff{InitialInterval: c.cfg.Backoff.Least, MaxInterval: c.cfg.Backoff.Most, Multiplier: 2, RandomizationFactor: 0.5}
	resp, err := backoff.Retry(ctx, func() (*http.Response, error) {
		resp, err := c.once(ctx, method, path, kind, body)
		var status *StatusError
		switch {
		case errors.As(err, &status) && status.Code != http.StatusTooManyRequests && status.Code < 500:
			return nil, backoff.Permanent(err)
		case status != nil && status.after > 0:
			return nil, fmt.Errorf("%w (%w)", err, &backoff.RetryAfterError{Duration: status.after})
		}
		return resp, err
	}, backoff.WithBackOff(wait), backoff.WithMaxTries(uint(c.cfg.Backoff.Tries)), backoff.WithMaxElapsedTime(0),
		backoff.WithNotify(func(err error, pause time.Duration) { c.cfg.Log("%v: again in %v", err, pause.Round(time.Millisecond)) }))
	if err != nil {
		return nil, fmt.Errorf("kube: %s %s: %w", method, path, cmpErr(ctx, err))
	}
	return resp, nil
}

func (c *Client) once(ctx context.Context, method, path, kind string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.cfg.Server+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "application/json")
	if kind != "" {
		req.Header.Set("Content-Type", kind)
	}
	if c.cfg.Token != nil {
		token, err := c.cfg.Token()
		if err != nil {
			return nil, err
		}
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := c.cfg.HTTP.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer func() { _ = resp.Body.Close() }()
	e := &StatusError{Code: resp.StatusCode}
	var s statusDoc
	if json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&s) == nil {
		e.Reason, e.Message = s.Reason, s.Message
	}
	if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && n >= 0 {
		e.after = time.Duration(n) * time.Second
	}
	return nil, e
}
