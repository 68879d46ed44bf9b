package emulator

import (
	"time"

	"taillab/policies/balance"
)

// entryKind says what an entry of the agenda does.
type entryKind uint8

// The kinds, in the order in which those of one instant are carried out.
const (
	entryPost  entryKind = iota // a message has reached its front end's door
	entryToken                  // a token of a stream
	entryWake                   // a wake that the replica half asked for
)

// entry is something that a replica does at an instant, beside serving.
type entry struct {
	at    time.Duration
	seq   uint64
	kind  entryKind
	inc   uint32 // of a wake: the life that asked for it
	to    uint32
	token uint64
	msg   balance.Msg
	call  *call
}

func (e *entry) before(o *entry) bool {
	switch {
	case e.at != o.at:
		return e.at < o.at
	case e.kind != o.kind:
		return e.kind < o.kind
	}
	return e.seq < o.seq
}

// agenda is a binary heap of entries.
type agenda struct {
	list []entry
	seq  uint64
}

func (a *agenda) push(e entry) {
	a.seq++
	e.seq = a.seq
	a.list = append(a.list, e)
	for i := len(a.list) - 1; i > 0; {
		up := (i - 1) / 2
		if !a.list[i].before(&a.list[up]) {
			return
		}
		a.list[i], a.list[up] = a.list[up], a.list[i]
		i = up
	}
}

func (a *agenda) pop() entry {
	top, last := a.list[0], len(a.list)-1
	a.list[0], a.list[last] = a.list[last], entry{}
	a.list = a.list[:last]
	for i := 0; ; {
		least := i
		for k := 2*i + 1; k <= 2*i+2 && k < last; k++ {
			if a.list[k].before(&a.list[least]) {
				least = k
			}
		}
		if least == i {
			return top
		}
		a.list[i], a.list[least] = a.list[least], a.list[i]
		i = least
	}
}

// drop takes out all entries of a kind.
func (a *agenda) drop(k entryKind) {
	old := a.list
	a.list = nil
	for _, e := range old {
		if e.kind != k {
			a.push(e)
		}
	}
}
