package wire

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
)

// all reads a stream to its end, through a read buffer of the given size.
func all(r io.Reader, size int) (out []string, cut bool, err error) {
	var ev events
	ev.reset(r, make([]byte, size))
	for {
		data, err := ev.next()
		if err != nil {
			if err == io.EOF {
				err = nil
			}
			return out, ev.cut && ev.has, err
		}
		out = append(out, string(data))
	}
}

var streams = []struct {
	name, text string
	want       []string
}{
	{"LF", "data: a\n\ndata: b\n\n", []string{"a", "b"}},
	{"CR LF", "data: a\r\n\r\ndata: b\r\n\r\n", []string{"a", "b"}},
	{"CR", "data: a\r\rdata: b\r\r", []string{"a", "b"}},
	{"mixed ends", "data: a\r\n\ndata: b\n\r\ndata: c\r\r\n", []string{"a", "b", "c"}},
	{"lines joined", "data: a\ndata\ndata:  b\n\n", []string{"a\n\n b"}},
	{"no space", "data:a\n\n", []string{"a"}},
	{"comments", ": ping\n\n:\ndata: a\n: b\n\n:\n\n", []string{"a"}},
	{"other fields", "event: x\nid: 3\nretry: 10\ndatum: no\ndata: a\n\nevent: alone\n\n", []string{"a"}},
	{"empty data", "data:\n\n", []string{""}},
	{"byte order mark", "\uFEFFdata: a\n\n", []string{"a"}},
	{"many empty lines", "\n\n\r\n\rdata: a\n\n\n\n", []string{"a"}},
	{"cut after a line", "data: a\n\ndata: [DONE]\n", []string{"a", "[DONE]"}},
	{"cut inside a line", "data: a\n\ndata: [DONE]", []string{"a", "[DONE]"}},
	{"multi-byte", "data: zwölf€\n\n", []string{"zwölf€"}},
	{"nothing", "", nil},
}

// TestStreamSplitAnywhere cuts each stream at every byte offset into two reads, and
// into reads of one byte, and with read buffers of any size: the events are the same.
func TestStreamSplitAnywhere(t *testing.T) {
	t.Parallel()
	for _, x := range streams {
		for i := range len(x.text) + 1 {
			got, _, err := all(io.MultiReader(strings.NewReader(x.text[:i]), strings.NewReader(x.text[i:])), 4096)
			require.NoError(t, err)
			require.Equal(t, x.want, got, "%s, split at %d", x.name, i)
			got, _, err = all(strings.NewReader(x.text), i+1)
			require.NoError(t, err)
			require.Equal(t, x.want, got, "%s, a buffer of %d", x.name, i+1)
		}
		got, _, err := all(iotest.DataErrReader(iotest.OneByteReader(strings.NewReader(x.text))), 4096)
		require.NoError(t, err)
		require.Equal(t, x.want, got, "%s, byte by byte", x.name)
	}
}

func TestStreamEnds(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	got, _, err := all(io.MultiReader(strings.NewReader("data: a\n\ndata: b"), iotest.ErrReader(broken)), 64)
	require.ErrorIs(t, err, broken)
	require.Equal(t, []string{"a"}, got, "what an error cuts off is no event")
	_, _, err = all(strings.NewReader("data: "+strings.Repeat("a", maxEvent+10)), 4096)
	require.ErrorIs(t, err, errLongEvent)
	_, _, err = all(strings.NewReader(strings.Repeat("data: "+strings.Repeat("a", 1000)+"\n", 2000)), 4096)
	require.ErrorIs(t, err, errLongEvent, "many lines make one event too")
}

// FuzzStream: whatever comes, in whatever pieces, gives the same events and never
// panics; and no event holds a line end that was not a join.
func FuzzStream(f *testing.F) {
	for _, x := range streams {
		f.Add([]byte(x.text), 1)
	}
	f.Fuzz(func(t *testing.T, b []byte, size int) {
		size = 1 + (size&0xff+256)%256
		one, _, err := all(strings.NewReader(string(b)), 1<<16)
		require.NoError(t, err)
		two, _, err := all(strings.NewReader(string(b)), size)
		require.NoError(t, err)
		require.Equal(t, one, two)
		for _, s := range one {
			require.NotContains(t, s, "\r")
		}
	})
}
