package workloads

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/stretchr/testify/require"
)

// stdin makes a text the content of the file "-".
func stdin(text string) Options { return Options{Stdin: strings.NewReader(text)} }

func traceOf(set func(*TraceSpec)) TraceSpec {
	s := NewTrace()
	s.File = "-"
	if set != nil {
		set(&s)
	}
	return s
}

// csvTrace reads a csv with the columns t (seconds), in, out.
func csvTrace(set func(*TraceSpec)) TraceSpec {
	return traceOf(func(s *TraceSpec) {
		s.Columns = ColumnMap{Time: "t", Unit: "s", Input: "in", Output: "out"}
		if set != nil {
			set(s)
		}
	})
}

func replayed(t *testing.T, text string, spec TraceSpec, seed uint64, rate float64, n int) []time.Duration {
	t.Helper()
	s := NewSpec()
	s.Arrivals = NewArrivals("trace")
	s.Arrivals.Trace = spec
	rs := draw(t, compile(t, s, stdin(text)), seed, rate, n, 3)
	return column(rs, func(r Request) time.Duration { return r.At })
}

func secs(xs ...float64) []time.Duration {
	var out []time.Duration
	for _, x := range xs {
		out = append(out, time.Duration(x*1e9))
	}
	return out
}

const fourRows = "t,in,out\n0,10,1\n1,20,2\n3,30,3\n6,40,4\n"

func TestRotation(t *testing.T) {
	t.Parallel()
	byStart := map[int][]time.Duration{}
	for seed := range uint64(64) {
		s := NewSpec()
		s.Arrivals = NewArrivals("trace")
		s.Arrivals.Trace = csvTrace(nil)
		rs := draw(t, compile(t, s, stdin(fourRows)), seed, 0, 9, 2)
		require.Len(t, rs, 9, "the drain goes on around the seam")
		k := int(rs[0].Input/10) - 1
		for i, r := range rs {
			require.Equal(t, uint32((k+i)%4+1)*10, r.Input)
			require.Equal(t, r.Input/10, r.Output)
		}
		byStart[k] = column(rs, func(r Request) time.Duration { return r.At })
	}
	require.Len(t, byStart, 4, "every row begins some seed")
	require.Equal(t, secs(0, 3, 5, 6, 8), byStart[2][:5])
	require.Equal(t, secs(0, 1, 3, 6, 8, 9, 11, 14, 16), byStart[0])
}

func TestReplayOptions(t *testing.T) {
	t.Parallel()
	still := func(s *TraceSpec) { s.Rotate = false }
	for name, c := range map[string]struct {
		set  func(*TraceSpec)
		want []time.Duration
	}{
		"as it is":     {still, secs(0, 1, 3, 6)},
		"twice fast":   {func(s *TraceSpec) { still(s); s.TimeScale = 2 }, secs(0, .5, 1.5, 3)},
		"thrice fast":  {func(s *TraceSpec) { still(s); s.TimeScale = 3 }, []time.Duration{0, 333333333, 1e9, 2e9}},
		"two rounds":   {func(s *TraceSpec) { still(s); s.Loop.Times = 2 }, secs(0, 1, 3, 6, 8, 9, 11, 14)},
		"until":        {func(s *TraceSpec) { still(s); s.Loop.Until = 9 * time.Second }, secs(0, 1, 3, 6, 8)},
		"window":       {func(s *TraceSpec) { still(s); s.Window = &Window{time.Second, 6 * time.Second} }, secs(0, 2)},
		"limit":        {func(s *TraceSpec) { still(s); s.Limit = 3 }, secs(0, 1, 3)},
		"window limit": {func(s *TraceSpec) { still(s); s.Window = &Window{time.Second, time.Hour}; s.Limit = 2 }, secs(0, 2)},
		"offset":       {func(s *TraceSpec) { still(s); s.KeepOffset = true; s.Window = &Window{time.Second, time.Hour} }, secs(1, 3, 6)},
	} {
		require.Equal(t, c.want, replayed(t, fourRows, csvTrace(c.set), 1, 0, 50), name)
	}
	require.Len(t, replayed(t, fourRows, csvTrace(func(s *TraceSpec) { still(s); s.Loop.Forever = true }), 1, 0, 50), 50)
	// A rate sets the time scale: 1/s is twice the trace's 0.5/s.
	require.Equal(t, secs(0, .5, 1.5, 3), replayed(t, fourRows, csvTrace(still), 1, 1, 50))
	require.Equal(t, secs(5, 6), replayed(t, "t,in,out\n5,1,1\n6,1,1\n", csvTrace(func(s *TraceSpec) { still(s); s.KeepOffset = true }), 1, 0, 9))
	require.Equal(t, secs(0, 0, 0), replayed(t, "t,in,out\n5,1,1\n5,1,1\n5,1,1\n", csvTrace(nil), 1, 0, 9), "no time passes: it cannot go round")
}

