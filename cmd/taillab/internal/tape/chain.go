package tape

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"sync/atomic"

	"taillab/realrun/spool"
)

// SegmentFile is the file of a segment, to be written once from its start to its end.
type SegmentFile interface {
	io.Writer
	// Close ends the file, Discard removes it, closed or not.
	Close() error
	Discard() error
}

// ChainWriter writes a tape in segments. Only Bytes may be called from another goroutine
// than the one that writes.
type ChainWriter struct {
	create func(number int) (SegmentFile, error)
	head   Header
	length int64 // of a segment
	limit  int64 // of the chain

	files []SegmentFile
	w     *Writer // of the last one
	at    *meter
	past  int64 // bytes of the segments before it
	bytes atomic.Int64
}

// NewChain begins a chain of segments of about length bytes, and of about limit bytes in
// all; name tells it from other chains. create begins the file of a segment, from 1.
func NewChain(create func(number int) (SegmentFile, error), h Header, name string, length, limit int64) (*ChainWriter, error) {
	c := &ChainWriter{create: create, head: h, length: length, limit: limit}
	c.head.Segment = &Segment{Chain: name, Number: 1}
	if err := c.begin(); err != nil {
		return nil, err
	}
	return c, nil
}

// begin begins the segment of the header.
func (c *ChainWriter) begin() error {
	f, err := c.create(c.head.Segment.Number)
	if err != nil {
		return err
	}
	c.files = append(c.files, f)
	c.at = &meter{to: f, sum: sha256.New()}
	c.w, err = NewWriter(c.at, c.head)
	c.count()
	return err
}

// next ends a segment and begins the one that follows it.
func (c *ChainWriter) next() error {
	if err := errors.Join(c.w.end(endMark, continues), c.files[len(c.files)-1].Close()); err != nil {
		return err
	}
	c.past += c.at.n
	was := c.head.Segment
	c.head.Segment = &Segment{Chain: was.Chain, Number: was.Number + 1, Previous: hex.EncodeToString(c.at.sum.Sum(nil))}
	return c.begin()
}

func (c *ChainWriter) count() { c.bytes.Store(c.past + c.at.n) }

// Piece adds to a stream, whole records of it, in another segment where this one is
// long enough. It answers spool.ErrFull with the piece that reaches the limit.
func (c *ChainWriter) Piece(stream string, data []byte) error {
	if c.at.n >= c.length {
		if err := c.next(); err != nil {
			return err
		}
	}
	err := c.w.Piece(stream, data)
	c.count()
	if err == nil && c.Bytes() >= c.limit {
		err = spool.ErrFull
	}
	return err
}

// Bytes is how long the files are by now.
func (c *ChainWriter) Bytes() int64 { return c.bytes.Load() }

// Close ends the last segment, and with it the chain.
func (c *ChainWriter) Close(whole bool) error {
	err := errors.Join(c.w.Close(whole), c.files[len(c.files)-1].Close())
	c.count()
	return err
}

// Drop removes all segments.
func (c *ChainWriter) Drop() error {
	var err error
	for _, f := range c.files {
		err = errors.Join(err, f.Discard())
	}
	c.files = nil
	return err
}

// meter counts and digests what goes to a file.
type meter struct {
	to  io.Writer
	sum hash.Hash
	n   int64
}

// Write implements io.Writer.
func (m *meter) Write(b []byte) (int, error) {
	n, err := m.to.Write(b)
	m.sum.Write(b[:n]) // never fails
	m.n += int64(n)
	return n, err
}
