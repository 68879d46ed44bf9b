package sim

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// logger writes the name of each event it handles.
type logger struct {
	out  *[]string
	hook map[uint64]func(e *Engine)
}

func (l logger) Handle(e *Engine, arg uint64) {
	*l.out = append(*l.out, string(rune(arg)))
	if f := l.hook[arg]; f != nil {
		f(e)
	}
}

// ticks is a source at fixed instants.
type ticks struct {
	out *[]string
	at  []Time
}

func (s *ticks) Fire(*Engine) Time {
	*s.out = append(*s.out, "S")
	s.at = s.at[1:]
	if len(s.at) == 0 {
		return Never
	}
	return s.at[0]
}

// The golden order of equal instants: A@5 B@3 C@5 D@3, a source at 3 and 5, and A
// schedules E@5.
func TestOrderAtEqualInstants(t *testing.T) {
	t.Parallel()
	cases := []struct {
		name      string
		class     func(r rune) Class
		timer     bool
		want      []string
		until4    []string
		remaining int
	}{
		{"all messages", func(rune) Class { return Message }, false,
			[]string{"S", "B", "D", "S", "A", "C", "E"}, []string{"S", "B", "D"}, 2},
		{"C and D complete", func(r rune) Class {
			if r == 'C' || r == 'D' {
				return Completion
			}
			return Message
		}, false, []string{"D", "S", "B", "C", "S", "A", "E"}, []string{"D", "S", "B"}, 2},
		{"E completes too", func(r rune) Class {
			if r == 'C' || r == 'D' || r == 'E' {
				return Completion
			}
			return Message
		}, false, []string{"D", "S", "B", "C", "S", "A", "E"}, []string{"D", "S", "B"}, 2},
		{"a timer filed first fires last", func(r rune) Class {
			if r == 'C' || r == 'D' {
				return Completion
			}
			return Message
		}, true, []string{"D", "S", "B", "T", "C", "S", "A", "E"}, []string{"D", "S", "B", "T"}, 2},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			run := func(do func(e *Engine)) (got []string, pending int, now Time) {
				e := New(Config{})
				l := logger{out: &got, hook: map[uint64]func(*Engine){}}
				var ids [4]HandlerID
				for k := range ids {
					if Class(k) != source {
						ids[k] = e.Register(l, Class(k))
					}
				}
				file := func(r rune, at Time) { e.Schedule(at, ids[c.class(r)], uint64(r)) }
				l.hook['A'] = func(*Engine) { file('E', 5) }
				if c.timer {
					e.Reset(e.Timer(ids[Timing], 'T'), 3)
				}
				file('A', 5)
				file('B', 3)
				file('C', 5)
				file('D', 3)
				e.Attach(3, &ticks{&got, []Time{3, 5}})
				do(e)
				return got, e.Pending(), e.Now()
			}
			got, pending, now := run(func(e *Engine) { e.Run() })
			require.Equal(t, c.want, got)
			require.Zero(t, pending)
			require.Equal(t, Time(5), now)
			got, pending, now = run(func(e *Engine) { e.RunUntil(4) })
			require.Equal(t, c.until4, got)
			require.Equal(t, c.remaining, pending)
			require.Equal(t, Time(4), now)
		})
	}
}
