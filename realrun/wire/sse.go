package wire

import (
	"bytes"
	"errors"
	"io"
	"strings"
)

// maxEvent bounds the data of one event, and a line, in bytes.
const maxEvent = 1 << 20

var errLongEvent = errors.New("an event of the stream is longer than 1 MiB")

// events reads the data of server-sent events (WHATWG HTML, "Server-sent events"):
// lines end in LF, CR LF or CR, data lines of one event are joined by LF, comments
// and other fields are ignored. Unlike a browser it also gives an event that the end
// of the stream cuts off; cut is true then.
type events struct {
	r    io.Reader
	buf  []byte // of the last read; buf[lo:hi] is unread
	lo   int
	hi   int
	line []byte
	data []byte
	has  bool // the event has a data line
	cr   bool // the last line ended in CR: an LF that follows belongs to it
	some bool // a data line among it
	junk bool // a line that is no field among it
	cut  bool
}

// reset readies the reader for another stream, keeping its buffers.
func (e *events) reset(r io.Reader, buf []byte) {
	*e = events{r: r, buf: buf, line: e.line[:0], data: e.data[:0]}
}

// next returns the data of the next event, valid until the call after. The error is
// io.EOF at the end, errLongEvent, or what the reader says.
func (e *events) next() ([]byte, error) {
	e.data, e.has = e.data[:0], false
	for {
		err := e.readLine()
		switch {
		case err == io.EOF:
			e.cut = true
			e.field()
			if e.has {
				return e.data, nil
			}
			return nil, io.EOF
		case err != nil:
			return nil, err
		case len(e.line) == 0 && e.has:
			return e.data, nil
		}
		e.field()
		if len(e.data) > maxEvent {
			return nil, errLongEvent
		}
	}
}

// field takes a line of the form "data: text"; one space after the colon goes.
func (e *events) field() {
	line := bytes.TrimPrefix(e.line, []byte("\uFEFF"))
	e.line = e.line[:0]
	name, value, _ := bytes.Cut(line, []byte(":"))
	if string(name) != "data" {
		e.junk = e.junk || !isField(name)
		return
	}
	if e.has {
		e.data = append(e.data, '\n')
	}
	e.has, e.some = true, true
	e.data = append(e.data, bytes.TrimPrefix(value, []byte(" "))...)
}

// isField knows the fields, and their beginnings: a stream may be cut anywhere.
func isField(name []byte) bool {
	for _, f := range [...]string{"data", "event", "id", "retry"} {
		if strings.HasPrefix(f, string(name)) {
			return true
		}
	}
	return false
}

// readLine puts the next line, without its end, into e.line. At the end of the
// stream the line holds what came without an end.
func (e *events) readLine() error {
	e.line = e.line[:0]
	for {
		for e.lo == e.hi {
			n, err := e.r.Read(e.buf)
			e.lo, e.hi = 0, n
			if n == 0 && err != nil {
				return err
			}
		}
		if e.cr && e.buf[e.lo] == '\n' {
			e.lo++
		}
		was := e.cr
		e.cr = false
		if was && e.lo == e.hi {
			continue
		}
		rest := e.buf[e.lo:e.hi]
		if i := bytes.IndexAny(rest, "\r\n"); i >= 0 {
			e.line = append(e.line, rest[:i]...)
			e.cr = rest[i] == '\r'
			e.lo += i + 1
			return nil
		}
		e.line = append(e.line, rest...)
		e.lo = e.hi
		if len(e.line) > maxEvent {
			return errLongEvent
		}
	}
}
