package wire

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"taillab/policies"
)

// BenchmarkDo is an attempt against a backend in the same process, so both ends of it.
func BenchmarkDo(b *testing.B) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, "{}")
	}))
	defer s.Close()
	c, err := New(Target{URL: s.URL}, time.Now(), 8)
	if err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	call := &Call{ID: 1, Input: 100, Output: 10}
	b.ReportAllocs()
	for b.Loop() {
		if res := c.Do(b.Context(), call, nil); res.Outcome != policies.OK {
			b.Fatal(res.Detail)
		}
	}
}
