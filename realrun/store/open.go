package store

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/redis/go-redis/v9"
)

// Config says where the shards are.
type Config struct {
	Addresses []string // servers that run already: host:port
	Spawn     int      // else: so many redis-server processes of our own, 1 to 64
	Inside    int      // else: so many servers inside this process

	Run      string        // keeps the keys of one run apart from those of others
	Callers  int           // front ends of this process; the pool is twice as large
	Timeout  time.Duration // for one ask, connecting included; 0 = 50 ms
	Password string
}

// MaxShards bounds the shards of a store.
const MaxShards = 64

// patience is how long a server may take to answer for the first time.
const patience = 10 * time.Second

// ErrNoServer tells that there is no redis-server to start.
var ErrNoServer = errors.New("redis-server is not in PATH: install it (Debian: apt install redis-server), name running servers with quota.store.live: {redis: [HOST:PORT]}, or use miniredis")

// silent is the log of the Redis client: what goes wrong is told to who asked.
type silent struct{}

// Printf implements the client's logging.
func (silent) Printf(context.Context, string, ...any) {}

var hush sync.Once // the client has one log for the whole process

// Open reaches or starts the shards, and loads the scripts.
func Open(ctx context.Context, c Config) (*Shards, error) {
	hush.Do(func() { redis.SetLogger(silent{}) })
	s := &Shards{prefix: prefixOf(c.Run)}
	if c.Timeout <= 0 {
		c.Timeout = 50 * time.Millisecond
	}
	addresses, err := s.start(ctx, c)
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	for _, a := range addresses {
		s.clients = append(s.clients, redis.NewClient(&redis.Options{Addr: a, Password: c.Password, PoolSize: max(2*c.Callers, 8),
			DialTimeout: c.Timeout, ReadTimeout: c.Timeout, WriteTimeout: c.Timeout, ContextTimeoutEnabled: true,
			MaxRetries: -1, DialerRetries: 1, Dialer: dial, DisableIdentity: true, Protocol: 2})) // an ask is never repeated behind the limiter's back
	}
	for i, client := range s.clients {
		if err := ready(ctx, client); err != nil {
			return nil, errors.Join(fmt.Errorf("store: shard %d at %s: %w", i, addresses[i], err), s.Close())
		}
	}
	return s, nil
}

// ready waits until a server answers, and loads the scripts.
func ready(ctx context.Context, client *redis.Client) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		err := client.Ping(ctx).Err()
		if err == nil {
			break
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(20 * time.Millisecond):
		}
	}
	for _, script := range []*redis.Script{rates, holds} {
		if err := script.Load(ctx, client).Err(); err != nil {
			return fmt.Errorf("loading the scripts: %w", err)
		}
	}
	return nil
}

// start brings servers up where they are ours and returns all addresses.
func (s *Shards) start(ctx context.Context, c Config) ([]string, error) {
	n := max(len(c.Addresses), c.Spawn, c.Inside)
	if n < 1 || n > MaxShards {
		return nil, fmt.Errorf("store: %d shards: there are 1 to %d", n, MaxShards)
	}
	var out []string
	switch {
	case len(c.Addresses) > 0:
		return c.Addresses, nil
	case c.Spawn > 0:
		path, err := exec.LookPath("redis-server")
		if err != nil {
			return nil, ErrNoServer
		}
		for range c.Spawn {
			p, err := Spawn(ctx, path)
			if err != nil {
				return nil, err
			}
			s.ends, s.own = append(s.ends, p.Stop), append(s.own, p)
			out = append(out, p.Address)
		}
	default:
		for range c.Inside {
			m := miniredis.NewMiniRedis()
			if err := m.Start(); err != nil {
				return nil, fmt.Errorf("store: %w", err)
			}
			s.ends, s.own = append(s.ends, func() error { m.Close(); return nil }), append(s.own, inside{m})
			out = append(out, m.Addr())
		}
	}
	return out, nil
}
