package reports

import (
	"fmt"
	"io"
	"strings"
	"time"

	hdr "github.com/HdrHistogram/hdrhistogram-go"
)

// WriteHlog writes histograms as an HdrHistogram interval log: one line per tag,
// unit ns, start 0, interval = the measured time. Counts are copied cell for
// cell, so only histograms of HistBits can be written.
func WriteHlog(w io.Writer, hists []TaggedHist, interval time.Duration) error {
	log := hdr.NewHistogramLogWriter(w)
	if err := log.OutputLogFormatVersion(); err != nil {
		return fmt.Errorf("write interval log: %w", err)
	}
	if err := log.OutputLegend(); err != nil {
		return fmt.Errorf("write interval log: %w", err)
	}
	empty := hdr.New(1, HistMax, 3).Export()
	for _, t := range hists {
		if t.Hist.bits != HistBits {
			return fmt.Errorf("write interval log: histogram %q has %d bits, the log holds %d", t.Tag, t.Hist.bits, HistBits)
		}
		snapshot := *empty
		snapshot.Counts = t.Hist.counts
		h := hdr.Import(&snapshot)
		h.SetTag(safeTag(t.Tag))
		h.SetEndTimeMs(interval.Milliseconds())
		if err := log.OutputIntervalHistogram(h); err != nil {
			return fmt.Errorf("write interval log: tag %s: %w", t.Tag, err)
		}
	}
	return nil
}

// safeTag replaces what an interval log cannot hold in a tag.
func safeTag(s string) string {
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == ',' || r == 0x7f {
			return '_'
		}
		return r
	}, s)
}

// ReadHlog reads an interval log back. Counts are exact; minimum, maximum and
// sum are known to one bin only, so a quantile differs from the one written by
// at most a bin.
func ReadHlog(r io.Reader) ([]TaggedHist, error) {
	log := hdr.NewHistogramLogReader(r)
	var out []TaggedHist
	for {
		h, err := log.NextIntervalHistogram()
		if err != nil {
			return out, fmt.Errorf("read interval log: histogram %d: %w", len(out)+1, err)
		}
		if h == nil {
			break
		}
		if h.LowestTrackableValue() != 1 || h.SignificantFigures() != 3 || h.HighestTrackableValue() != HistMax {
			return out, fmt.Errorf("read interval log: histogram %q spans %d…%d ns with %d digits, not 1…%d with 3",
				h.Tag(), h.LowestTrackableValue(), h.HighestTrackableValue(), h.SignificantFigures(), HistMax)
		}
		t, err := fromCounts(h.Export().Counts)
		if err != nil {
			return out, fmt.Errorf("read interval log: histogram %q: %w", h.Tag(), err)
		}
		out = append(out, TaggedHist{Tag: h.Tag(), Hist: t})
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("read interval log: no histogram in it")
	}
	return out, nil
}

// fromCounts rebuilds the moments from bins: edges for the extremes, middles for
// the sum.
func fromCounts(counts []int64) (*Hist, error) {
	h := NewHist(HistBits)
	if len(counts) > len(h.counts) {
		return nil, fmt.Errorf("%d cells, at most %d", len(counts), len(h.counts))
	}
	sum := 0.0
	for i, c := range counts {
		if c == 0 {
			continue
		}
		if c < 0 || h.n+c < h.n {
			return nil, fmt.Errorf("cell %d holds %d", i, c)
		}
		low, width := edgesOf(i, HistBits)
		h.counts[i] = c
		h.n += c
		h.min = min(h.min, low)
		h.max = low + width - 1
		sum += float64(c) * (float64(low) + float64(width-1)/2)
	}
	const word = 1 << 32 * 1.0
	h.sumHi = uint64(sum / (word * word))
	h.sumLo = uint64(min(sum-float64(h.sumHi)*word*word, 1<<63))
	return h, nil
}
