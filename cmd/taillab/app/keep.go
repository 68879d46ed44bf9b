package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"taillab/cmd/taillab/internal/runner"
	"taillab/cmd/taillab/internal/tape"
	"taillab/realrun"
	"taillab/reports"
	"taillab/scenarios"
)

// A live run takes as long as what it drives, so its directory holds every run from
// its end on, and a tape from its first pieces: a program that is killed loses the run
// that it was driving and nothing else.

// tapeCut is the warning of a run whose tape ends before it does.
const tapeCut = "tape-cut"

// keep writes what a run has given and makes the directory readable as it stands.
func (j *job) keep(r *runner.Run) {
	if j.keptErr != nil {
		return
	}
	if j.keptErr = j.runFiles(r); j.keptErr != nil {
		return // told at the end
	}
	j.kept = append(j.kept, r)
	sofar := *j
	sofar.result = &runner.Result{Runs: make([]runner.Run, len(j.plan.Cells)*j.plan.Seeds)}
	for i, r := range j.kept {
		sofar.result.Runs[i] = *r
	}
	sofar.summarise(j.git())
	sofar.sum.RunID = j.dir.ID()
	j.keptErr = errors.Join(j.planFiles(j.dir), j.dir.Keep(sofar.manifest(), sofar.sum))
}

// isKept tells whether the files of a run are written.
func (j *job) isKept(r *runner.Run) bool {
	for _, k := range j.kept {
		if k.Index == r.Index && k.Rep == r.Rep {
			return true
		}
	}
	return false
}

// askGit looks at the repository while runs go on; the answer may be asked for again
// and again.
func askGit(ctx context.Context) func() *reports.Git {
	answer := sync.OnceValue(func() *reports.Git { return gitOf(context.WithoutCancel(ctx)) })
	go answer()
	return answer
}

// runFiles writes what there is of a finished run: histograms, timeline, what was seen
// of the machines, and the tape if it is not there yet.
func (j *job) runFiles(r *runner.Run) error {
	w, cell, seed := j.dir, j.cellFile(r.Index), r.Rep+1
	measured := time.Duration(0)
	for _, c := range r.Collectors() {
		measured += c.MeasuredTime()
	}
	if err := w.WriteHists(cell, seed, reports.MergedHists(r.Collectors()), measured); err != nil {
		return err
	}
	if err := w.Write("timeline/"+cell+"."+strconv.Itoa(seed)+".csv", timelineCSV(r.Timeline, serviceNames(r.Cell))); err != nil {
		return err
	}
	seen, err := j.live.telemetry(runID{r.Index, r.Rep})
	if err == nil && seen != nil {
		err = w.Write(telemetryFile(cell, seed), seen)
	}
	if err != nil || len(r.Tapes) == 0 {
		return err
	}
	var b bytes.Buffer
	h := j.tapeOf(&r.Run)
	for _, s := range r.Tapes {
		h.Streams = append(h.Streams, tape.Stream{Name: s.Stream, Data: s.Data})
	}
	cut := slices.ContainsFunc(r.Warnings, func(w reports.Warning) bool { return w.Code == tapeCut })
	if err := tape.Write(&b, h, !cut); err != nil {
		return err
	}
	return w.Write(tapeFile(cell, seed), b.Bytes())
}

// cellFile is the name of a cell in the names of its files.
func (j *job) cellFile(cell int) string { return reports.CellFiles(identities(j.plan))[cell] }

func tapeFile(cell string, seed int) string {
	return "tapes/" + cell + "." + strconv.Itoa(seed) + ".tape"
}

// startTape begins the tape of a run.
func (j *job) startTape(r *scenarios.Run) (*tapeWriter, error) {
	f, err := j.dir.Create(tapeFile(j.cellFile(r.Index), r.Rep+1))
	if err != nil {
		return nil, err
	}
	w, err := tape.NewWriter(f, j.tapeOf(r))
	if err != nil {
		return nil, errors.Join(err, f.Discard())
	}
	return &tapeWriter{w, f}, nil
}

// startChain begins a chain of the tape of a run that has no end: a folder of files named
// CHAIN-SEGMENT.tape.
func (j *job) startChain(r *scenarios.Run, chain int, bounds scenarios.ProxyTape) (*tape.ChainWriter, error) {
	folder := fmt.Sprintf("tapes/%s.%d", j.cellFile(r.Index), r.Rep+1)
	create := func(segment int) (tape.SegmentFile, error) {
		return j.dir.Create(fmt.Sprintf("%s/%d-%06d.tape", folder, chain, segment))
	}
	return tape.NewChain(create, j.tapeOf(r), fmt.Sprintf("%s/%s/%d", j.dir.ID(), folder, chain), bounds.Segment, bounds.Limit)
}

// tapeWriter writes a tape into the run directory.
type tapeWriter struct {
	*tape.Writer
	file *reports.RunFile
}

var _ realrun.TapeWriter = (*tapeWriter)(nil)

// Close implements realrun.TapeWriter.
func (w *tapeWriter) Close(whole bool) error {
	return errors.Join(w.Writer.Close(whole), w.file.Close())
}
