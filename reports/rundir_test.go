package reports

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestHlogRoundTrip(t *testing.T) {
	t.Parallel()
	c := NewCollector(Setup{Services: []string{"a b", "c"}, Streaming: true})
	for i := range 5000 {
		r := served(uint64(i), time.Duration(i*i)*100)
		r.Service, r.TTFT, r.TPOT = uint16(i%2), time.Duration(i), time.Duration(2*i)
		c.Add(&r)
	}
	c.closed0()
	var b bytes.Buffer
	require.NoError(t, WriteHlog(&b, c.Hists(), 10*time.Second))
	require.Contains(t, b.String(), "Tag=latency,0.000000,10.000000,2499.")
	require.Contains(t, b.String(), "Tag=latency.a_b,")
	got, err := ReadHlog(&b)
	require.NoError(t, err)
	require.Len(t, got, 5)
	for i, want := range c.Hists() {
		require.Equal(t, safeTag(want.Tag), got[i].Tag)
		require.Equal(t, want.Hist.Bins(), got[i].Hist.Bins(), "cell for cell")
		require.Equal(t, want.Hist.Count(), got[i].Hist.Count())
		require.InEpsilon(t, want.Hist.Mean(), got[i].Hist.Mean(), resolution)
		for k := 1; k < 1000; k += 37 {
			require.InDelta(t, want.Hist.Quantile(k), got[i].Hist.Quantile(k), want.Hist.Quantile(k)*resolution+1)
		}
	}
	require.ErrorContains(t, WriteHlog(&b, []TaggedHist{{"x", NewHist(11)}}, 0), "11 bits")
	_, err = ReadHlog(bytes.NewReader(nil))
	require.ErrorContains(t, err, "no histogram")
}

func FuzzReadHlog(f *testing.F) {
	h := NewHist(HistBits)
	h.Record(5e6)
	var b bytes.Buffer
	require.NoError(f, WriteHlog(&b, []TaggedHist{{"latency", h}}, time.Second))
	f.Add(b.Bytes())
	f.Add(b.Bytes()[:b.Len()-20])
	f.Add([]byte("Tag=x\n\n#[BaseTime: 1]\n0,1,2,HISTFAAAA"))
	f.Fuzz(func(t *testing.T, data []byte) {
		hists, err := ReadHlog(bytes.NewReader(data))
		if err == nil {
			require.NotEmpty(t, hists)
		}
		for _, h := range hists {
			require.LessOrEqual(t, h.Hist.Quantile(500), h.Hist.Quantile(990))
		}
	})
}

func TestRunDirectoryRoundTrip(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	started := time.Date(2026, 11, 20, 23, 50, 7, 0, time.FixedZone("", 3600))
	load := 0.85
	write := func() string {
		w, err := CreateRun(out, "WeChat JIQ", started)
		require.NoError(t, err)
		require.NoError(t, w.Write("scenario.yaml", []byte("name: x\n")))
		require.NoError(t, w.Write("charts/ccdf.svg", []byte("<svg/>")))
		require.Error(t, w.Write("../escape", nil))
		require.Error(t, w.Write("/etc/escape", nil))
		runs := seedRuns(t, 0.7, 1000, 2)
		cells, warnings := Summarize([]CellRuns{{Policy: "jiq", Load: &load, Runs: runs}}, Options{})
		require.NoError(t, w.WriteSummary(&Summary{Schema: SummarySchema, RunID: w.ID(), Cells: cells, Warnings: warnings, Verdict: VerdictNone}))
		for _, r := range runs {
			require.NoError(t, w.WriteHists(CellFiles(cells)[0], r.Seed(), r.Hists(), time.Second))
		}
		require.DirExists(t, w.Partial())
		dir, err := w.Finish(Manifest{Status: RunComplete, Host: "sim"})
		require.NoError(t, err)
		require.NoDirExists(t, w.Partial())
		require.Equal(t, w.Dir(), dir)
		return dir
	}
	dir := write()
	require.Equal(t, filepath.Join(out, "wechat-jiq", "2026-11-20T22-50-07Z"), dir)
	require.Equal(t, dir+"-2", write())
	require.Equal(t, dir+"-3", write())

	r, err := OpenRun(dir)
	require.NoError(t, err)
	require.Empty(t, r.Lost)
	require.Equal(t, RunComplete, r.Manifest.Status)
	require.Equal(t, filepath.Base(dir), r.Summary.RunID)
	require.Len(t, r.Manifest.Files, 5)
	hists := r.CellHists("jiq-0.85")
	require.Len(t, hists, 1)
	require.Equal(t, int64(2000), hists[0].Hist.Count())

	again, err := encodeJSON(&r.Summary)
	require.NoError(t, err)
	saved, err := os.ReadFile(filepath.Join(dir, "summary.json"))
	require.NoError(t, err)
	require.Equal(t, string(saved), string(again), "a summary survives reading and writing")
}

