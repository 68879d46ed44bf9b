// Package await lets tests wait for what other goroutines or processes do: in the test's
// own goroutine, so that a condition may itself fail the test, and for a bounded time, so
// that a test that waits in vain says for what.
package await

import (
	"testing"
	"time"
)

// patience is how long a test waits. No test that passes comes near it, on a busy
// machine either.
const patience = time.Minute

// Until waits until a condition holds, or fails the test.
func Until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// One receives a value, or fails the test. A closed channel gives the zero value.
func One[T any](t testing.TB, what string, from <-chan T) T {
	t.Helper()
	select {
	case v := <-from:
		return v
	case <-time.After(patience):
		t.Fatalf("waited in vain: %s", what)
	}
	panic("unreachable")
}

// Send hands a value over, or fails the test.
func Send[T any](t testing.TB, what string, to chan<- T, v T) {
	t.Helper()
	select {
	case to <- v:
	case <-time.After(patience):
		t.Fatalf("waited in vain: %s", what)
	}
}
