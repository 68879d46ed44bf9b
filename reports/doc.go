// Package reports turns the records of a run into statistics, verdicts and a
// run directory.
//
// It is the last step of every command: a host streams one [Record] per request
// into a [Collector], [Summarize] folds the collectors of a cell into a [Cell],
// [Judge] holds gates against cells, and [CreateRun] keeps it all on disk. Every
// step is a pure function of the one before; findings travel as [Warning] data
// and never stop the pipeline.
//
// It is not a renderer: no text for people is laid out here (see the packages
// reports/render and reports/chart), and a renderer computes no statistic.
// It is a leaf: it imports no other package of this module, so slots, outcome
// codes and labels arrive as plain numbers and names in a [Setup].
//
// Start reading at summary.go (what is known of a cell), then collector.go,
// interval.go and judge.go. Percentiles come from log-linear histograms
// (hist.go), intervals from independent parts, never from single requests.
package reports
