package wire

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync"
	"sync/atomic"
	"time"

	"taillab/policies/balance"
)

const (
	askLimit   = time.Second     // of a probe or an envelope: one try, and nobody waits long
	readyLimit = 5 * time.Second // of a ready check, and of one connection's warming
	warmAtOnce = 64              // dials under way while warming, so that no accept queue overflows
)

// short exchanges a small request and its small answer.
func (c *Client) short(ctx context.Context, method, path string, payload []byte) (int, http.Header, []byte, error) {
	u, err := c.at(path)
	if err != nil {
		return 0, nil, nil, err
	}
	return c.shortAt(ctx, method, u, payload)
}

func (c *Client) shortAt(ctx context.Context, method string, u *url.URL, payload []byte) (int, http.Header, []byte, error) {
	resp, err := c.rt.RoundTrip(c.request(ctx, method, u, payload))
	if err != nil {
		return 0, nil, nil, errors.New(c.detail(err.Error()))
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(io.LimitReader(resp.Body, maxHeader))
	if err != nil {
		return 0, nil, nil, errors.New(c.detail(err.Error()))
	}
	return resp.StatusCode, resp.Header, b, nil
}

// Probe asks the backend for its load; false if it does not answer within a second,
// or does not tell how many requests it has.
func (c *Client) Probe(ctx context.Context) (balance.Load, bool) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	code, h, b, err := c.short(ctx, http.MethodGet, PathProbe, nil)
	if err != nil || code < 200 || code > 299 {
		return balance.Load{}, false
	}
	value := h.Get(HeaderLoad)
	if value == "" {
		value = "JSON " + string(b)
	}
	r, err := ParseORCA(value)
	if err != nil {
		c.stats.loadBad.Add(1)
		return balance.Load{}, false
	}
	return r.Load()
}

// Post carries an envelope to the other half of a policy; ErrRun if that is of
// another run.
func (c *Client) Post(ctx context.Context, e Envelope) error {
	b, err := e.Encode()
	if err != nil {
		return err
	}
	code, _, _, err := c.short(ctx, http.MethodPost, PathMsg, b)
	switch {
	case err != nil:
		return fmt.Errorf("messages to %s: %w", e.To, err)
	case code == http.StatusConflict:
		return ErrRun
	case code < 200 || code > 299:
		return fmt.Errorf("messages to %s were answered by status %d", e.To, code)
	}
	return nil
}

// Tell is Post as the driver does it: one try of one second.
func (c *Client) Tell(ctx context.Context, e Envelope) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	return c.Post(ctx, e)
}

// Start tells a replica half which run it belongs to.
type Start struct {
	Run         string         `json:"run"`
	Service     string         `json:"service"`
	Replica     uint32         `json:"replica"`
	Incarnation uint32         `json:"incarnation"`
	Policy      string         `json:"policy"`
	Params      map[string]any `json:"parameters,omitempty"`
	FrontEnds   []string       `json:"frontends"` // their base URLs, by index
	Seed        uint64         `json:"seed"`
}

// Begin hands a start to the replica half, which answers 204.
func (c *Client) Begin(ctx context.Context, s Start) error {
	b, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("the start of a replica half has no JSON: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	code, _, said, err := c.short(ctx, http.MethodPut, PathRun, b)
	switch {
	case err != nil:
		return fmt.Errorf("the replica half of %s: %w", c.url, err)
	case code != http.StatusNoContent:
		return fmt.Errorf("the replica half of %s answered status %d: %s", c.url, code, c.detail(says(said)))
	}
	return nil
}

// Ready asks for a path and takes any status from 200 to 499, within 5 s, for a yes:
// whoever says "not found" is there.
func (c *Client) Ready(ctx context.Context, path string) bool {
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	code, _, _, err := c.short(ctx, http.MethodGet, path, nil)
	return err == nil && code >= 200 && code <= 499
}

// Warm opens n connections and leaves them idle: each request waits with a connection
// in hand until all have one. What fails is left to the first attempt to find.
func (c *Client) Warm(ctx context.Context, n int) {
	u, err := c.at(c.ready)
	if err != nil || n <= 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, readyLimit)
	defer cancel()
	var left atomic.Int64
	left.Store(int64(n))
	all := make(chan struct{})
	dials := make(chan struct{}, warmAtOnce)
	var wg sync.WaitGroup
	for range n {
		wg.Go(func() {
			dials <- struct{}{}
			var once sync.Once
			arrived := func() {
				once.Do(func() {
					<-dials
					if left.Add(-1) == 0 {
						close(all)
					}
				})
			}
			defer arrived() // a connection that failed holds nobody up
			trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
				arrived()
				select {
				case <-all:
				case <-ctx.Done():
				}
			}}
			_, _, _, _ = c.shortAt(httptrace.WithClientTrace(ctx, trace), http.MethodGet, u, nil)
		})
	}
	wg.Wait()
}