func TestTraceBookkeeping(t *testing.T) {
	t.Parallel()
	s := NewSpec()
	s.Arrivals = NewArrivals("trace")
	s.Arrivals.Trace = csvTrace(func(x *TraceSpec) { x.TimeScale = 2; x.Limit = 3 })
	c := compile(t, s, stdin(fourRows))
	require.Equal(t, Account{Read: 4, Used: 3, Filtered: 1}, c.Trace().Rows)
	require.InDelta(t, 2/1.5, c.Rate(), 1e-12, "2 gaps in 3 s, twice as fast")
	require.InDelta(t, 3, c.TimeScale(2), 1e-12)
	require.InDelta(t, 2, c.TimeScale(0), 1e-12)
	require.True(t, c.Rotates())
	standard, most := c.Requests(0)
	require.Equal(t, []int{3, 3}, []int{standard, most})
	require.InDelta(t, 20, c.Moments().Input, 1e-9)
	require.InDelta(t, (10+40+90)/3.0, c.Moments().InputOutput, 1e-9)
	require.InDelta(t, (0+5+15)/3.0, c.InputExcess(15), 1e-9)

	loop := func(l Loop) (int, int) {
		s.Arrivals.Trace = csvTrace(func(x *TraceSpec) { x.Loop = l })
		return compile(t, s, stdin(fourRows)).Requests(0)
	}
	a, b := loop(Loop{Times: 3})
	require.Equal(t, []int{12, 12}, []int{a, b})
	a, b = loop(Loop{Forever: true})
	require.Equal(t, []int{4, 0}, []int{a, b})
	a, b = loop(Loop{Until: 9 * time.Second})
	require.Equal(t, []int{5, 5}, []int{a, b})
}

func TestQuantisedStampsAreSpread(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("t,in,out\n")
	for i := range 300 {
		fmt.Fprintf(&text, "%d,%d,1\n", i/100*2000, i+1)
	}
	spec := csvTrace(func(s *TraceSpec) { s.Columns.Unit = "ms" })
	tr, warn, err := LoadTrace(spec, stdin(text.String()))
	require.NoError(t, err)
	require.Equal(t, []Warning{{"quantised-stamps", "-: stamps on a grid of 2s; rows are spread evenly over it"}}, warn)
	require.Equal(t, 300, tr.Len())
	require.IsNonDecreasing(t, tr.At)
	require.IsIncreasing(t, tr.Input, "rows keep their order")
	for at := time.Duration(0); at < 6*time.Second; at += 50 * time.Millisecond {
		require.LessOrEqual(t, countsFrom(tr.At, at, at+time.Second), 80)
	}
	require.GreaterOrEqual(t, tr.At[0], time.Duration(0))
	require.Less(t, tr.At[299], 6*time.Second)

	spec.Jitter = "none"
	tr, _, err = LoadTrace(spec, stdin(text.String()))
	require.NoError(t, err)
	require.Equal(t, 100, countsFrom(tr.At, 0, time.Second))
	d, err := DescribeTrace(spec, stdin(text.String()))
	require.NoError(t, err)
	require.Nil(t, d.Windows[0].IDC, "no dispersion below the grid")

	require.Zero(t, gridOf(secs(0, 0, 1, 3, 3.05)), "half of the gaps must be 0 and the grid coarse")
	require.Equal(t, time.Second, gridOf(secs(0, 0, 1, 1, 3)))
	require.Zero(t, gridOf(secs(0, 1, 2, 3)))
	require.Zero(t, gridOf(secs(0, 0, 0)))
}

