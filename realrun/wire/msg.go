package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"taillab/policies/balance"
)

// The limits of one envelope, and of one header of messages.
const (
	MaxMsgs     = 64
	MaxEnvelope = 8 << 10 // bytes
)

// Where messages go, below the address of a replica half or of a front end.
const (
	PathMsg   = "/taillab/msg"
	PathRun   = "/taillab/run"
	PathProbe = "/probe"
)

// Peer is one end of a message: front end f2, replica r17.
type Peer struct {
	Replica bool
	N       uint32
}

// String writes the peer as envelopes and headers name it.
func (p Peer) String() string {
	letter := "f"
	if p.Replica {
		letter = "r"
	}
	return letter + strconv.FormatUint(uint64(p.N), 10)
}

// ParsePeer reads f2 or r17.
func ParsePeer(s string) (Peer, error) {
	if len(s) >= 2 && (s[0] == 'f' || s[0] == 'r') && s[1] >= '0' && s[1] <= '9' {
		if n, err := strconv.ParseUint(s[1:], 10, 32); err == nil {
			return Peer{Replica: s[0] == 'r', N: uint32(n)}, nil
		}
	}
	return Peer{}, fmt.Errorf("%q is no peer: a front end is written f2, a replica r17", clip(s, 20))
}

// Envelope carries messages of one sender to one receiver.
type Envelope struct {
	Run     string // messages of another run are refused
	Service string
	From    string // see Peer
	To      string
	Msgs    []balance.Msg
}

// ErrRun says that an envelope belongs to another run.
var ErrRun = errors.New("the messages are of another run")

type envelopeJSON struct {
	Run     string     `json:"run"`
	Service string     `json:"service"`
	From    string     `json:"from"`
	To      string     `json:"to"`
	Msgs    [][]*int64 `json:"msgs"` // pointers, so that null is seen
}

// Encode writes the envelope as JSON; it refuses what DecodeEnvelope would.
func (e *Envelope) Encode() ([]byte, error) {
	b := []byte(`{"run":`)
	b = appendJSONString(b, e.Run)
	b = appendJSONString(append(b, `,"service":`...), e.Service)
	b = appendJSONString(append(b, `,"from":`...), e.From)
	b = appendJSONString(append(b, `,"to":`...), e.To)
	b = append(b, `,"msgs":[`...)
	for i, m := range e.Msgs {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, '[')
		b = append(appendMsg(b, m, ','), ']')
	}
	b = append(b, "]}"...)
	if _, err := DecodeEnvelope(b); err != nil {
		return nil, err
	}
	return b, nil
}

func appendMsg(b []byte, m balance.Msg, sep byte) []byte {
	b = append(strconv.AppendUint(b, uint64(m.Kind), 10), sep)
	b = append(strconv.AppendUint(b, uint64(m.Inc), 10), sep)
	b = append(strconv.AppendUint(b, uint64(m.Seq), 10), sep)
	b = append(strconv.AppendInt(b, m.A, 10), sep)
	return strconv.AppendInt(b, m.B, 10)
}

// DecodeEnvelope reads an envelope: all of it is good, or nothing is.
func DecodeEnvelope(b []byte) (Envelope, error) {
	if len(b) > MaxEnvelope {
		return Envelope{}, fmt.Errorf("the envelope has more than %d bytes", MaxEnvelope)
	}
	var j envelopeJSON
	if err := json.Unmarshal(b, &j); err != nil {
		return Envelope{}, fmt.Errorf("the envelope cannot be read: %w", err)
	}
	for _, p := range []string{j.From, j.To} {
		if _, err := ParsePeer(p); err != nil {
			return Envelope{}, err
		}
	}
	e := Envelope{Run: j.Run, Service: j.Service, From: j.From, To: j.To}
	if len(j.Msgs) > MaxMsgs {
		return Envelope{}, errTooMany(len(j.Msgs))
	}
	for i, row := range j.Msgs {
		m, err := message(row)
		if err != nil {
			return Envelope{}, fmt.Errorf("msgs[%d]: %w", i, err)
		}
		e.Msgs = append(e.Msgs, m)
	}
	return e, nil
}

