package emulator

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// A fleet may be started in a context that has ended: it closes as if it ended later.
func TestStartAfterTheEnd(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range 100 {
		f, err := Start(ctx, Config{Replicas: []Replica{{Model: model(t, nil)}}})
		require.NoError(t, err)
		require.NoError(t, f.Close())
	}
}