func TestLoadScale(t *testing.T) {
	t.Parallel()
	var text strings.Builder
	text.WriteString("t,in,out\n")
	const n = 10_000
	for i := range n {
		fmt.Fprintf(&text, "%d,%d,1\n", i, i+1)
	}
	for _, f := range []float64{.5, 2, 2.25} {
		tr, _, err := LoadTrace(csvTrace(func(s *TraceSpec) { s.LoadScale = f }), stdin(text.String()))
		require.NoError(t, err)
		part := f - math.Floor(f)
		require.InDelta(t, f*n, tr.Len(), 4*math.Sqrt(part*(1-part)*n), "load_scale %g", f)
		require.IsNonDecreasing(t, tr.At)
		a := tr.Rows
		require.Equal(t, a.Read, a.Used+a.Skipped+a.Filtered)
		require.Equal(t, tr.Len(), a.Used+a.Copies)
		for i, in := range tr.Input {
			require.InDelta(t, float64(in-1), seconds(tr.At[i]), .5, "a copy stays within half a gap of its row")
		}
	}
	_, _, err := LoadTrace(csvTrace(func(s *TraceSpec) { s.LoadScale = 1e-9 }), stdin(text.String()))
	require.EqualError(t, err, "load_scale 1e-09 leaves none of 10000 rows")
}

// The forms of text that mean the same.
func TestTextForms(t *testing.T) {
	t.Parallel()
	pack := func(w interface {
		Write([]byte) (int, error)
		Close() error
	}, b *bytes.Buffer) string {
		_, err := w.Write([]byte(fourRows))
		require.NoError(t, err)
		require.NoError(t, w.Close())
		return b.String()
	}
	var gz, zst bytes.Buffer
	zw, err := zstd.NewWriter(&zst)
	require.NoError(t, err)
	for name, text := range map[string]string{
		"plain":            fourRows,
		"CRLF":             strings.ReplaceAll(fourRows, "\n", "\r\n"),
		"no final newline": strings.TrimSuffix(fourRows, "\n"),
		"BOM":              "\xef\xbb\xbf" + fourRows,
		"blank trailing":   fourRows + "\n \n",
		"blank inside":     strings.Replace(fourRows, "1,20", "\n1,20", 1),
		"quotes":           "\"t\",\"in\",out\n" + strings.Replace(fourRows[9:], "1,20", "\"1\",\"20\"", 1),
		"tabs":             strings.ReplaceAll(fourRows, ",", "\t"),
		"gzip":             pack(gzip.NewWriter(&gz), &gz),
		"zstd":             pack(zw, &zst),
	} {
		tr, warn, err := LoadTrace(csvTrace(nil), stdin(text))
		require.NoError(t, err, name)
		require.Empty(t, warn, name)
		require.Equal(t, secs(0, 1, 3, 6), tr.At, name)
		require.Equal(t, []uint32{10, 20, 30, 40}, tr.Input, name)
		require.Equal(t, []uint32{1, 2, 3, 4}, tr.Output, name)
	}
}

