package wire

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"unicode"

	"taillab/policies"
)

// classify names the class of an error that ended the attempt. Header tells that the
// answer's header was read. What the caller or a timer ended is that, whatever error
// the connection reports of its own death.
func (w *watch) classify(err error, header bool, major int) policies.Outcome {
	if cause := context.Cause(w.ctx); cause != nil {
		switch {
		case cause == errStall:
			return policies.Stall
		case cause == errTotal, errors.Is(w.parent.Err(), context.DeadlineExceeded):
			return policies.DeadlineHit
		}
		return policies.Cancelled
	}
	if header {
		return ofBody(err, major)
	}
	return w.ofHeader(err)
}

// ofHeader classifies what went wrong before a header was read.
func (w *watch) ofHeader(err error) policies.Outcome {
	var dns *net.DNSError
	var op *net.OpError
	var timed interface{ Timeout() bool }
	timeout := errors.As(err, &timed) && timed.Timeout()
	switch {
	case isOurLimit(err):
		return policies.NotSent
	case errors.As(err, &dns):
		return policies.DNS
	case w.badTLS.Load():
		return policies.TLS
	case errors.As(err, &op) && op.Op == "dial":
		if timeout {
			return policies.DialTimeout
		}
		return policies.Refused
	case timeout:
		return policies.HeaderTimeout
	case w.first.Load() != 0 && !isBroken(err):
		return policies.Malformed
	}
	return policies.Reset
}

// ofBody classifies what went wrong in an answer's body. HTTP/2 reports a broken
// stream by errors of its own.
func ofBody(err error, major int) policies.Outcome {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return policies.ShortRead
	case isBroken(err), major == 2:
		return policies.Reset
	}
	return policies.Malformed
}

// isOurLimit tells that this machine has no file descriptor or port left: that is no
// fault of the backend.
func isOurLimit(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) || errors.Is(err, syscall.EADDRNOTAVAIL)
}

// isBroken tells that the connection died, as against bytes that make no sense.
func isBroken(err error) bool {
	var op *net.OpError
	var no syscall.Errno
	return errors.As(err, &op) || errors.As(err, &no) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, net.ErrClosed) || errors.Is(err, io.ErrClosedPipe)
}

// detail makes a short text for people of what a backend or an error said, on one
// line. A text that repeats part of the key is withheld.
func (c *Client) detail(text string) string {
	if c.holdsKey(text) {
		return "(withheld: the text repeats part of the key)"
	}
	text = strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) {
			return ' '
		}
		if !unicode.IsPrint(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	return clip(strings.Join(strings.Fields(text), " "), 160)
}

// holdsKey tells whether a text shows six successive bytes of the key: servers like
// to quote the ends of a key that they do not know.
func (c *Client) holdsKey(text string) bool {
	key := c.key()
	n := min(6, len(key))
	if n == 0 {
		return false
	}
	for i := 0; i+n <= len(key); i++ {
		if strings.Contains(text, key[i:i+n]) {
			return true
		}
	}
	return false
}
