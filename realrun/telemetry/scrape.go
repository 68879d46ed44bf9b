package telemetry

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// maxPage bounds a metrics page; that of a busy vLLM has some hundred KB.
const maxPage = 8 << 20

// errUnreadable marks a page that came and could not be understood.
var errUnreadable = errors.New("unreadable")

// scraper reads metrics pages in Prometheus' text format.
type scraper struct {
	client *http.Client
	url    *url.URL
	wanted []string // names of the metrics that are read
}

func newScraper(u *url.URL, wanted []string) *scraper {
	return &scraper{url: u, wanted: wanted, client: &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: 1, DisableCompression: true}, // no proxy: what is watched stands beside what is measured
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
	}}
}

func (s *scraper) close() { s.client.CloseIdleConnections() }

// page fetches the page and returns the wanted metrics of it.
func (s *scraper) page(ctx context.Context) (samples, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Accept", "text/plain;version=0.0.4")
	resp, err := s.client.Do(req)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) { // it repeats the address
			err = wrapped.Err
		}
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the answer is %s: 200 was expected", resp.Status)
	}
	return readMetrics(resp.Body, s.wanted)
}

// samples holds them by the name of their metric.
type samples map[string]*dto.MetricFamily

// readMetrics reads the wanted metrics of a page. Lines of other metrics are skipped
// unread: a page of histograms would cost the client milliseconds each time, and is
// none of our business when it is broken.
func readMetrics(page io.Reader, wanted []string) (samples, error) {
	limited := &io.LimitedReader{R: page, N: maxPage + 1}
	lines := bufio.NewScanner(limited)
	lines.Buffer(make([]byte, 0, 4096), maxPage)
	var kept bytes.Buffer
	for lines.Scan() {
		line := bytes.TrimLeft(lines.Bytes(), " \t")
		for _, name := range wanted {
			if rest, ok := bytes.CutPrefix(line, []byte(name)); ok && (len(rest) == 0 || strings.IndexByte(" \t{", rest[0]) >= 0) {
				kept.Write(line)
				kept.WriteByte('\n')
			}
		}
	}
	if err := lines.Err(); errors.Is(err, bufio.ErrTooLong) || err == nil && limited.N == 0 {
		return nil, fmt.Errorf("%w: the page has more than %d MiB", errUnreadable, maxPage>>20)
	} else if err != nil {
		return nil, err
	}
	if kept.Len() == 0 {
		return nil, fmt.Errorf("%w: the page has none of %s", errUnreadable, strings.Join(wanted, ", "))
	}
	p := expfmt.NewTextParser(model.UTF8Validation)
	found, err := p.TextToMetricFamilies(&kept)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnreadable, err)
	}
	return found, nil
}

// each calls f with every sample of a metric and a look-up of its labels.
func (m samples) each(name string, f func(v float64, label func(string) string)) {
	for _, sample := range m[name].GetMetric() {
		f(sample.GetUntyped().GetValue(), func(wanted string) string {
			for _, l := range sample.GetLabel() {
				if l.GetName() == wanted {
					return l.GetValue()
				}
			}
			return ""
		})
	}
}