func TestFormats(t *testing.T) {
	t.Parallel()
	azure := "TIMESTAMP,ContextTokens,GeneratedTokens\r\n2023-11-16 18:15:46.6805900,374,44\r\n2023-11-16 18:15:50.9951690,396,109"
	tr, _, err := LoadTrace(traceOf(nil), stdin(azure))
	require.NoError(t, err)
	require.Equal(t, "azure-llm", tr.Format)
	require.Equal(t, []time.Duration{0, 4314579 * time.Microsecond}, tr.At)

	zoned := "TIMESTAMP,ContextTokens,GeneratedTokens\n2024-05-10 00:00:00.009930+00:00,374,44\n2024-05-10 02:00:01+02:00,396,109\n"
	tr, _, err = LoadTrace(traceOf(nil), stdin(zoned))
	require.NoError(t, err)
	require.Equal(t, 990070*time.Microsecond, tr.Span())

	burst := "Timestamp,Session ID,Elapsed time,Model,Request tokens,Response tokens,Total tokens,Log Type\n" +
		"5,s1,1,ChatGPT,472,18,490,API log\n45.5,s1,1,GPT-4,1087,0,1087,Conversation log\n118,s2,2,GPT-4,417,276,693,API log\n"
	tr, _, err = LoadTrace(traceOf(nil), stdin(burst))
	require.NoError(t, err)
	require.Equal(t, "burstgpt", tr.Format)
	require.Equal(t, Account{Read: 3, Used: 2, Filtered: 1}, tr.Rows, "0 response tokens: the provider failed it")
	require.Equal(t, []string{"ChatGPT", "GPT-4"}, tr.Models)
	tr, _, err = LoadTrace(traceOf(func(s *TraceSpec) { s.Failed = true }), stdin(burst))
	require.NoError(t, err)
	require.Equal(t, secs(0, 40.5, 113), tr.At)
	require.Equal(t, tr.Session[0], tr.Session[1])
	require.NotEqual(t, tr.Session[1], tr.Session[2])

	moon := `{"timestamp": 0, "input_length": 700, "output_length": 6, "hash_ids": [0, 1]}` + "\n" +
		`{"timestamp": 27, "input_length": 600, "output_length": 4, "hash_ids": [0, 2]}` + "\n"
	tr, _, err = LoadTrace(traceOf(nil), stdin(moon))
	require.NoError(t, err)
	require.Equal(t, "mooncake", tr.Format)
	require.Equal(t, []time.Duration{0, 27e6}, tr.At)
	require.Equal(t, []uint64{0, 2}, tr.Blocks(1))

	long := fmt.Sprintf(`{"timestamp": 1, "input_length": 9, "output_length": 6, "hash_ids": [%s7]}`, strings.Repeat("123456789,", 30_000))
	tr, _, err = LoadTrace(traceOf(nil), stdin(moon+long))
	require.NoError(t, err, "a line of 300 KB")
	require.Equal(t, 30_001, len(tr.Blocks(1)), "sorted to the second place with its blocks")
	require.Equal(t, []uint64{0, 2}, tr.Blocks(2))

	text := "ts,who,tok,gen,dur,conv,m\n1700000000123456789,ann,5,6,1500,c1,big\n1700000000123456799,bob,7,8,2500,c2,small\n1700000000123456800,ann,7,8,2500,c1,big\n"
	tr, _, err = LoadTrace(traceOf(func(s *TraceSpec) {
		s.Columns = ColumnMap{Time: "TS", Unit: "ns", Size: "tok", Output: "gen", Tenant: "who", Duration: "dur", Session: "conv", Model: "m"}
	}), stdin(text))
	require.NoError(t, err)
	require.Equal(t, []time.Duration{0, 10, 11}, tr.At, "an epoch in ns keeps its last digit")
	require.Equal(t, []string{"ann", "bob"}, tr.Tenants)
	require.Equal(t, []uint32{0, 1, 0}, tr.Tenant)
	require.Equal(t, []time.Duration{1500, 2500, 2500}, tr.Demand)
	require.Equal(t, []uint32{5, 7, 7}, tr.Input)
}

func TestTraceColumnsReachTheRequests(t *testing.T) {
	t.Parallel()
	text := "t,who,in,out,dur,conv\n0,ann,5,6,1.5,c1\n1,bob,7,8,2.5,c2\n2,ann,9,9,1,c1\n"
	s := NewSpec()
	s.Arrivals = NewArrivals("trace")
	s.Arrivals.Trace = traceOf(func(s *TraceSpec) {
		s.Rotate, s.Loop = false, Loop{Times: 2}
		s.Columns = ColumnMap{Time: "t", Input: "in", Output: "out", Tenant: "who", Duration: "dur", Session: "conv"}
	})
	s.Tenants.List = []Tenant{{Name: "bob", Share: 1, Class: "batch"}}
	s.Frontends = Frontends{Count: 5, Split: "sticky"}
	c := compile(t, s, stdin(text))
	rs := draw(t, c, 1, 0, 10, 4)
	require.Len(t, rs, 6)
	require.Equal(t, []string{"ann", "bob"}, c.Tenants())
	require.InDeltaSlice(t, []float64{2.0 / 3, 1.0 / 3}, c.Shares(), 1e-12)
	require.Equal(t, []uint32{0, 1, 0, 0, 1, 0}, column(rs, func(r Request) uint32 { return r.Tenant }))
	require.Equal(t, []uint16{0, 1, 0, 0, 1, 0}, column(rs, func(r Request) uint16 { return r.Class }))
	require.Equal(t, 2500*time.Millisecond, rs[1].Demand)
	require.Equal(t, rs[0].Key, rs[2].Key, "one session")
	require.Equal(t, rs[0].FrontEnd, rs[2].FrontEnd)
	require.NotEqual(t, rs[0].Key, rs[3].Key, "another round is another session")
	require.True(t, c.HasDemand())
	require.InDelta(t, 5e9/3, c.Moments().Demand, 1)
}