func errTooMany(n int) error {
	return fmt.Errorf("%d messages: at most %d travel together", n, MaxMsgs)
}

// message checks the five numbers of a message.
func message(row []*int64) (balance.Msg, error) {
	if len(row) != 5 {
		return balance.Msg{}, fmt.Errorf("%d numbers: a message is kind, inc, seq, a, b", len(row))
	}
	for _, p := range row {
		if p == nil {
			return balance.Msg{}, errors.New("null is not an integer")
		}
	}
	kind, inc, seq := *row[0], *row[1], *row[2]
	if !isKind(kind) {
		return balance.Msg{}, fmt.Errorf("unknown kind %d", kind)
	}
	const most = 1<<32 - 1
	if inc < 0 || inc > most || seq < 0 || seq > most {
		return balance.Msg{}, fmt.Errorf("inc %d or seq %d is outside 0…%d", inc, seq, int64(most))
	}
	return balance.Msg{Kind: balance.MsgKind(kind), Inc: uint32(inc), Seq: uint32(seq), A: *row[3], B: *row[4]}, nil
}

// isKind knows the kinds of package balance and leaves those from MsgOwn to policies.
func isKind(k int64) bool {
	return k >= int64(balance.MsgIdle) && k <= int64(balance.MsgAnswer) || k >= int64(balance.MsgOwn) && k <= 255
}

// FormatMsgs writes messages as the value of HeaderMsg.
func FormatMsgs(msgs []balance.Msg) string {
	var b []byte
	for i, m := range msgs {
		if i > 0 {
			b = append(b, ", "...)
		}
		b = appendMsg(b, m, ' ')
	}
	return string(b)
}

// ParseMsgs reads the value of HeaderMsg: all of it is good, or nothing is.
func ParseMsgs(s string) ([]balance.Msg, error) {
	if len(s) > MaxEnvelope {
		return nil, fmt.Errorf("the header has more than %d bytes", MaxEnvelope)
	}
	if n := strings.Count(s, ",") + 1; n > MaxMsgs {
		return nil, errTooMany(n)
	}
	var out []balance.Msg
	for i, text := range strings.Split(s, ",") {
		var row []*int64
		for _, w := range strings.Fields(text) {
			n, err := strconv.ParseInt(w, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("message %d: %q is not an integer", i, clip(w, 20))
			}
			row = append(row, &n)
		}
		m, err := message(row)
		if err != nil {
			return nil, fmt.Errorf("message %d: %w", i, err)
		}
		out = append(out, m)
	}
	return out, nil
}

// Receive reads the envelope of a request to PathMsg and answers it: 204 if it is
// good, 409 (and ErrRun) if it is of another run, else 400. Nothing of an envelope
// that comes with an error may be used; the caller counts it.
func Receive(w http.ResponseWriter, r *http.Request, run string) (Envelope, error) {
	e, err := receive(r, run)
	switch {
	case errors.Is(err, ErrRun):
		w.WriteHeader(http.StatusConflict)
	case err != nil:
		w.WriteHeader(http.StatusBadRequest)
	default:
		w.WriteHeader(http.StatusNoContent)
	}
	return e, err
}

func receive(r *http.Request, run string) (Envelope, error) {
	if r.Method != http.MethodPost {
		return Envelope{}, fmt.Errorf("messages come by POST, not %s", clip(r.Method, 10))
	}
	b, err := io.ReadAll(io.LimitReader(r.Body, MaxEnvelope+1))
	if err != nil {
		return Envelope{}, fmt.Errorf("the envelope did not arrive: %w", err)
	}
	e, err := DecodeEnvelope(b)
	if err != nil {
		return Envelope{}, err
	}
	if e.Run != run {
		return Envelope{}, ErrRun
	}
	return e, nil
}
