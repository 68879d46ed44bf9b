package await_test

import (
	"fmt"
	"runtime"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"taillab/realrun/await"
)

// failing is a test that notes why it failed.
type failing struct {
	testing.TB
	why string
}

func (f *failing) Helper() {}

func (f *failing) Fatalf(format string, args ...any) {
	f.why = fmt.Sprintf(format, args...)
	runtime.Goexit()
}

// why runs a part of a test and returns why it failed.
func why(part func(t testing.TB)) string {
	f := &failing{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		part(f)
	}()
	<-done
	return f.why
}

func TestInVain(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		never := make(chan int)
		for name, part := range map[string]func(t testing.TB){
			"a": func(t testing.TB) { await.Until(t, "a", func() bool { return false }) },
			"b": func(t testing.TB) { await.One(t, "b", never) },
			"c": func(t testing.TB) { await.Send(t, "c", never, 1) },
		} {
			require.Equal(t, "waited in vain: "+name, why(part))
		}
	})
}

func TestWhatComes(t *testing.T) {
	t.Parallel()
	n, queue := 0, make(chan int, 1)
	await.Until(t, "three", func() bool { n++; return n == 3 })
	await.Send(t, "room", queue, 7)
	require.Equal(t, 7, await.One(t, "seven", queue))
	close(queue)
	require.Zero(t, await.One(t, "closed", queue))
}
