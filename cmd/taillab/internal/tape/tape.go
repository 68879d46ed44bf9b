// Package tape is the file format of taped runs: one header that says how to
// rebuild the instances, and one stream of inputs and actions per instance. What
// a stream holds is the business of the flow core; this package only frames it.
//
// A file is the line "taillab-tape/1", then one zstd frame of: the length of the
// header, the header as JSON, pieces of streams, and an end mark. A piece is the number
// of its stream, from 1 in the order of appearance, at the first one the length of its
// name and the name, the length of its data and the data; the mark is a 0. Numbers and
// lengths are unsigned LEB128. A tape without its mark is cut short: the program was
// killed, the disk was full, or what was to be taped came too fast.
//
// A long tape is a chain of files, its segments. Each is a file as above, whose header
// says which one of the chain it is and what the SHA-256 of the one before was; behind
// the end mark of one that is not the last stands a 1. The streams of a chain are
// those of its segments, joined.
package tape

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/klauspost/compress/zstd"

	"taillab/policies/flow"
	"taillab/policies/quota"
)

// magic opens every tape; the number is the version of the format.
const (
	family = "taillab-tape/"
	magic  = family + "1\n"
)

// maxHeader bounds the header, the weights, slots and labels of two million replicas,
// and maxName the name of a stream.
const (
	maxHeader = 1 << 28
	maxName   = 1 << 12
)

// What stands behind the data: the end mark, and behind it in a segment that is not
// the last.
const (
	endMark   = 0
	continues = 1
)

// Header says what was taped and how to make the instances anew.
type Header struct {
	ToolVersion  string    `json:"tool_version"`
	Commit       string    `json:"commit"` // of the program; empty if unknown
	Scenario     string    `json:"scenario"`
	ScenarioHash string    `json:"scenario_hash"`
	Policy       string    `json:"policy"` // label of the cell
	Family       string    `json:"family"`
	Load         *float64  `json:"load"`
	Seed         int       `json:"seed"`            // number of the replication, from 1
	RunSeed      uint64    `json:"run_seed,string"` // what its streams of chance derive from
	FrontEnds    int       `json:"front_ends"`
	Services     []Service `json:"services"`
	Quota        *Quota    `json:"quota,omitempty"`   // none: requests are not limited
	Segment      *Segment  `json:"segment,omitempty"` // none: the file is the whole tape
	Streams      []Stream  `json:"-"`
}

// Segment says which part of a chain a file is.
type Segment struct {
	Chain    string `json:"chain"`              // the same in all of a chain, another one in all others
	Number   int    `json:"number"`             // from 1
	Previous string `json:"previous,omitempty"` // SHA-256 of the segment before, hex
}

// Service is what front ends know of a service before the run.
type Service struct {
	Name     string              `json:"name"`
	Type     string              `json:"policy_type"` // catalogue name of its balancer
	Params   json.RawMessage     `json:"params"`      // an object: all parameters after defaults
	Replicas int                 `json:"replicas"`
	Weights  []float64           `json:"weights,omitempty"` // by replica; none = all 1
	Slots    []int32             `json:"slots,omitempty"`
	Labels   []map[string]string `json:"labels,omitempty"`
	Detect   string              `json:"detect"` // as in the scenario
	Period   time.Duration       `json:"period_ns"`
	Later    int                 `json:"later,omitempty"` // of the replicas, those that are no members at the start
	Hold     *flow.Hold          `json:"hold,omitempty"`
	Scaler   *Scaler             `json:"autoscaler,omitempty"`
}

// Quota is the quota stage of every front end.
type Quota struct {
	Type        string          `json:"limiter_type"` // catalogue name
	Params      json.RawMessage `json:"params"`
	Share       string          `json:"share_type"`
	ShareParams json.RawMessage `json:"share_params"`
	Groups      []quota.Group   `json:"groups"`
	Loss        quota.LossMode  `json:"on_store_loss"`
	Cost        flow.Cost       `json:"cost"`
	OnDenied    flow.OnDenied   `json:"on_denied"`
}

// Scaler is a service's autoscaler.
type Scaler struct {
	Type   string          `json:"policy_type"`
	Params json.RawMessage `json:"params"`
}

// Stream is one taped instance: `frontend/K.GEN`, `replicas/SERVICE` or `autoscale/SERVICE`.
type Stream struct {
	Name string
	Data []byte
}

// Tape is a file that was read.
type Tape struct {
	Header
	Cut bool // the file ends early or is damaged: the last streams lack data

	more bool // another segment follows

	Scalers []ScalerMaker // by service: set before Replay where the tape has autoscalers

	// Watch, if set before Replay, looks at what each record of the instance made last
	// has brought about.
	Watch func(now time.Duration, out *flow.Actions)
}

// ErrNewer is wrapped by errors about tapes of a later version.
var ErrNewer = errors.New("written by a newer taillab; update this program to read it")

