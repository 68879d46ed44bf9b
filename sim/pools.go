package sim

import (
	"time"

	"taillab/policies"
	"taillab/policies/balance"
)

// coldBlocks serves prefix blocks to front ends.
type coldBlocks struct{ l *lab }

// Prefix implements flow.Cold.
func (c coldBlocks) Prefix(cold uint32) []uint64 { return c.l.blocks[cold-1] }

// newRequest takes a request from the pool; what it held is still in it.
func (l *lab) newRequest() uint32 {
	if i := l.freeReq; i != 0 {
		l.freeReq = l.reqs[i-1].first
		return i - 1
	}
	l.reqs = append(l.reqs, request{})
	return uint32(len(l.reqs) - 1)
}

func (l *lab) dropRequest(i uint32) {
	l.reqs[i].first, l.freeReq = l.freeReq, i+1
}

// newAttempt takes an attempt from the pool; what it held is still in it.
func (l *lab) newAttempt() uint32 {
	if i := l.freeAtt; i != 0 {
		l.freeAtt = l.atts[i-1].older
		return i - 1
	}
	l.atts = append(l.atts, attempt{})
	return uint32(len(l.atts) - 1)
}

func (l *lab) dropAttempt(i uint32) { l.atts[i].older, l.freeAtt = l.freeAtt, i+1 }

// wake is a time that a policy asked for: of a front end, or of a replica half. Every
// replica of jiq-amnesia waits for one, hence no envelope.
type wake struct {
	token   uint64 // of a free one the next free, +1
	who     uint32 // front end or replica
	life    uint32 // its gen or incarnation
	service uint16
}

func (l *lab) wakeAt(at time.Duration, h HandlerID, w wake) {
	i := l.freeWake
	if i != 0 {
		i--
		l.freeWake = uint32(l.wakes[i].token)
	} else {
		i = uint32(len(l.wakes))
		l.wakes = append(l.wakes, wake{})
	}
	l.wakes[i] = w
	l.eng.Schedule(At(at), h, uint64(i))
}

// woken adapts the receiver of a wake to a handler, as posted does.
func (l *lab) woken(f func(*lab, wake)) func(uint64) {
	return func(arg uint64) {
		w := l.wakes[arg]
		l.wakes[arg].token, l.freeWake = uint64(l.freeWake), uint32(arg)+1
		f(l, w)
	}
}

// letter is a message between the halves of a policy, to a front end or from one. At
// the start every replica may write one.
type letter struct {
	a, b    int64  // of the message; a of a free one the next free, +1
	seq     uint32 // of the message
	front   uint32
	ref     policies.Ref // the replica; the message is of its life
	service uint16
	kind    balance.MsgKind
}

func newLetter(service uint16, front uint32, r policies.Ref, m *balance.Msg) letter {
	return letter{a: m.A, b: m.B, seq: m.Seq, front: front, ref: r, service: service, kind: m.Kind}
}

func (e *letter) msg() balance.Msg {
	return balance.Msg{Kind: e.kind, Inc: e.ref.Inc, Seq: e.seq, A: e.a, B: e.b}
}

func (l *lab) mailLetter(at time.Duration, h HandlerID, e letter) {
	i := l.freeLetter
	if i != 0 {
		i--
		l.freeLetter = uint32(l.letters[i].a)
	} else {
		i = uint32(len(l.letters))
		l.letters = append(l.letters, letter{})
	}
	l.letters[i] = e
	l.eng.Schedule(At(at), h, uint64(i))
}

// read adapts the receiver of a letter to a handler, as posted does.
func (l *lab) read(f func(*lab, letter)) func(uint64) {
	return func(arg uint64) {
		e := l.letters[arg]
		l.letters[arg].a, l.freeLetter = int64(l.freeLetter), uint32(arg)+1
		f(l, e)
	}
}

// envelope is any other message under way; what its fields hold depends on its handler.
type envelope struct {
	service uint16
	front   uint32
	gen     uint32
	ref     policies.Ref
	arg     uint64
	req     uint64
	load    balance.Load
	change  balance.Change
	next    uint32
}

func (l *lab) post(at time.Duration, h HandlerID, e envelope) {
	var i uint32
	if l.freeEnv != 0 {
		i = l.freeEnv - 1
		l.freeEnv = l.mail[i].next
	} else {
		i = uint32(len(l.mail))
		l.mail = append(l.mail, envelope{})
	}
	l.mail[i] = e
	l.eng.Schedule(At(at), h, uint64(i))
}

// posted adapts the receiver of an envelope to a handler; the envelope is free
// again before it is read.
func (l *lab) posted(f func(*lab, envelope)) func(uint64) {
	return func(arg uint64) {
		e := l.mail[arg]
		l.mail[arg].next, l.freeEnv = l.freeEnv, uint32(arg)+1
		f(l, e)
	}
}
