package store

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"

	"taillab/policies/quota"
)

// Shards is a counter store of one or more servers. Its methods may be called from
// several goroutines.
type Shards struct {
	clients []*redis.Client
	prefix  string
	ends    []func() error
	own     []process // by shard; none where the servers are not ours
}

//go:embed scripts/rates.lua
var ratesSource string

//go:embed scripts/holds.lua
var holdsSource string

var (
	rates = redis.NewScript(ratesSource)
	holds = redis.NewScript(holdsSource)
)

// kinds are the names of asks in the scripts.
var kinds = map[quota.AskKind]string{quota.AskTake: "take", quota.AskLease: "lease", quota.AskReturn: "return",
	quota.AskSync: "sync", quota.AskHold: "hold", quota.AskRenew: "renew", quota.AskRelease: "release"}

// Counter says what is kept of a group.
type Counter struct {
	Group quota.Group
	GCRA  bool // with a rate limit: as theoretical arrival time, not as tokens
	Slots bool // the units are held
}

// Of returns the same servers with the keys of another run. Close it through the store
// that was opened.
func (s *Shards) Of(run string) *Shards {
	return &Shards{clients: s.clients, own: s.own, prefix: prefixOf(run)}
}

func prefixOf(run string) string { return "taillab:" + run + ":" }

// Len is the number of shards.
func (s *Shards) Len() int { return len(s.clients) }

// Address is where a shard listens.
func (s *Shards) Address(shard int) string { return s.clients[shard].Options().Addr }

// Key is the name of a group's key; the braces keep all of a group in one slot of a
// cluster.
func (s *Shards) Key(group string) string { return s.prefix + quota.Key(group) }

// Ask carries one ask to a shard and returns its answer. An error means that nothing
// is known: the ask may have been booked.
func (s *Shards) Ask(ctx context.Context, shard int, c *Counter, a quota.Ask) (quota.Grant, error) {
	return s.ask(ctx, shard, c, a, "", "")
}

// AskAt is Ask with the clock pinned, in time since the Unix epoch, to microseconds.
func (s *Shards) AskAt(ctx context.Context, shard int, c *Counter, a quota.Ask, now time.Duration) (quota.Grant, error) {
	return s.ask(ctx, shard, c, a, strconv.FormatInt(int64(now/time.Second), 10), strconv.FormatInt(int64(now%time.Second/time.Microsecond), 10))
}

func (s *Shards) ask(ctx context.Context, shard int, c *Counter, a quota.Ask, sec, usec string) (quota.Grant, error) {
	kind, ok := kinds[a.Kind]
	if !ok {
		return quota.Grant{}, fmt.Errorf("store: unknown kind of ask %d", a.Kind)
	}
	var cmd *redis.Cmd
	key := []string{s.Key(c.Group.Name)}
	if c.Slots {
		cmd = holds.Run(ctx, s.clients[shard], key, kind, exact(c.Group.Units), a.Req, exact(a.Units), int64(a.Window), sec, usec)
	} else {
		flag := 0
		if c.GCRA {
			flag = 1
		}
		cmd = rates.Run(ctx, s.clients[shard], key, kind, flag, exact(c.Group.Rate), exact(max(c.Group.Burst, 1)),
			exact(a.Units), exact(a.Need), int64(a.Window), sec, usec)
	}
	answer, err := cmd.Slice()
	if err != nil {
		return quota.Grant{}, fmt.Errorf("store: shard %d: %w", shard, err)
	}
	g, err := grant(answer)
	if err != nil {
		return g, fmt.Errorf("store: shard %d: %w", shard, err)
	}
	g.Expiry = a.Window
	return g, nil
}

// exact writes a number so that it is read back as it is.
func exact(x float64) string { return strconv.FormatFloat(x, 'g', 17, 64) }

// grant reads what a script answers: units, left, retry in ns, never.
func grant(answer []any) (g quota.Grant, err error) {
	if len(answer) != 4 {
		return g, fmt.Errorf("the script answered %d values: is the key another program's?", len(answer))
	}
	var numbers [3]float64
	for i := range numbers {
		text, ok := answer[i].(string)
		if !ok {
			return g, fmt.Errorf("the script answered %v where a number should be", answer[i])
		}
		if numbers[i], err = strconv.ParseFloat(text, 64); err != nil {
			return g, err
		}
	}
	never, _ := answer[3].(int64)
	return quota.Grant{Units: numbers[0], Left: numbers[1], RetryIn: time.Duration(numbers[2]), Never: never == 1}, nil
}

// process is a server that this program started.
type process interface {
	Kill() error  // at once; its counters are lost
	Start() error // again
}

// ErrNotOurs tells that a server was not started by this program.
var ErrNotOurs = errors.New("the server is not ours to end")

// Kill ends a shard as a crash does. Its counters are lost.
func (s *Shards) Kill(shard int) error { return s.with(shard, process.Kill) }

// Start starts a shard again after Kill, empty.
func (s *Shards) Start(shard int) error { return s.with(shard, process.Start) }

func (s *Shards) with(shard int, do func(process) error) error {
	if shard >= len(s.own) {
		return fmt.Errorf("store: shard %d: %w", shard, ErrNotOurs)
	}
	return do(s.own[shard])
}

// Close closes the connections and ends what Open started.
func (s *Shards) Close() error {
	var errs []error
	for _, c := range s.clients {
		errs = append(errs, c.Close())
	}
	for _, end := range s.ends {
		errs = append(errs, end())
	}
	s.clients, s.ends = nil, nil
	return errors.Join(errs...)
}
