package flow

import (
	"errors"
	"math"
	"time"

	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/quota"
)

// errShort is a tape that ends inside a record.
var errShort = errors.New("the tape ends inside a record")

func uvarint(b []byte, x uint64) []byte {
	for x >= 0x80 {
		b = append(b, byte(x)|0x80)
		x >>= 7
	}
	return append(b, byte(x))
}

func varint(b []byte, x int64) []byte { return uvarint(b, uint64(x)<<1^uint64(x>>63)) }

func float32bits(f float32) uint32 { return math.Float32bits(f) }

// appendActions encodes the actions from index from on; messages are written where
// they are used.
func appendActions(b []byte, out *Actions, from int, now time.Duration) []byte {
	b = uvarint(b, uint64(len(out.List)-from))
	for i := from; i < len(out.List); i++ {
		a := &out.List[i]
		b = append(b, byte(a.Kind), a.N)
		b = uvarint(b, uint64(a.Service))
		b = uvarint(b, uint64(a.Slot))
		b = uvarint(b, a.Req)
		b = uvarint(b, uint64(a.Ref.ID))
		b = uvarint(b, uint64(a.Ref.Inc))
		switch a.Kind {
		case ActWake:
			b = varint(b, int64(a.At-now))
		case ActDecided:
			b = varint(b, int64(a.At))
		case ActAsk:
			b = appendAsk(b, &out.Asks[a.Arg])
			continue
		}
		if a.Kind == ActTell || a.Kind == ActReport {
			m := &out.Msgs[a.Arg]
			b = uvarint(b, uint64(m.Kind))
			b = uvarint(b, uint64(m.Inc))
			b = uvarint(b, uint64(m.Seq))
			b = varint(b, m.A)
			b = varint(b, m.B)
			continue
		}
		b = uvarint(b, a.Arg)
	}
	return b
}

func appendAsk(b []byte, a *quota.Ask) []byte {
	b = append(b, byte(a.Kind))
	b = uvarint(b, uint64(a.Tenant))
	b = uvarint(b, a.Req)
	b = uvarint(b, math.Float64bits(a.Units))
	b = uvarint(b, math.Float64bits(a.Need))
	return varint(b, int64(a.Window))
}

// reader decodes a tape. After an error every read gives 0 and err stays set.
type reader struct {
	b   []byte
	at  int
	err error
}

func (r *reader) u() uint64 {
	var x uint64
	for shift := uint(0); shift < 64; shift += 7 {
		if r.at >= len(r.b) {
			r.fail(errShort)
			return 0
		}
		c := r.b[r.at]
		r.at++
		x |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return x
		}
	}
	r.fail(errors.New("the tape holds a number of more than 64 bits"))
	return 0
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.at = len(r.b)
}

func (r *reader) i() int64 { x := r.u(); return int64(x>>1) ^ -int64(x&1) }

// below reads a number that must stay below a bound.
func (r *reader) below(n uint64, what string) uint64 {
	x := r.u()
	if x >= n {
		r.fail(errors.New("the tape holds an impossible " + what))
		return 0
	}
	return x
}

func (r *reader) ref() policies.Ref { return policies.Ref{ID: uint32(r.u()), Inc: uint32(r.u())} }

func (r *reader) request() policies.Request {
	return policies.Request{ID: r.u(), Key: r.u(), Arrived: time.Duration(r.i()), Deadline: time.Duration(r.i()),
		Service: uint32(r.u()), Tenant: uint32(r.u()), Group: uint32(r.u()), Model: uint32(r.u()),
		Input: uint32(r.u()), MaxTokens: uint32(r.u()), Cold: uint32(r.u()),
		Class: uint16(r.u()), Priority: int8(uint8(r.u())), Attempt: uint8(r.u())}
}

func (r *reader) load() balance.Load {
	return balance.Load{Running: int32(r.i()), Queued: int32(r.i()), Slots: int32(r.i()),
		KV: math.Float32frombits(uint32(r.u())), LatencyEst: time.Duration(r.i())}
}

func (r *reader) ask() quota.Ask {
	return quota.Ask{Kind: quota.AskKind(r.u8()), Tenant: uint32(r.u()), Req: r.u(),
		Units: math.Float64frombits(r.u()), Need: math.Float64frombits(r.u()), Window: time.Duration(r.i())}
}

func (r *reader) grant() quota.Grant {
	return quota.Grant{Units: math.Float64frombits(r.u()), Left: math.Float64frombits(r.u()), Never: r.u() != 0,
		Expiry: time.Duration(r.i()), RetryIn: time.Duration(r.i())}
}

func (r *reader) msg() balance.Msg {
	return balance.Msg{Kind: balance.MsgKind(r.u()), Inc: uint32(r.u()), Seq: uint32(r.u()), A: r.i(), B: r.i()}
}

// bytes reads n bytes.
func (r *reader) bytes(n uint64) []byte {
	if n > uint64(len(r.b)-r.at) {
		r.fail(errShort)
		return nil
	}
	b := r.b[r.at : r.at+int(n)]
	r.at += int(n)
	return b
}

// actions skips over encoded actions and returns them as they are.
func (r *reader) actions() []byte {
	from := r.at
	for n := r.u(); n > 0 && r.err == nil; n-- {
		kind := ActionKind(r.u8())
		r.u8()
		for range 5 {
			r.u()
		}
		switch kind {
		case ActWake:
			r.i()
			r.u()
		case ActDecided:
			r.i()
			r.u()
		case ActAsk:
			r.ask()
		case ActTell, ActReport:
			r.msg()
		default:
			r.u()
		}
	}
	if r.err != nil {
		return nil
	}
	return r.b[from:r.at]
}

func (r *reader) u8() byte {
	if r.at >= len(r.b) {
		r.fail(errShort)
		return 0
	}
	r.at++
	return r.b[r.at-1]
}
