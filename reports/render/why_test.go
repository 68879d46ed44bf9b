package render

import (
	"testing"

	"github.com/stretchr/testify/require"

	"taillab/reports"
)

func TestWhy(t *testing.T) {
	t.Parallel()
	s := sample(3, 0.85)
	tail := func(held, network, queue, service float64) *reports.Tail {
		return &reports.Tail{HeldMS: ptr(held), NetworkMS: ptr(network), QueueMS: ptr(queue), ServiceMS: ptr(service)}
	}
	s.Cells[0].Tail, s.Cells[1].Tail, s.Cells[2].Tail = tail(0, 1, 900, 99), nil, tail(0, 1, 100, 299) // random, round-robin, p2c
	require.Equal(t, []string{
		"p2c: requests at or above P99 take 400 ms on average, 100 ms in the replica's queue, 299 ms in service.",
		"random: requests at or above P99 take 1.00 s on average, 900 ms in the replica's queue; 600 ms more than p2c, mostly in the replica's queue (+800 ms).",
	}, why(newView(s, Options{})))
	require.Equal(t, "no part was reported", madeOf(&reports.Tail{}))
	require.Empty(t, difference(&s.Cells[0], &s.Cells[2]), "nothing to explain where the best is slower beyond P99")
}
