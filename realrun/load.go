package realrun

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// ticks is what a host's processors did since it started, in ticks of their clock.
type ticks struct {
	all, busy, steal uint64
	cpus             int
}

// readTicks reads the format of /proc/stat (proc_stat(5)): user nice system idle
// iowait irq softirq steal; guest time is part of user.
func readTicks(r io.Reader) (ticks, error) {
	var t ticks
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		words := strings.Fields(lines.Text())
		if len(words) == 0 || !strings.HasPrefix(words[0], "cpu") {
			continue
		}
		if words[0] != "cpu" {
			t.cpus++
			continue
		}
		for i, w := range words[1:min(len(words), 9)] {
			n, err := strconv.ParseUint(w, 10, 64)
			if err != nil {
				return ticks{}, fmt.Errorf("%q is no number of ticks", w)
			}
			t.all += n
			switch i {
			case 3, 4: // idle, and idle while a disk works
			case 7:
				t.steal += n
			default:
				t.busy += n
			}
		}
	}
	if err := lines.Err(); err != nil {
		return ticks{}, err
	}
	if t.all == 0 || t.cpus == 0 {
		return ticks{}, fmt.Errorf("no line of processor times")
	}
	return t, nil
}

// hostLoad measures what share of the host others took between two looks: other
// processes, and the hypervisor's other guests.
type hostLoad struct {
	look  func() (ticks, bool)
	usage func() time.Duration
	wall  func() time.Duration

	from  ticks
	known bool
	own   time.Duration
	since time.Duration
}

func newHostLoad() *hostLoad {
	begun := time.Now()
	h := &hostLoad{look: hostTicks, usage: usage, wall: func() time.Duration { return time.Since(begun) }}
	h.begin()
	return h
}

func (h *hostLoad) begin() {
	h.from, h.known = h.look()
	h.own, h.since = h.usage(), h.wall()
}

// end is the share since begin; nil where the system does not tell.
func (h *hostLoad) end() *float64 {
	to, ok := h.look()
	if !ok || !h.known || to.all <= h.from.all || to.busy < h.from.busy || to.steal < h.from.steal {
		return nil
	}
	wall := h.wall() - h.since
	all := float64(to.all - h.from.all)
	busy, steal := float64(to.busy-h.from.busy)/all, float64(to.steal-h.from.steal)/all
	own := 0.0
	if wall > 0 {
		own = float64(h.usage()-h.own) / float64(wall) / float64(to.cpus)
	}
	x := max(0, busy-own) + steal
	return &x
}
