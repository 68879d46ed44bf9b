package workloads

import (
	"bytes"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
)

// readAny reads a text in one format and holds what must always be true of it.
func readAny(t *testing.T, text []byte, spec TraceSpec) {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	tr, _, err := readTrace(bytes.NewReader(text), spec, SkipAll)
	runtime.ReadMemStats(&after)
	require.Less(t, after.TotalAlloc-before.TotalAlloc, uint64(64<<20+64*len(text)), "memory")
	if err != nil {
		require.Nil(t, tr)
		return
	}
	a := tr.Rows
	require.Equal(t, a.Read, a.Used+a.Skipped+a.Filtered)
	require.Equal(t, a.Used, tr.Len())
	require.Positive(t, tr.Len())
	require.Zero(t, tr.At[0])
	require.IsNonDecreasing(t, tr.At)
	require.NotNil(t, describe(tr))
	for i := range tr.Len() {
		_ = tr.Blocks(i)
	}
}

func fuzzReader(f *testing.F, spec TraceSpec, seeds ...string) {
	spec.File = "fuzz"
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) { readAny(t, text, spec) })
}

func FuzzByContent(f *testing.F) {
	fuzzReader(f, NewTrace(), fourRows, "{", "\xef\xbb\xbf", "\"", "a\tb\n1", `{"timestamp":1,"input_length":1}`, "input,output\n1,2\n")
}

func FuzzAzure(f *testing.F) {
	fuzzReader(f, traceOf(func(s *TraceSpec) { s.Format = "azure-llm" }),
		"TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:15:46.6805900,374,44\r\n2023-11-16 18:15:50.9951690,396,109",
		"TIMESTAMP,ContextTokens,GeneratedTokens\n1969-01-01 00:00:00,1,1\n2099-12-31 23:59:60Z,\"1\",1e3\n")
}

func FuzzMooncake(f *testing.F) {
	fuzzReader(f, traceOf(func(s *TraceSpec) { s.Format = "mooncake" }),
		`{"timestamp": 0, "input_length": 700, "output_length": 6, "hash_ids": [0, 1]}`,
		`{"timestamp": 1e999, "input_length": -0, "output_length": null, "hash_ids": null}`, `[[[[`)
}

func FuzzJSONL(f *testing.F) {
	fuzzReader(f, traceOf(func(s *TraceSpec) { s.Format = "jsonl" }),
		`{"at_ns":5,"input":1,"output":2,"demand_ns":7,"session":"a","tenant":"t","model":"m"}`+"\n"+`{"at_ns":4,"input":1,"output":2}`)
}

func FuzzBurstGPT(f *testing.F) {
	fuzzReader(f, traceOf(func(s *TraceSpec) { s.Format = "burstgpt" }),
		"Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n5,ChatGPT,472,18,490,API log\n5,GPT-4,1,0,1,x\n")
}

func FuzzCSV(f *testing.F) {
	spec := csvTrace(func(s *TraceSpec) {
		s.Columns = ColumnMap{Time: "t", Unit: "us", Input: "in", Output: "out", Tenant: "who", Duration: "d"}
	})
	fuzzReader(f, spec, "t,in,out,who,d\n0.5,1,2,a,3\n.,1,2,a,3\n4611686018427387,1,2,\"b,\"\"\",3\n")
}

func FuzzLengths(f *testing.F) {
	fuzzReader(f, traceOf(func(s *TraceSpec) { s.Format = "lengths" }), "num_prefill_tokens,num_decode_tokens\n5,6\n")
}
