package app

import (
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// How often progress is told: a bar several times a second, a line now and then.
const (
	barEvery   = 200 * time.Millisecond
	plainEvery = 10 * time.Second
)

// progress tells on stderr how far the work is.
type progress struct {
	s     *session
	name  string
	bar   bool
	width int
	start time.Time

	mu    sync.Mutex
	share float64
	shown float64 // the most that was told: a bar never goes back
	stop  chan struct{}
	gone  chan struct{}
}

// progress starts telling; ui is the flag. A bar needs a terminal and no CI.
func (s *session) progress(name, ui string) *progress {
	p := &progress{s: s, name: name, start: time.Now(), width: s.width(s.Stderr)}
	switch ui {
	case "auto":
		p.bar = isTTY(s.Stderr) && s.Getenv("CI") == "" && s.Getenv("TERM") != "dumb"
	case "bar":
		p.bar = true
	}
	if ui == "none" || s.common.Quiet {
		return p
	}
	every := plainEvery
	if p.bar {
		every = barEvery
	}
	p.stop, p.gone = make(chan struct{}), make(chan struct{})
	go p.tell(every)
	return p
}

// update notes the share of the work that is done.
func (p *progress) update(share float64) {
	p.mu.Lock()
	p.share = share
	p.mu.Unlock()
}

func (p *progress) tell(every time.Duration) {
	defer close(p.gone)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			if p.bar {
				fmt.Fprint(p.s.err, "\r\x1b[K")
			}
			return
		case now := <-tick.C:
			p.mu.Lock()
			p.shown = max(p.shown, p.share)
			share, shown := p.share, p.shown
			p.mu.Unlock()
			line := progressLine(p.name, shown, timeLeft(share, now.Sub(p.start)), p.bar, p.width)
			if p.bar {
				fmt.Fprint(p.s.err, "\r"+line+"\x1b[K")
			} else {
				fmt.Fprintln(p.s.err, line)
			}
		}
	}
}

// end stops telling and clears the bar.
func (p *progress) end() {
	if p.stop == nil {
		return
	}
	close(p.stop)
	<-p.gone
	p.stop = nil
}

// timeLeft guesses how long the rest takes; 0 = nobody knows yet.
func timeLeft(share float64, elapsed time.Duration) time.Duration {
	if share <= 0.01 || share >= 1 {
		return 0
	}
	return time.Duration(float64(elapsed) * (1 - share) / share)
}

// progressLine says the share done and, once it is known, the time left.
func progressLine(name string, share float64, rest time.Duration, bar bool, width int) string {
	share = min(max(share, 0), 1)
	text := fmt.Sprintf("%s %3.0f%%", name, 100*share)
	if rest > 0 {
		text += ", " + left(rest) + " left"
	}
	if !bar {
		return text
	}
	room := min(40, width-utf8.RuneCountInString(text)-4)
	if room < 5 {
		return text
	}
	full := int(share*float64(room) + 0.5)
	return "[" + strings.Repeat("=", full) + strings.Repeat(" ", room-full) + "] " + text
}

// left rounds a waiting time to what a person wants to know.
func left(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%d s", int(d.Seconds()+0.5))
	case d < time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()+0.5))
	}
	return fmt.Sprintf("%.1f h", d.Hours())
}
