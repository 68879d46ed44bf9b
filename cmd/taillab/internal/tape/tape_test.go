package tape_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/cmd/taillab/internal/tape"
	"taillab/policies"
	"taillab/policies/balance"
	"taillab/policies/chance"
	"taillab/policies/flow"
)

const runSeed = 7

// record drives one front end by hand: calls of them arrive, and each is answered
// before the next.
func record(t testing.TB, calls int) tape.Header {
	t.Helper()
	var rec flow.Tape
	fe := flow.New(flow.Config{Index: 0, Count: 1, Tape: &rec, Services: []flow.Service{{
		Name: "main", Balancer: &balance.P2C{Choices: 2, Sample: "distinct", Load: "outstanding"},
		Table: &balance.Table{N: 4}, Dice: chance.NewDice(runSeed, "balance/main/0")}}})
	var out flow.Actions
	fe.Start(0, &out)
	for i := range calls {
		out.Reset()
		at := time.Duration(i) * time.Millisecond
		slot := fe.Arrive(at, &policies.Request{ID: uint64(i), Arrived: at}, &out)
		out.Reset()
		fe.Ended(at+time.Microsecond, &flow.End{Slot: slot, Outcome: policies.OK}, &out)
	}
	return tape.Header{ToolVersion: "devel", Scenario: "by-hand", Policy: "p2c", Family: "balance", Seed: 1, RunSeed: runSeed, FrontEnds: 1,
		Services: []tape.Service{{Name: "main", Type: "p2c", Params: json.RawMessage(`{"choices":2}`), Replicas: 4, Detect: "reset"}},
		Streams:  []tape.Stream{{Name: "frontend/0.1", Data: bytes.Clone(rec.Bytes())}}}
}

func file(t testing.TB, h tape.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, tape.Write(&b, h, true))
	return b.Bytes()
}

func p2c() balance.Balancer {
	return &balance.P2C{Choices: 2, Sample: "distinct", Load: "outstanding"}
}

func random() balance.Balancer { return &balance.Random{} }

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	h := record(t, 200)
	got, err := tape.Read(bytes.NewReader(file(t, h)))
	require.NoError(t, err)
	require.False(t, got.Cut)
	require.Equal(t, uint64(runSeed), got.RunSeed)
	require.Equal(t, h.Services, got.Services)
	require.Equal(t, h.Streams[0].Data, got.Streams[0].Data)

	f, err := got.Replay([]tape.Maker{p2c}, nil, false)
	require.NoError(t, err)
	require.Nil(t, f.First)
	require.Equal(t, uint64(401), f.Calls, "start, 200 arrivals, 200 answers")
	require.Equal(t, f.Decisions, f.Same)
}

// Another policy, another seed, another fleet: each must show, and where.
func TestDifferencesAreFound(t *testing.T) {
	t.Parallel()
	read := func(h tape.Header) *tape.Tape {
		got, err := tape.Read(bytes.NewReader(file(t, h)))
		require.NoError(t, err)
		return got
	}
	f, err := read(record(t, 50)).Replay([]tape.Maker{random}, nil, false)
	require.NoError(t, err)
	require.NotNil(t, f.First)
	require.Equal(t, "frontend/0.1", f.Stream)
	require.Equal(t, "arrive", f.First.Input)

	other := record(t, 50)
	other.RunSeed++
	f, err = read(other).Replay([]tape.Maker{p2c}, nil, false)
	require.NoError(t, err)
	require.NotNil(t, f.First)

	f, err = read(record(t, 50)).Replay([]tape.Maker{random}, nil, true)
	require.NoError(t, err)
	require.Equal(t, uint64(50), f.Decisions)
	require.Positive(t, f.Same, "a quarter is equal by chance: none in 50 has a probability below 1e-6")
	require.Less(t, f.Same, uint64(50))
}

// What is taped piece by piece, streams in turns, is readable after every piece and
// whole once it is ended.
func TestPieces(t *testing.T) {
	t.Parallel()
	h := record(t, 300)
	data := h.Streams[0].Data
	var b bytes.Buffer
	w, err := tape.NewWriter(&b, h)
	require.NoError(t, err)
	read := func() *tape.Tape {
		got, err := tape.Read(bytes.NewReader(b.Bytes()))
		require.NoError(t, err)
		return got
	}
	n := len(data) / 3
	for i := range 3 {
		require.NoError(t, w.Piece("frontend/0.1", data[i*n:(i+1)*n]))
		require.NoError(t, w.Piece("frontend/0.2", nil))
		got := read()
		require.True(t, got.Cut)
		require.True(t, bytes.Equal(data[:(i+1)*n], got.Streams[0].Data))
	}
	require.NoError(t, w.Close(true))
	got := read()
	require.False(t, got.Cut)
	require.Equal(t, "frontend/0.2", got.Streams[1].Name)
	require.Empty(t, got.Streams[1].Data)

	b.Reset()
	w, err = tape.NewWriter(&b, h)
	require.NoError(t, err)
	require.NoError(t, w.Piece("frontend/0.1", data))
	require.NoError(t, w.Close(false))
	got = read()
	require.True(t, got.Cut, "there is no end mark")
	f, err := got.Replay([]tape.Maker{p2c}, nil, false)
	require.NoError(t, err)
	require.Nil(t, f.First)
	require.Equal(t, uint64(601), f.Calls)
}

