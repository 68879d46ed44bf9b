package emulator

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"taillab/policies"
	"taillab/realrun/wire"
)

// stream writes server-sent events as tokens come out.
type stream struct {
	r      *replica
	w      http.ResponseWriter
	q      *http.Request
	a      *ask
	c      *call
	stalls bool
	sent   int // tokens
	begun  bool
}

// streamed answers a request as a stream and tells whether it went well.
func (r *replica) streamed(w http.ResponseWriter, q *http.Request, a *ask, c *call, stalls bool) bool {
	s := &stream{r: r, w: w, q: q, a: a, c: c, stalls: stalls}
	for {
		select {
		case <-c.done:
			return s.end()
		default:
		}
		select {
		case <-c.done:
			return s.end()
		case <-c.tick:
			if !r.thaw(q.Context()) || !s.tokens(int(c.out.Load())) {
				r.do(func(now time.Duration) { r.core.cancel(now, c) })
				return false
			}
		case <-q.Context().Done():
			r.do(func(now time.Duration) { r.core.cancel(now, c) })
			return false
		case <-r.f.closed:
			r.do(func(now time.Duration) { r.core.cancel(now, c) })
			return false
		}
	}
}

// begin writes the header, and the frame that names the role.
func (s *stream) begin() bool {
	if s.begun {
		return true
	}
	s.begun = true
	h := s.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-cache")
	h.Set("Trailer", wire.HeaderServer+", "+HeaderSteps)
	if s.a.api.role != nil && !s.event(s.a.api.role(s.a)) {
		return false
	}
	return true
}

// tokens writes those that are out and not yet written, in one frame.
func (s *stream) tokens(n int) bool {
	if n <= s.sent {
		return true
	}
	if !s.begin() || !s.event(s.a.api.chunk(s.a, n-s.sent, false)) || !flush(s.w) {
		return false
	}
	s.sent = n
	if s.stalls {
		s.stalls = false
		return s.r.unstall(s.q.Context())
	}
	return true
}

// end writes what is left when the request is over.
func (s *stream) end() bool {
	c := s.c
	if !s.r.thaw(s.q.Context()) {
		return false
	}
	if c.outcome != policies.OK {
		if s.begun {
			reset(s.q)
		} else {
			s.r.refused(s.w, s.q, c)
		}
		return false
	}
	if !s.tokens(int(max(1, s.a.output))) || !s.event(s.a.api.chunk(s.a, 0, true)) {
		return false
	}
	if s.a.usage {
		u := s.a.api.chunk(s.a, 0, true).(map[string]any)
		u["choices"], u["usage"] = []any{}, s.a.spent()
		if !s.event(u) {
			return false
		}
	}
	h := s.w.Header()
	h.Set(wire.HeaderServer, strconv.FormatInt(int64(c.finished-c.arrived), 10))
	h.Set(HeaderSteps, string(appendSteps(nil, c)))
	_, err := s.w.Write([]byte("data: [DONE]\n\n"))
	return err == nil && flush(s.w)
}

// event writes one server-sent event.
func (s *stream) event(v any) bool {
	b, err := json.Marshal(v)
	if err != nil {
		return false
	}
	_, err = s.w.Write(append(append([]byte("data: "), b...), '\n', '\n'))
	return err == nil
}
