package realrun

import (
	"bytes"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/policies/chance"
	"taillab/policies/flow"
	"taillab/realrun/spool"
	"taillab/scenarios"
	"taillab/scenarios/scenariotest"
)

// shelf is a TapeWriter in memory.
type shelf struct {
	streams map[string][]byte
	pieces  int
	fail    error
	closed  atomic.Int64
	whole   bool
}

func (s *shelf) Piece(stream string, data []byte) error {
	if s.streams == nil {
		s.streams = map[string][]byte{}
	}
	s.streams[stream] = append(s.streams[stream], data...)
	s.pieces++
	return s.fail
}

func (s *shelf) Close(whole bool) error {
	s.closed.Add(1)
	s.whole = whole
	return nil
}

// A tape that leaves the memory piece by piece is the same tape: it replays from end
// to end, and the recorder gets none of it.
func TestTapesAreWrittenPieceByPiece(t *testing.T) {
	c := cellOf(t, 3, 1, 4000, 100, policy("p2c"))
	to := &shelf{}
	b := inBubble(t, c, func(b *bubble) { b.d.spool = spool.New(to, spool.WaitingBytes, nil) })
	require.Empty(t, b.bad)
	require.Empty(t, b.keep.tapes)
	require.True(t, to.whole)
	require.EqualValues(t, 1, to.closed.Load())
	require.Greater(t, to.pieces, 3)
	stream := to.streams["frontend/0.1"]
	require.Greater(t, len(stream), 3*spool.PieceBytes)
	fe := flow.New(flow.Config{Count: 1, Services: []flow.Service{{Name: "main", Balancer: c.Balancers[0].Make(), Table: c.Setup.Services[0].Table(),
		Dice: chance.NewDice(chance.RunSeed(1, 0), "balance/main/0")}}})
	res, err := flow.Replay(stream, flow.Replayed{FrontEnd: fe})
	require.NoError(t, err)
	require.Nil(t, res.First)
	require.False(t, res.Truncated)
	require.GreaterOrEqual(t, res.Calls, uint64(8001), "the start, and an arrival and an answer of each request")
}

// A disk that is full or too slow ends the tape and spoils the verdict; the run goes on.
func TestTapesThatAreCut(t *testing.T) {
	for _, x := range []struct {
		what  string
		limit int
		fail  error
	}{{"came faster than it could be written", spool.PieceBytes, nil}, {"no space left", spool.WaitingBytes, errors.New("no space left")}} {
		to := &shelf{fail: x.fail}
		b := inBubble(t, cellOf(t, 3, 1, 4000, 100, policy("p2c")), func(b *bubble) {
			b.d.spool = spool.New(to, x.limit, nil)
		})
		require.EqualValues(t, 3600, b.keep.col.Part().Requests)
		require.False(t, to.whole)
		require.Len(t, b.bad, 1)
		require.Equal(t, "tape-cut", b.bad[0].Code)
		require.Contains(t, b.bad[0].Message, x.what)
	}
}

// The calls of autoscalers go where all other tapes go: to the writer, and not to the
// recorder.
func TestTapesOfAutoscalers(t *testing.T) {
	c := scenariotest.Scripted(elasticCell(t, "fleet: {replicas: {start: 1, min: 1, max: 3}}", "measure: {horizon: 20s}"), scenariotest.At(0, 1), scenariotest.At(5*time.Second, 2))
	to := &shelf{}
	s := onSite(t, c, 20*time.Millisecond, func(s *site) { s.d.spool = spool.New(to, spool.WaitingBytes, nil) })
	require.Empty(t, s.keep.tapes)
	require.True(t, to.whole)
	require.NotEmpty(t, to.streams["autoscale/main"])
	require.NotEmpty(t, to.streams["frontend/0.1"])
}

// Replica halves and front ends that restart have streams of their own, whole once the
// run is over.
func TestTapesOfAHost(t *testing.T) {
	t.Parallel()
	c := cellOf(t, 3, 1, 300, 500, policy("jiq"))
	c.Setup.Live.Warm = 4
	to, k := &shelf{}, &keep{}
	h := Host{Tape: func(int) (TapeWriter, error) { return to, nil }}
	require.NoError(t, h.Run(t.Context(), []scenarios.Run{{Cell: c, Seed: chance.RunSeed(1, 0)}}, k))
	require.Empty(t, k.tapes)
	require.True(t, to.whole)
	require.Len(t, to.streams, 2)
	require.NotEmpty(t, to.streams["replicas/main"])
	require.False(t, bytes.Equal(to.streams["replicas/main"], to.streams["frontend/0.1"]))

	h = Host{Tape: func(int) (TapeWriter, error) { return nil, errors.New("no such folder") }}
	require.ErrorContains(t, h.Run(t.Context(), []scenarios.Run{{Cell: c, Seed: 1}}, &keep{}), "no such folder")
}
