package alarm

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRatesAddUp(t *testing.T) {
	before, n := Expected()
	Rate(t, .01)
	Rate(t, .002)
	after, m := Expected()
	require.InDelta(t, .012, after-before, 1e-12)
	require.Equal(t, 2, m-n)
	require.GreaterOrEqual(t, repeats(), 1)
}
