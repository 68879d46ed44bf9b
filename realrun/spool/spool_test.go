package spool

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// shelf is a Writer in memory that fails at its pieces from the given one on, or waits
// at each for permission.
type shelf struct {
	pieces [][]byte
	failAt int // from 1; 0 = never
	gate   chan struct{}
	whole  bool
	closed int
	close  error
}

var errDisk = errors.New("no space left")

func (s *shelf) Piece(_ string, data []byte) error {
	if s.gate != nil {
		<-s.gate
	}
	s.pieces = append(s.pieces, data)
	if len(s.pieces) == s.failAt {
		return errDisk
	}
	return nil
}

func (s *shelf) Close(whole bool) error {
	s.closed++
	s.whole = whole
	return s.close
}

// What a writer could not take ends the tape: a later piece would leave a gap.
func TestNothingFollowsAFailure(t *testing.T) {
	t.Parallel()
	to := &shelf{failAt: 2, gate: make(chan struct{})}
	var why []error
	s := New(to, 100, func(err error) { why = append(why, err) })
	for _, x := range []string{"a", "b", "c", "d"} {
		s.Add("x", []byte(x))
	}
	close(to.gate)
	s.End()
	s.End()
	require.Equal(t, [][]byte{[]byte("a"), []byte("b")}, to.pieces)
	require.Equal(t, []error{errDisk}, why)
	require.ErrorIs(t, s.Err(), errDisk)
	require.False(t, to.whole)
	require.Equal(t, 1, to.closed)
}

// What comes too fast ends the tape; what waits already is written.
func TestTooFast(t *testing.T) {
	t.Parallel()
	to := &shelf{gate: make(chan struct{})}
	why := make(chan error, 1)
	s := New(to, 3, func(err error) { why <- err })
	for _, x := range []string{"ab", "c", "defg", "h"} {
		s.Add("x", []byte(x))
	}
	close(to.gate)
	require.ErrorIs(t, <-why, ErrTooFast)
	s.End()
	require.Equal(t, [][]byte{[]byte("ab"), []byte("c")}, to.pieces[:2])
	require.NotContains(t, to.pieces, []byte("h"))
	require.False(t, to.whole)
}

// A tape that was written is whole, unless its end cannot be.
func TestEnds(t *testing.T) {
	t.Parallel()
	to := &shelf{}
	s := New(to, 100, nil)
	s.Add("x", []byte("a"))
	s.End()
	require.True(t, to.whole)
	require.NoError(t, s.Err())
	s.Add("x", []byte("late"))
	require.Len(t, to.pieces, 1)

	to = &shelf{close: errDisk}
	s = New(to, 100, nil)
	s.End()
	require.ErrorIs(t, s.Err(), errDisk)
}