func TestForeignFiles(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, data, want string }{
		{"empty", "", "this is not a tape"},
		{"text", "version: 1\nname: x\n", "this is not a tape"},
		{"no newline", strings.Repeat("x", 1000), "this is not a tape"},
		{"newer", "taillab-tape/2\nwhatever", "newer taillab"},
		{"cut in the first line", "taillab-ta", "ends within its first line"},
		{"only the first line", "taillab-tape/1\n", "no header"},
		{"no zstd", "taillab-tape/1\nhello, world", "no header"},
	} {
		_, err := tape.Read(strings.NewReader(c.data))
		require.ErrorContains(t, err, c.want, c.name)
	}
}

func TestHeaderIsChecked(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		want string
		edit func(h *tape.Header)
	}{
		{"0 front ends", func(h *tape.Header) { h.FrontEnds = 0 }},
		{"0 services", func(h *tape.Header) { h.Services = nil }},
		{"has 0 replicas", func(h *tape.Header) { h.Services[0].Replicas = 0 }},
		{"lists 2 of its 4 replicas", func(h *tape.Header) { h.Services[0].Weights = []float64{1, 2} }},
	} {
		h := record(t, 1)
		c.edit(&h)
		_, err := tape.Read(bytes.NewReader(file(t, h)))
		require.ErrorIs(t, err, tape.ErrDamaged)
		require.ErrorContains(t, err, c.want)
	}
	for _, name := range []string{"frontend/9.1", "frontend/x", "replicas/other", "replicas/main", "clock/0"} {
		h := record(t, 1)
		h.Streams[0].Name = name
		got, err := tape.Read(bytes.NewReader(file(t, h)))
		require.NoError(t, err)
		_, err = got.Replay([]tape.Maker{p2c}, nil, false)
		require.ErrorContains(t, err, name)
	}
}

// A file cut anywhere is told to be cut, and what is there is still right.
func TestCutFiles(t *testing.T) {
	t.Parallel()
	whole := file(t, record(t, 20_000)) // several blocks of the frame
	replayed := 0
	for n := 0; n < len(whole); n += 1 + len(whole)/40 {
		got, err := tape.Read(bytes.NewReader(whole[:n]))
		if err != nil {
			continue
		}
		require.True(t, got.Cut, "cut at %d of %d", n, len(whole))
		f, err := got.Replay([]tape.Maker{p2c}, nil, false)
		require.NoError(t, err)
		require.Nil(t, f.First)
		replayed++
	}
	require.Positive(t, replayed)
}

// A flipped bit is never taken for a whole tape: the frame has a checksum.
func TestDamagedFiles(t *testing.T) {
	t.Parallel()
	h := record(t, 100)
	whole := file(t, h)
	for n := len("taillab-tape/1\n"); n < len(whole); n++ {
		b := bytes.Clone(whole)
		b[n] ^= 0x10
		got, err := tape.Read(bytes.NewReader(b))
		if err != nil || got.Cut {
			continue
		}
		require.Equal(t, h.Streams, got.Streams, "bit flipped at %d", n)
	}
}

func FuzzRead(f *testing.F) {
	whole := file(f, record(f, 5))
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte("taillab-tape/1\n"))
	f.Add([]byte("taillab-tape/9\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := tape.Read(bytes.NewReader(b))
		if err != nil {
			return
		}
		makers := make([]tape.Maker, len(got.Services))
		for i := range makers {
			makers[i] = p2c
		}
		if total(got) > 10_000 {
			return // makes columns of that length, which is slow, not wrong
		}
		for _, free := range []bool{false, true} {
			_, _ = got.Replay(makers, nil, free) // an error or not: it must return
		}
	})
}

func total(t *tape.Tape) int {
	n := len(t.Streams)
	for _, s := range t.Services {
		n += s.Replicas
	}
	return n
}

// FuzzReplay feeds arbitrary records to a sound header.
func FuzzReplay(f *testing.F) {
	h := record(f, 20)
	f.Add(h.Streams[0].Data, false)
	f.Add(h.Streams[0].Data[:7], true)
	f.Fuzz(func(t *testing.T, stream []byte, free bool) {
		h := record(t, 0)
		h.Streams[0].Data = stream
		got := &tape.Tape{Header: h}
		_, _ = got.Replay([]tape.Maker{p2c}, nil, free) // an error or not: it must return
	})
}