// What is kept of a run under way reads as an interrupted one, though the summary is
// replaced again before the manifest is; a file belongs to it once it is closed.
func TestKeptRunDirectory(t *testing.T) {
	t.Parallel()
	w, err := CreateRun(t.TempDir(), "x", time.Unix(0, 0))
	require.NoError(t, err)
	run := seedRuns(t, 0.5, 200, 1)[0]
	require.NoError(t, w.WriteHists("jiq", 1, run.Hists(), time.Second))
	done, err := w.Create("tapes/jiq.1.tape")
	require.NoError(t, err)
	for _, piece := range []string{"a", "b"} {
		_, err = done.Write([]byte(piece))
		require.NoError(t, err)
	}
	require.NoError(t, done.Close())
	open, err := w.Create("tapes/jiq.2.tape")
	require.NoError(t, err)
	_, err = w.Create("../escape")
	require.Error(t, err)
	require.NoError(t, w.Keep(Manifest{Status: RunComplete, Host: "live"}, &Summary{Schema: SummarySchema}))
	require.NoError(t, w.WriteSummary(&Summary{Schema: SummarySchema, RunID: "later"}))

	r, err := OpenRun(w.Partial())
	require.NoError(t, err)
	require.Empty(t, r.Lost)
	require.Equal(t, RunInterrupted, r.Manifest.Status)
	require.Equal(t, "later", r.Summary.RunID)
	require.True(t, r.Usable("tapes/jiq.1.tape"))
	require.False(t, r.Usable("tapes/jiq.2.tape"))
	require.Equal(t, int64(200), r.CellHists("jiq")[0].Hist.Count())

	require.NoError(t, open.Discard())
	dir, err := w.Finish(Manifest{Status: RunComplete, Host: "live"})
	require.NoError(t, err)
	r, err = OpenRun(dir)
	require.NoError(t, err)
	require.Empty(t, r.Lost)
	require.Equal(t, RunComplete, r.Manifest.Status)
	require.Len(t, r.Manifest.Files, 3)
	require.NoFileExists(t, filepath.Join(dir, "tapes", "jiq.2.tape"))
}

func TestDamagedRunDirectory(t *testing.T) {
	t.Parallel()
	w, err := CreateRun(t.TempDir(), "x", time.Unix(0, 0))
	require.NoError(t, err)
	run := seedRuns(t, 0.5, 200, 1)[0]
	require.NoError(t, w.WriteSummary(&Summary{Schema: SummarySchema}))
	require.NoError(t, w.WriteHists("jiq", 1, run.Hists(), time.Second))
	require.NoError(t, w.WriteHists("jiq", 2, run.Hists(), time.Second))
	require.NoError(t, w.Write("plan.json", []byte("{}")))
	dir, err := w.Finish(Manifest{Status: RunInterrupted})
	require.NoError(t, err)

	require.NoError(t, os.Truncate(filepath.Join(dir, "hist", "jiq.1.hlog"), 90))
	require.NoError(t, os.Remove(filepath.Join(dir, "plan.json")))
	r, err := OpenRun(dir)
	require.NoError(t, err)
	require.Equal(t, []Lost{
		{"hist/jiq.1.hlog", "the latency distribution of one run: changed or cut since it was written"},
		{"plan.json", "the expanded plan: missing"},
	}, r.Lost)
	require.False(t, r.Usable("plan.json"))
	require.Equal(t, int64(200), r.CellHists("jiq")[0].Hist.Count(), "the good file is still drawn")

	require.NoError(t, os.WriteFile(filepath.Join(dir, "manifest.json"), []byte("{"), 0o666))
	r, err = OpenRun(dir)
	require.NoError(t, err)
	require.Equal(t, "manifest.json", r.Lost[0].File)

	for content, want := range map[string]string{
		`{"schema": "taillab/summary/v1", "cells"`:     "cut short",
		`{"schema": "taillab/summary/v2"}`:             "newer taillab",
		`{"schema": "taillab/manifest/v1"}`:            "not such a file",
		`{"schema": "taillab/summary/v1", "cells": 5}`: "does not follow",
	} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, "summary.json"), []byte(content), 0o666))
		_, err = OpenRun(dir)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "summary.json")
	}
	_, err = OpenRun(filepath.Join(dir, "nowhere"))
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestFileNames(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{"jiq": "jiq", "P2C (d=3)": "p2c--d-3-", "..": "x", "": "x", ".hidden": "hidden", "../../etc": "etc", "名": "x", "a.": "a"} {
		require.Equal(t, want, FileSafe(in), in)
	}
	a, b := 0.85, 0.9
	require.Equal(t, []string{"jiq-0.85", "jiq-0.9", "jiq-0.85-2", "jiq", "jiq-2", "jiq-2-2"},
		CellFiles([]Cell{{Policy: "jiq", Load: &a}, {Policy: "jiq", Load: &b}, {Policy: "JIQ", Load: &a}, {Policy: "jiq"}, {Policy: "jiq"}, {Policy: "jiq-2"}}))
	rapid.Check(t, func(t *rapid.T) {
		name := FileSafe(rapid.String().Draw(t, "name"))
		require.Regexp(t, regexp.MustCompile(`^[a-z0-9_][a-z0-9._-]{0,79}$`), name)
		require.Equal(t, name, FileSafe(name))
	})
}
