package tape_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/cmd/taillab/internal/tape"
	"taillab/realrun/spool"
)

// onDisk is a SegmentFile.
type onDisk struct{ *os.File }

func (f onDisk) Discard() error {
	_ = f.Close() // closed or not
	return os.Remove(f.Name())
}

// folderOf creates the files of a chain.
func folderOf(dir, chain string) func(int) (tape.SegmentFile, error) {
	return func(n int) (tape.SegmentFile, error) {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%s-%03d.tape", chain, n)))
		return onDisk{f}, err
	}
}

// chained writes the streams of a header as a chain, in pieces of a fifth: each is a
// segment.
func chained(t *testing.T, dir, name string, h tape.Header, whole bool) {
	t.Helper()
	c, err := tape.NewChain(folderOf(dir, name), h, name, 700, 1<<30)
	require.NoError(t, err)
	for _, s := range h.Streams {
		for n := len(s.Data)/5 + 1; len(s.Data) > 0; s.Data = s.Data[min(n, len(s.Data)):] {
			require.NoError(t, c.Piece(s.Name, s.Data[:min(n, len(s.Data))]))
		}
	}
	require.NoError(t, c.Close(whole))
	require.Equal(t, length(t, dir, name), c.Bytes())
}

// files are those of a chain, in order.
func files(t *testing.T, dir, name string) []string {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(dir, name+"-*.tape"))
	require.NoError(t, err)
	return list
}

func length(t *testing.T, dir, name string) (n int64) {
	t.Helper()
	for _, f := range files(t, dir, name) {
		info, err := os.Stat(f)
		require.NoError(t, err)
		n += info.Size()
	}
	return n
}

func TestChain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := record(t, 1000)
	chained(t, dir, "a", h, true)
	list := files(t, dir, "a")
	require.Greater(t, len(list), 3)
	for _, path := range []string{dir, list[0]} {
		got, err := tape.Open(path)
		require.NoError(t, err)
		require.False(t, got.Cut)
		require.Equal(t, h.Streams, got.Streams)
		f, err := got.Replay([]tape.Maker{p2c}, nil, false)
		require.NoError(t, err)
		require.Nil(t, f.First)
		require.Equal(t, uint64(2001), f.Calls)
	}
	_, err := tape.Open(list[2])
	require.ErrorIs(t, err, tape.ErrNotFirst)
	require.ErrorContains(t, err, "this is segment 3")
	_, err = tape.Open(filepath.Join(dir, "none"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

// Each way of spoiling a chain has a name of its own, and tells where.
func TestSpoiltChains(t *testing.T) {
	t.Parallel()
	move := func(from, to string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			require.NoError(t, os.Rename(filepath.Join(dir, from), filepath.Join(dir, to)))
		}
	}
	remove := func(name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, name))) }
	}
	edit := func(name string, change func(b []byte) []byte) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			path := filepath.Join(dir, name)
			b, err := os.ReadFile(path)
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(path, change(b), 0o600))
		}
	}
	flip := func(b []byte) []byte { b[len(b)*2/3] ^= 4; return b }
	half := func(b []byte) []byte { return b[:len(b)*9/10] }
	for _, c := range []struct {
		name  string
		is    error
		says  string
		spoil []func(*testing.T, string)
	}{
		{"first missing", tape.ErrMissing, "number 1, before a-002.tape", []func(*testing.T, string){remove("a-001.tape")}},
		{"one missing", tape.ErrMissing, "number 2, before a-003.tape", []func(*testing.T, string){remove("a-002.tape")}},
		{"exchanged", tape.ErrReordered, "a-002.tape stands at place 2 and is number 3",
			[]func(*testing.T, string){move("a-002.tape", "x"), move("a-003.tape", "a-002.tape"), move("x", "a-003.tape")}},
		{"twice", tape.ErrReordered, "are both number 2", []func(*testing.T, string){func(t *testing.T, dir string) {
			b, err := os.ReadFile(filepath.Join(dir, "a-002.tape"))
			require.NoError(t, err)
			require.NoError(t, os.WriteFile(filepath.Join(dir, "a-002b.tape"), b, 0o600))
		}}},
		{"altered", tape.ErrAltered, "a-002.tape is not what a-003.tape follows", []func(*testing.T, string){edit("a-002.tape", flip)}},
		{"shortened", tape.ErrAltered, "a-002.tape is not what a-003.tape follows", []func(*testing.T, string){edit("a-002.tape", half)}},
		{"lengthened", tape.ErrAltered, "a-001.tape is not what a-002.tape follows",
			[]func(*testing.T, string){edit("a-001.tape", func(b []byte) []byte { return append(b, 0) })}},
		{"emptied", tape.ErrAltered, "a-003.tape cannot be read", []func(*testing.T, string){edit("a-003.tape", func([]byte) []byte { return nil })}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			chained(t, dir, "a", record(t, 1000), true)
			for _, f := range c.spoil {
				f(t, dir)
			}
			got, err := tape.Open(dir)
			require.Nil(t, got)
			require.ErrorIs(t, err, c.is)
			require.ErrorIs(t, err, tape.ErrDamaged)
			require.ErrorContains(t, err, c.says)
		})
	}
}

