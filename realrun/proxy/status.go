package proxy

import (
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"taillab/policies"
)

// statusOf is the answer to a request that ended here, without one of a backend.
func statusOf(o policies.Outcome) int {
	switch o {
	case policies.Rejected:
		return http.StatusTooManyRequests
	case policies.Shed, policies.QueueFull, policies.NoReplica, policies.NotSent, policies.Stuck, policies.Unfinished:
		return http.StatusServiceUnavailable
	case policies.HoldTimeout, policies.DeadlineHit, policies.HeaderTimeout, policies.Stall:
		return http.StatusGatewayTimeout
	}
	return http.StatusBadGateway
}

// about is what a client is told of an outcome: never a name or address of a target.
func about(o policies.Outcome) string { return policies.OutcomeAbout()[o] }

// refuse answers a request that gets no answer of a backend.
func refuse(w http.ResponseWriter, code int, class, message string, retry time.Duration) {
	var body struct {
		Error struct {
			Class   string `json:"class"`
			Message string `json:"message"`
		} `json:"error"`
	}
	body.Error.Class, body.Error.Message = class, message
	text, err := json.Marshal(body)
	if err != nil { // two texts
		panic(err)
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	if retry > 0 {
		h.Set("Retry-After", strconv.FormatInt(int64((retry+time.Second-1)/time.Second), 10))
	}
	w.WriteHeader(code)
	_, _ = w.Write(append(text, '\n')) // the client may have gone
}

// retryAfter is how long a client should wait.
func retryAfter(o policies.Outcome) time.Duration {
	switch o {
	case policies.Rejected, policies.Shed, policies.QueueFull:
		return time.Second
	}
	return 0
}
