package realrun

import (
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"taillab/realrun/wire"
	"taillab/scenarios"
)

// stating is a backend that says it spent ns inside; "" says nothing. asked counts.
func stating(t *testing.T, ns string, status int, asked *atomic.Int64) *scenarios.Targets {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked.Add(1)
		if ns != "" {
			w.Header().Set(wire.HeaderServer, ns)
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	targets, problems := scenarios.LoadTargets(scenarios.Source{Name: "t.yaml", Data: []byte("version: 1\nservices: {main: {targets: [" + s.URL + "]}}\n")}, scenarios.TargetOptions{})
	require.Empty(t, problems)
	return targets
}

func TestMeasureIdle(t *testing.T) {
	t.Parallel()
	told := 0
	idle, err := MeasureIdle(t.Context(), nil, 0, func(time.Duration) { told++ })
	require.NoError(t, err)
	require.Len(t, idle.Overheads, idleRequests)
	require.True(t, slices.IsSorted(idle.Overheads))
	require.Positive(t, idle.Median())
	require.True(t, idle.At(0.1) <= idle.Median() && idle.Median() <= idle.At(1))
	require.Equal(t, [4]any{idleReplicas, true, 0, 1}, [4]any{idle.Backends, idle.Stated, idle.Failed, told})
}

// A time that the servers state is taken off, and never below zero.
func TestMeasureIdleTakesOffStated(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	idle, err := MeasureIdle(t.Context(), stating(t, "3600000000000", 200, &asked), 0, nil)
	require.NoError(t, err)
	require.Zero(t, idle.At(1))
	require.Equal(t, int64(idleRequests+1), asked.Load(), "the first one opens the connection")
	idle, err = MeasureIdle(t.Context(), stating(t, "", 200, &asked), time.Nanosecond, nil)
	require.NoError(t, err)
	require.Positive(t, idle.Median())
	require.False(t, idle.Stated)
}

func TestMeasureIdleFails(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	_, err := MeasureIdle(t.Context(), stating(t, "", 200, &asked), 0, nil)
	require.ErrorContains(t, err, "do not state the time")
	_, err = MeasureIdle(t.Context(), stating(t, "1", 500, &asked), 0, nil)
	require.ErrorContains(t, err, "21 of 21 requests failed, the last one: http_5xx")
	_, err = MeasureIdle(t.Context(), &scenarios.Targets{}, 0, nil)
	require.ErrorContains(t, err, "lists no url")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = MeasureIdle(ctx, stating(t, "1", 200, &asked), 0, nil)
	require.ErrorIs(t, err, context.Canceled)
	require.False(t, strings.Contains(err.Error(), "failed"))
}