// What is missing at the end leaves a tape that goes as far as it goes.
func TestChainsWithoutTheirEnd(t *testing.T) {
	t.Parallel()
	check := func(got *tape.Tape) {
		f, err := got.Replay([]tape.Maker{p2c}, nil, false)
		require.NoError(t, err)
		require.Nil(t, f.First)
		require.Positive(t, f.Calls)
	}
	dir := t.TempDir()
	chained(t, dir, "a", record(t, 1000), false)
	got, err := tape.Open(dir)
	require.NoError(t, err)
	require.True(t, got.Cut, "it was not closed as a whole")
	check(got)

	list := files(t, dir, "a")
	last := list[len(list)-1]
	b, err := os.ReadFile(last)
	require.NoError(t, err)
	b[len(b)-1] ^= 1 // its own checksum
	require.NoError(t, os.WriteFile(last, b, 0o600))
	got, err = tape.Open(dir)
	require.NoError(t, err)
	require.True(t, got.Cut)
	check(got)

	require.NoError(t, os.Remove(last))
	got, err = tape.Open(dir)
	require.ErrorIs(t, err, tape.ErrMissing)
	require.ErrorContains(t, err, fmt.Sprintf("number %d, after a-%03d.tape", len(list), len(list)-1))
	check(got)
}

// A folder may hold several chains: the first segment says which is meant.
func TestChainsBesideEachOther(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	chained(t, dir, "a", record(t, 1000), true)
	chained(t, dir, "b", record(t, 500), true)
	_, err := tape.Open(dir)
	require.ErrorContains(t, err, "several chains")
	got, err := tape.Open(files(t, dir, "b")[0])
	require.NoError(t, err)
	f, err := got.Replay([]tape.Maker{p2c}, nil, false)
	require.NoError(t, err)
	require.Equal(t, uint64(1001), f.Calls)

	_, err = tape.Open(t.TempDir())
	require.ErrorContains(t, err, "holds no tape")
	plain := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(plain, "x.tape"), file(t, record(t, 10)), 0o600))
	_, err = tape.Open(plain)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(plain, "y.tape"), file(t, record(t, 10)), 0o600))
	_, err = tape.Open(plain)
	require.ErrorContains(t, err, "several tapes")
}

// A chain tells when it has its length, and can be removed.
func TestChainLimitAndDrop(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	h := record(t, 200)
	c, err := tape.NewChain(folderOf(dir, "a"), h, "a", 1, 2000)
	require.NoError(t, err)
	for n := 1; ; n++ {
		if err := c.Piece("frontend/0.1", bytes.Repeat([]byte{byte(n)}, 100)); err != nil {
			require.ErrorIs(t, err, spool.ErrFull)
			require.GreaterOrEqual(t, c.Bytes(), int64(2000))
			break
		}
		require.Less(t, c.Bytes(), int64(2000))
	}
	require.NoError(t, c.Close(false))
	require.Greater(t, len(files(t, dir, "a")), 2)
	require.NoError(t, c.Drop())
	require.Empty(t, files(t, dir, "a"))

	_, err = tape.NewChain(func(int) (tape.SegmentFile, error) { return nil, errors.New("no such folder") }, h, "a", 1, 1)
	require.ErrorContains(t, err, "no such folder")
}
