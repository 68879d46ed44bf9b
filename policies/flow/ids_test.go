package flow

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestIDsAreAMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		var table ids
		want := map[uint64]uint32{}
		// few keys, some at the edge: deletions meet long runs
		key := rapid.OneOf(rapid.Uint64Range(0, 40), rapid.SampledFrom([]uint64{1 << 32, 1 << 33, 1<<63 + 1}))
		for range rapid.IntRange(0, 300).Draw(r, "steps") {
			k := key.Draw(r, "key")
			if rapid.Bool().Draw(r, "put") {
				v := rapid.Uint32().Draw(r, "value")
				table.put(k, v)
				want[k] = v
			} else {
				table.del(k)
				delete(want, k)
			}
			require.Equal(r, len(want), table.n)
		}
		for k := range uint64(42) {
			got, ok := table.get(k)
			v, had := want[k]
			require.Equal(r, had, ok)
			require.Equal(r, v, got)
		}
	})
}
