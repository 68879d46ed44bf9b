package proxy

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"os"

	"taillab/policies"
	"taillab/realrun/wire"
)

// body is the body of a request: its beginning, kept for routing and for further
// attempts, and the client for the rest.
type body struct {
	in    *http.Request
	head  []byte
	whole bool // head is all of it
}

// load reads up to limit bytes.
func (b *body) load(limit int64) error {
	if b.whole || b.head != nil {
		return nil
	}
	size := b.in.ContentLength
	if size == 0 || b.in.Body == nil {
		b.whole = true
		return nil
	}
	want := limit + 1 // one byte more tells whether there is more
	if size > 0 {
		want = min(size, limit)
	}
	var err error
	if size > 0 && size <= limit {
		b.head = make([]byte, size)
		_, err = io.ReadFull(b.in.Body, b.head)
	} else {
		b.head, err = io.ReadAll(io.LimitReader(b.in.Body, want))
	}
	b.whole = err == nil && (size > 0 && size <= limit || size < 0 && int64(len(b.head)) <= limit)
	return err
}

// open gives the body to an attempt, with its length, below 0 if unknown. A body that
// is not whole can be opened once.
func (b *body) open() (io.Reader, int64) {
	switch {
	case b.whole && len(b.head) == 0:
		return wire.NoBody(), 0
	case b.whole:
		return bytes.NewReader(b.head), int64(len(b.head))
	}
	return io.MultiReader(bytes.NewReader(b.head), b.in.Body), b.in.ContentLength
}

// classOf says how a request ended whose body did not come.
func classOf(err error) policies.Outcome {
	var op net.Error
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return policies.DeadlineHit
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF), errors.Is(err, net.ErrClosed), errors.As(err, &op):
		return policies.Cancelled
	}
	return policies.Malformed
}

// topLevel finds keys at the top level of a JSON object, as they are written; of a
// key that is written twice the first counts. It stops at the first thing that is no
// JSON, such as the end of a body that was cut, and keeps what it found.
func topLevel(text []byte, keys []string) map[string]json.RawMessage {
	d := json.NewDecoder(bytes.NewReader(text))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	found := map[string]json.RawMessage{}
	for len(found) < len(keys) && d.More() {
		t, err := d.Token()
		name, ok := t.(string)
		if err != nil || !ok {
			return found
		}
		var raw json.RawMessage
		if d.Decode(&raw) != nil {
			return found
		}
		for _, k := range keys {
			if _, twice := found[k]; k == name && !twice {
				found[k] = raw
			}
		}
	}
	return found
}
