package emulator

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func FuzzBodies(f *testing.F) {
	f.Add([]byte(`{"messages":[{"content":"a b"}],"max_tokens":3,"stream":true}`))
	f.Add([]byte(`{"prompt":[[1,2],"x y"],"max_tokens":1}`))
	f.Add([]byte(`{"inputs":[{"data":["a b"]}],"parameters":{"max_tokens":4}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, x := range []api{chat(), completions(), plain()} {
			a, err := x.read(nil, data)
			if err == nil {
				require.LessOrEqual(t, a.output, uint32(1<<30))
				require.LessOrEqual(t, countWords(data), uint32(1<<30))
			}
		}
	})
}
