package sim

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"
)

// shop files the ends of services in lanes or in the agenda, among a source, messages,
// timers and other completions, mostly at equal instants.
type shop struct {
	e       *Engine
	dice    *rand.Rand
	serve   HandlerID
	others  [3]HandlerID
	inLanes bool
	busy    []bool
	log     []string
	left    int
}

func (s *shop) note(what string, arg uint64) {
	s.log = append(s.log, fmt.Sprint(s.e.Now(), what, arg, s.e.Pending()))
}

func (s *shop) start(k uint64) {
	s.busy[k] = true
	at := s.e.Now() + Time(s.dice.IntN(4))
	if s.inLanes {
		s.e.SetLane(uint32(k), at)
	} else {
		s.e.Schedule(at, s.serve, k)
	}
}

func (s *shop) Fire(e *Engine) Time {
	s.note("source", 0)
	if k := s.dice.Uint64N(uint64(len(s.busy))); !s.busy[k] {
		s.start(k)
	}
	e.Schedule(e.Now()+Time(s.dice.IntN(3)*s.dice.IntN(200)), s.others[s.dice.IntN(3)], 0)
	if s.left--; s.left == 0 {
		return Never
	}
	return e.Now() + Time(s.dice.IntN(3))
}

func (s *shop) served(k uint64) {
	s.busy[k] = false
	if s.dice.IntN(3) > 0 {
		s.start(k)
	} else if s.inLanes {
		s.e.SetLane(uint32(k), Never)
	}
	s.note("served", k)
}

func runShop(n int, seed uint64, inLanes bool) []string {
	s := &shop{e: New(Config{Gap: 1}), dice: rand.New(rand.NewPCG(seed, 1)), inLanes: inLanes, busy: make([]bool, n), left: 2000}
	s.serve = s.e.Register(call(s.served), Completion)
	for i, c := range []Class{Completion, Message, Timing} {
		s.others[i] = s.e.Register(call(func(uint64) { s.note("other", uint64(c)) }), c)
	}
	if inLanes {
		s.e.Lanes(n, s.serve)
	}
	s.e.Attach(5, s)
	for t := Time(0); t < 1000; t += 7 { // bounds fall on instants of all kinds
		s.e.RunUntil(t)
	}
	s.e.Run()
	return s.log
}

// An event in a lane comes when it would come from the agenda.
func TestLanesKeepTheOrder(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 5, 64, 100} {
		for seed := range uint64(5) {
			require.Equal(t, runShop(n, seed, false), runShop(n, seed, true), "%d lanes, seed %d", n, seed)
		}
	}
}

// Clear empties the lanes and keeps them.
func TestClearedLanes(t *testing.T) {
	t.Parallel()
	e := New(Config{})
	served := 0
	h := e.Register(call(func(k uint64) { served++; e.SetLane(uint32(k), Never) }), Completion)
	e.Lanes(3, h)
	e.SetLane(2, 7)
	require.Equal(t, 1, e.Pending())
	e.Clear()
	require.Zero(t, e.Pending())
	e.SetLane(1, 5)
	e.Run()
	require.Equal(t, 1, served)
	require.Equal(t, Time(5), e.Now())
	require.Panics(t, func() { e.SetLane(0, 1) }, "in the past")
}