// ErrDamaged is wrapped by errors about tapes of which nothing can be replayed.
var ErrDamaged = errors.New("the tape is damaged or cut short")

// Read reads a tape. One that ends early is returned as far as it goes, with Cut
// set; an error means that there is nothing to replay. It never trusts a length
// in the file further than the bytes that follow it.
func Read(r io.Reader) (*Tape, error) {
	b := bufio.NewReader(r)
	if err := readMagic(b); err != nil {
		return nil, err
	}
	z, err := zstd.NewReader(b, zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxWindow(64<<20))
	if err != nil {
		return nil, fmt.Errorf("%w: %v", ErrDamaged, err)
	}
	defer z.Close()
	in := bufio.NewReader(z)
	t := &Tape{}
	if err := t.readHeader(in); err != nil {
		return nil, err
	}
	if !t.readPieces(in) {
		t.Cut = true
		return t, nil
	}
	next, err := in.ReadByte() // the checksum at the end is read with the end
	if t.more = err == nil && next == continues && t.Segment != nil; t.more {
		_, err = in.ReadByte()
	}
	t.Cut = err != io.EOF
	return t, nil
}

// readPieces joins the pieces of every stream; false when the end mark is missing.
func (t *Tape) readPieces(in *bufio.Reader) bool {
	for {
		number, err := binary.ReadUvarint(in)
		if err != nil || number > uint64(len(t.Streams))+1 {
			return false
		}
		if number == 0 {
			return true
		}
		if number > uint64(len(t.Streams)) {
			name, err := readBytes(in, maxName)
			if err != nil {
				return false
			}
			t.Streams = append(t.Streams, Stream{Name: string(name)})
		}
		s := &t.Streams[number-1]
		data, err := readBytes(in, math.MaxInt64)
		s.Data = append(s.Data, data...)
		if err != nil {
			return false
		}
	}
}

// readBytes reads a length and so many bytes, as far as they are there.
func readBytes(in *bufio.Reader, most uint64) ([]byte, error) {
	n, err := binary.ReadUvarint(in)
	if err == nil && n > most {
		err = fmt.Errorf("%d bytes, at most %d", n, most)
	}
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	_, err = io.CopyN(&b, in, int64(n))
	return b.Bytes(), err
}

func readMagic(b *bufio.Reader) error {
	line := make([]byte, 0, 32)
	for len(line) < cap(line) {
		c, err := b.ReadByte()
		if err != nil {
			break
		}
		if line = append(line, c); c == '\n' {
			break
		}
	}
	switch s := string(line); {
	case s == magic:
		return nil
	case strings.HasPrefix(s, family) && strings.HasSuffix(s, "\n"):
		return fmt.Errorf("format %q: %w", strings.TrimSpace(s), ErrNewer)
	case len(s) > 0 && strings.HasPrefix(magic, s):
		return fmt.Errorf("%w: it ends within its first line", ErrDamaged)
	}
	return errors.New("this is not a tape: its first line is not " + strings.TrimSpace(magic))
}

func (t *Tape) readHeader(in *bufio.Reader) error {
	n, err := binary.ReadUvarint(in)
	if err != nil {
		return fmt.Errorf("%w: no header can be read", ErrDamaged)
	}
	if n > maxHeader {
		return fmt.Errorf("%w: the header would be %d bytes long", ErrDamaged, n)
	}
	head, err := io.ReadAll(io.LimitReader(in, int64(n)))
	if err != nil || uint64(len(head)) < n {
		return fmt.Errorf("%w: it ends within its header", ErrDamaged)
	}
	if err := json.Unmarshal(head, &t.Header); err != nil {
		return fmt.Errorf("%w: its header cannot be read: %v", ErrDamaged, err)
	}
	return t.check()
}

// check refuses headers that no run could have written.
func (t *Tape) check() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("%w: "+format, append([]any{ErrDamaged}, args...)...)
	}
	if t.FrontEnds < 1 || t.FrontEnds > 10_000 {
		return bad("its header names %d front ends", t.FrontEnds)
	}
	if len(t.Services) == 0 || len(t.Services) > 1<<16 {
		return bad("its header names %d services", len(t.Services))
	}
	if s := t.Segment; s != nil && (s.Number < 1 || s.Chain == "" || (s.Previous == "") != (s.Number == 1)) {
		return bad("its header names no place in a chain")
	}
	for _, s := range t.Services {
		n := s.Replicas
		if n < 1 || n > 2_000_000 {
			return bad("service %q has %d replicas", s.Name, n)
		}
		for _, have := range []int{len(s.Weights), len(s.Slots), len(s.Labels)} {
			if have != 0 && have != n {
				return bad("service %q lists %d of its %d replicas", s.Name, have, n)
			}
		}
	}
	return nil
}