func TestUnsortedRows(t *testing.T) {
	t.Parallel()
	text := "t,in,out\n3,30,1\n1,10,1\n2,20,1\n1,11,1\n"
	tr, warn, err := LoadTrace(csvTrace(nil), stdin(text))
	require.NoError(t, err)
	require.Equal(t, secs(0, 0, 1, 2), tr.At)
	require.Equal(t, []uint32{10, 11, 20, 30}, tr.Input, "equal stamps keep their order")
	require.Equal(t, []Warning{{"unsorted-trace", "-: 2 rows come earlier than the row before them; sorted"}}, warn)
	_, _, err = LoadTrace(csvTrace(func(s *TraceSpec) { s.Sorted = "required" }), stdin(text))
	require.EqualError(t, err, "-: 2 rows come earlier than the row before them, but sorted: required is set")
}

func TestFileErrors(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
	}
	write("empty.csv", "")
	write("blank.csv", "\n\n")
	write("header.csv", "TIMESTAMP,ContextTokens,GeneratedTokens\n")
	write("odd.csv", "a,b\n1,2\n")
	write("odd.jsonl", `{"a": 1}`)
	write("lengths.csv", "num_prefill_tokens,num_decode_tokens\n5,6\n")
	write("cut.gz", "\x1f\x8b\x08")
	for file, want := range map[string]string{
		"absent.csv":  "absent.csv: there is no such file",
		".":           ". is a folder: name a file in it",
		"empty.csv":   "empty.csv is empty",
		"blank.csv":   "blank.csv is empty",
		"header.csv":  "header.csv has a header but no rows",
		"odd.csv":     `odd.csv: the format cannot be told from the header "a,b": name one of azure-llm, mooncake, burstgpt, csv, jsonl, lengths, or map the columns`,
		"odd.jsonl":   "odd.jsonl: JSON without the keys of a known format: name one of azure-llm, mooncake, burstgpt, csv, jsonl, lengths",
		"lengths.csv": "lengths.csv has lengths but no stamps: give it as workload.pairs beside an arrival process",
		"cut.gz":      "cut.gz: not a valid gzip file: unexpected EOF",
	} {
		spec := NewTrace()
		spec.File = file
		_, _, err := LoadTrace(spec, Options{Dir: dir})
		require.EqualError(t, err, want)
	}
	_, _, err := LoadTrace(traceOf(nil), Options{})
	require.EqualError(t, err, "standard input (-) cannot be read here")
	_, _, err = LoadTrace(csvTrace(func(s *TraceSpec) { s.Columns.Input = "inn" }), stdin(fourRows))
	require.EqualError(t, err, `- has no column "inn": did you mean "in"?`)
	_, _, err = LoadTrace(csvTrace(func(s *TraceSpec) { s.Columns.Input = "prompt" }), stdin(fourRows))
	require.EqualError(t, err, `- has no column "prompt": it has t, in, out`)
	_, _, err = LoadTrace(traceOf(func(s *TraceSpec) { s.Format = "azure-llm" }), stdin(fourRows))
	require.EqualError(t, err, `-: the format azure-llm needs a column "TIMESTAMP"; the header has t, in, out`)
	_, _, err = LoadTrace(csvTrace(func(s *TraceSpec) { s.Window = &Window{time.Hour, 2 * time.Hour} }), stdin(fourRows))
	require.EqualError(t, err, "- has no rows in the window [1h0m0s, 2h0m0s): it spans 6s")
	_, _, err = LoadTrace(csvTrace(nil), stdin(fourRows+strings.Repeat("9", 17<<20)))
	require.EqualError(t, err, "-:6: the line is longer than 16 MiB")

	var gz bytes.Buffer
	w := gzip.NewWriter(&gz)
	_, err = w.Write([]byte(strings.Repeat(fourRows, 1000)))
	require.NoError(t, err)
	require.NoError(t, w.Close())
	_, _, err = LoadTrace(csvTrace(nil), stdin(gz.String()[:gz.Len()-20]))
	require.ErrorContains(t, err, "the file is cut short or damaged: unexpected EOF")
}

