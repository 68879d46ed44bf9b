package autoscale

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAdvice(t *testing.T) {
	t.Parallel()
	codes := func(a Adviser, s Setting) (out []string) {
		for _, x := range a.Advise(s) {
			out = append(out, x.Code)
		}
		return out
	}
	quick, slow := Setting{time.Minute, 16}, Setting{6 * time.Minute, 16}
	h := newHPA()
	require.Equal(t, []string{AdviceSaturating}, codes(h, quick))
	require.Contains(t, h.Advise(quick)[0].Msg, "at most 25% per period")
	require.Empty(t, codes(h, Setting{time.Minute, 1}))
	h.Metric, h.Target = Concurrency, 8
	require.Empty(t, codes(h, quick))
	for _, a := range []Adviser{h, newKEDA(), newKPA(), &Backlog{DownWindow: 5 * time.Minute}} {
		require.Empty(t, codes(a, quick))
		require.Equal(t, []string{AdviceSlowLoad}, codes(a, slow))
	}
}
