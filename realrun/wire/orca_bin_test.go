package wire

import (
	"encoding/base64"
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/encoding/protowire"

	"taillab/policies/balance"
)

func double(b []byte, n protowire.Number, v float64) []byte {
	return protowire.AppendFixed64(protowire.AppendTag(b, n, protowire.Fixed64Type), math.Float64bits(v))
}

func mapped(b []byte, n protowire.Number, key string, v float64) []byte {
	e := protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), key)
	return protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), double(e, 2, v))
}

func bin(b []byte) string { return "BIN " + base64.StdEncoding.EncodeToString(b) }

func TestORCABinary(t *testing.T) {
	t.Parallel()
	// Written by hand: field 8, 14 bytes, key "rif", value 3.0 (0x4008…).
	r, err := ParseORCA("BIN Qg4KA3JpZhEAAAAAAAAIQA==")
	require.NoError(t, err)
	load, ok := r.Load()
	require.True(t, ok)
	require.Equal(t, balance.Load{Running: 3}, load)

	b := double(double(nil, fieldCPU, 0.5), fieldEPS, 2)
	b = protowire.AppendVarint(protowire.AppendTag(b, fieldRPS, protowire.VarintType), 12)
	b = mapped(mapped(b, fieldUtilization, "gpu", 0.9), fieldRequestCost, "tokens", 100)
	b = mapped(mapped(mapped(b, fieldNamedMetrics, metricRunning, 4), fieldNamedMetrics, metricQueued, 2), fieldNamedMetrics, metricKV, 0.25)
	b = protowire.AppendString(protowire.AppendTag(b, 99, protowire.BytesType), "of a later version")
	for _, text := range []string{bin(b), "bin " + base64.RawStdEncoding.EncodeToString(b)} {
		r, err = ParseORCA(text)
		require.NoError(t, err)
		load, ok = r.Load()
		require.True(t, ok)
		require.Equal(t, balance.Load{Running: 4, Queued: 2, KV: 0.25}, load)
	}
	r, err = ParseORCA(bin(protowire.AppendBytes(protowire.AppendTag(nil, fieldNamedMetrics, protowire.BytesType), protowire.AppendString(protowire.AppendTag(nil, 1, protowire.BytesType), metricInFlight))))
	require.NoError(t, err)
	load, ok = r.Load()
	require.True(t, ok, "protobuf leaves a value of 0 out")
	require.Equal(t, balance.Load{}, load)
}

func TestORCABinaryGarbled(t *testing.T) {
	t.Parallel()
	whole := mapped(nil, fieldNamedMetrics, metricInFlight, 3)
	for name, text := range map[string]string{
		"empty": "BIN ", "not base64": "BIN {}", "NaN": bin(mapped(nil, fieldNamedMetrics, metricInFlight, math.NaN())),
		"negative": bin(mapped(nil, fieldNamedMetrics, metricInFlight, -1)), "negative share": bin(double(nil, fieldCPU, -0.1)),
		"a number as text": bin(protowire.AppendString(protowire.AppendTag(nil, fieldCPU, protowire.BytesType), "0.5")),
		"a map as number":  bin(double(nil, fieldNamedMetrics, 1)),
		"an odd map":       bin(protowire.AppendBytes(protowire.AppendTag(nil, fieldNamedMetrics, protowire.BytesType), double(nil, 3, 1))),
	} {
		r, err := ParseORCA(text)
		require.Error(t, err, name)
		require.True(t, r.Empty(), name)
	}
	for cut := 1; cut < len(whole); cut++ {
		_, err := ParseORCA(bin(whole[:cut]))
		require.Error(t, err, "cut after %d bytes", cut)
	}
}