func TestBadRows(t *testing.T) {
	t.Parallel()
	azure := "TIMESTAMP,ContextTokens,GeneratedTokens\n2023-11-16 18:15:46.68,374,44\n"
	moon := `{"timestamp": 0, "input_length": 6, "output_length": 6}` + "\n"
	const tail1 = " (1 of 2 rows are bad; --skip-bad leaves them out)"
	for bad, want := range map[string]string{
		azure + "2023-11-16 18:15:47,374":                                                   `-:3: 2 columns where the header has 3, got "2023-11-16 18:15:47,374"`,
		azure + "yesterday,374,44":                                                          `-:3: TIMESTAMP: not a time stamp, got "yesterday"`,
		azure + "0001-11-16 18:15:47,374,44":                                                `-:3: TIMESTAMP: a year before 1970 or after 2100, got "0001-11-16 18:15:47"`,
		azure + "2023-11-16 18:15:47,many,44":                                               `-:3: ContextTokens: not a whole number, got "many"`,
		azure + "2023-11-16 18:15:47,-3,44":                                                 `-:3: ContextTokens: negative, got "-3"`,
		azure + "2023-11-16 18:15:47,NaN,44":                                                `-:3: ContextTokens: not a whole number, got "NaN"`,
		azure + "2023-11-16 18:15:47,5,0":                                                   `-:3: GeneratedTokens: below the minimum of 1, got "0"`,
		azure + "2023-11-16 18:15:47,5,9999999999":                                          `-:3: GeneratedTokens: more than 1073741824 tokens, got "9999999999"`,
		azure + "\n\"2023,5,0":                                                              `-:4: a quote that is not closed on its line, got "\"2023,5,0"`,
		moon + `{"timestamp": 0, "input_length"`:                                            `-:2: malformed JSON, got "{\"timestamp\": 0, \"input_length\""`,
		moon + `{"timestamp": 0, "input_length": 6}`:                                        `-:2: output_length: the key is missing, got "{\"timestamp\": 0, \"input_length\": 6}"`,
		moon + `{"timestamp": true, "input_length": 6, "output_length": 6}`:                 `-:2: timestamp: holds a bool, not a number, got "{\"timestamp\": true, \"input_length\": 6, \"output_length\": 6}"`,
		moon + `{"timestamp": -5, "input_length": 6, "output_length": 6}`:                   `-:2: timestamp: negative, got "-5"`,
		moon + `{"timestamp": 5, "input_length": 6.5, "output_length": 6}`:                  `-:2: input_length: not a whole number, got "6.5"`,
		moon + `{"timestamp": 5, "input_length": 6, "output_length": 6, "hash_ids": [1.5]}`: `-:2: hash_ids: not a whole number of at least 0, got "{\"timestamp\": 5, \"input_length\": 6, \"output_length\": 6, \"has…"`,
		moon + `[]`: `-:2: malformed JSON, got "[]"`,
	} {
		_, _, err := LoadTrace(traceOf(nil), stdin(bad))
		require.EqualError(t, err, want+tail1)
		tr, warn, err := LoadTrace(traceOf(nil), Options{Stdin: strings.NewReader(bad), SkipBad: SkipAll})
		require.NoError(t, err)
		require.Equal(t, Account{Read: 2, Used: 1, Skipped: 1}, tr.Rows)
		require.Equal(t, "skipped-rows", warn[0].Code)
	}
	seconds := csvTrace(nil)
	for stamp, want := range map[string]string{"NaN": "not a number", "-1": "negative", "x": "not a number", "1e300": "out of range", "99999999999": "out of range", "": "not a number"} {
		_, _, err := LoadTrace(seconds, stdin("t,in,out\n"+stamp+",1,1\n1,1,1\n"))
		require.EqualError(t, err, fmt.Sprintf("-:2: t: %s, got %q (1 of 2 rows are bad; --skip-bad leaves them out)", want, stamp))
	}
}

func TestSkipBadShare(t *testing.T) {
	t.Parallel()
	text := func(good, bad int) string {
		return "t,in,out\n" + strings.Repeat("1,1,1\n", good) + strings.Repeat("1,x,1\n", bad)
	}
	few := func(good, bad int, skip SkipBad) (*Trace, []Warning, error) {
		return LoadTrace(csvTrace(nil), Options{Stdin: strings.NewReader(text(good, bad)), SkipBad: skip})
	}
	tr, warn, err := few(190, 10, SkipSome)
	require.NoError(t, err)
	require.Equal(t, Account{Read: 200, Used: 190, Skipped: 10}, tr.Rows)
	require.Equal(t, []Warning{{"skipped-rows", "10 of 200 rows were skipped: -:192, -:193, -:194, -:195, -:196 …"}}, warn)
	_, _, err = few(189, 11, SkipSome)
	require.EqualError(t, err, `-:191: in: not a whole number, got "x" (11 of 200 rows are bad, more than 5 %; --skip-bad=all skips them all the same)`)
	var rows *BadRowsError
	require.True(t, errors.As(err, &rows))
	require.Equal(t, []int{191, 11, 200}, []int{rows.Line, rows.Bad, rows.Read})
	_, _, err = few(0, 3, SkipAll)
	require.EqualError(t, err, "- has no usable row: 3 were skipped, 0 left out")
}

func TestPairsAndColumnsOfFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "pairs.csv"), []byte("num_prefill_tokens,num_decode_tokens,ratio\n10,100,.1\n20,200,.1\n30,300,.1\n"), 0o600))
	s := NewSpec()
	s.Arrivals.Rate = 10
	s.Pairs = "pairs.csv"
	c := compile(t, s, Options{Dir: dir, Files: &Files{}})
	require.InDelta(t, (1000+4000+9000)/3.0, c.Moments().InputOutput, 1e-9)
	n := map[uint32]int{}
	for _, r := range draw(t, c, 1, 0, 3000, 100) {
		require.Equal(t, 10*r.Input, r.Output)
		n[r.Input]++
	}
	for _, v := range []uint32{10, 20, 30} {
		require.InDelta(t, 1000, n[v], 110)
	}

	s.Pairs = ""
	s.Output = Dist{Kind: "empirical", File: "pairs.csv", Column: "num_decode_tokens"}
	s.Demand = Dist{Kind: "empirical", File: "pairs.csv", Column: "ratio"}
	c = compile(t, s, Options{Dir: dir})
	require.InDelta(t, 200, c.Moments().Output, 1e-9)
	require.InDelta(t, 1e8, c.Moments().Demand, 1e-3, "a file's durations are in seconds")
	s.Output.Column = "num_decoded_tokens"
	_, ps := Compile(s, Options{Dir: dir})
	require.Equal(t, `output: pairs.csv has no column "num_decoded_tokens": did you mean "num_decode_tokens"?`, ps[0].Error())
}

func TestFilesAreReadOnce(t *testing.T) {
	t.Parallel()
	opt := stdin(fourRows)
	opt.Files = &Files{}
	a, _, err := LoadTrace(csvTrace(nil), opt)
	require.NoError(t, err)
	b, _, err := LoadTrace(csvTrace(func(s *TraceSpec) { s.Limit = 2 }), opt)
	require.NoError(t, err, "standard input was read before")
	require.Equal(t, a.At[:2], b.At)
}

func TestRealTracesReplay(t *testing.T) {
	t.Parallel()
	s := NewSpec()
	s.Arrivals = NewArrivals("trace")
	s.Arrivals.Trace.File = sharedTrace(t, "azure_llm_2023_conv.csv.gz")
	c := compile(t, s, Options{Files: &Files{}})
	n, _ := c.Requests(0)
	require.Equal(t, 19366, n)
	gaps := func(at []time.Duration) []float64 {
		g := differences(at)
		slices.Sort(g)
		return g
	}
	at := column(draw(t, c, 5, 0, n+1, 4096), func(r Request) time.Duration { return r.At })
	want := append(differences(c.Trace().At), float64(c.Trace().meanGap()))
	slices.Sort(want)
	require.Equal(t, want, gaps(at), "the trace's gaps and the seam, in another order")
	require.NotEqual(t, at[:50], column(draw(t, c, 6, 0, 50, 50), func(r Request) time.Duration { return r.At }))
	require.InDelta(t, 1154.70, c.Moments().Input, .005)

	s.Arrivals.Trace = NewTrace()
	s.Arrivals.Trace.File = sharedTrace(t, "mooncake_synthetic.jsonl.gz")
	c = compile(t, s, Options{})
	for _, r := range draw(t, c, 1, 0, 100, 100) {
		require.Len(t, r.Blocks, int(r.Input+511)/512)
	}
}

func TestArxivLengths(t *testing.T) {
	t.Parallel()
	d, err := Describe(sharedTrace(t, "vidur_arxiv_lengths.csv.gz"), Options{})
	require.NoError(t, err)
	require.Equal(t, 28257, d.Rows)
	p, _ := preset("arxiv")
	for i, q := range d.Input.Quantiles {
		near(t, p.input[i], 1, q.Value, "prompt quantile")
		near(t, p.output[i], 1, d.Output.Quantiles[i].Value, "output quantile")
	}
	var b strings.Builder
	require.NoError(t, d.Print(&b))
	require.Contains(t, b.String(), "span      –")
}
