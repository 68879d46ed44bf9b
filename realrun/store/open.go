package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"syscall"
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

// Open reaches or starts the shards, and loads the scripts.
func Open(ctx context.Context, c Config) (*Shards, error) {
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
			MaxRetries: -1, DisableIdentity: true, Protocol: 2})) // an ask is never repeated behind the limiter's back
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
			s.ends = append(s.ends, p.Stop)
			out = append(out, p.Address)
		}
	default:
		for range c.Inside {
			m := miniredis.NewMiniRedis()
			if err := m.Start(); err != nil {
				return nil, fmt.Errorf("store: %w", err)
			}
			s.ends = append(s.ends, func() error { m.Close(); return nil })
			out = append(out, m.Addr())
		}
	}
	return out, nil
}

// Process is a redis-server that this program started. It keeps nothing on disk.
type Process struct {
	Address string

	path, port, dir string
	mu              sync.Mutex
	cmd             *exec.Cmd
	done            chan struct{}
}

// Spawn starts a redis-server on a free port of 127.0.0.1.
func Spawn(ctx context.Context, path string) (*Process, error) {
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	addr := l.Addr().String()
	_, port, _ := net.SplitHostPort(addr) // a listener's own
	_ = l.Close()                         // nothing was accepted
	dir, err := os.MkdirTemp("", "taillab-redis-")
	if err != nil {
		return nil, err
	}
	p := &Process{Address: addr, path: path, port: port, dir: dir}
	if err := p.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return p, nil
}

// Port is the port of Address.
func (p *Process) Port() string { return p.port }

// Start starts the server again after Kill.
func (p *Process) Start() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	cmd := exec.Command(p.path, "--port", p.port, "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", p.dir, "--daemonize", "no", "--loglevel", "warning") // lives beyond any one call: Stop ends it
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("store: starting redis-server: %w", err)
	}
	done := make(chan struct{})
	go func() { _ = cmd.Wait(); close(done) }() // how it ended does not matter
	p.cmd, p.done = cmd, done
	return nil
}

// Kill ends the server at once, as a crash does; all its counters are lost.
func (p *Process) Kill() error { return p.signal(syscall.SIGKILL) }

// Stop ends the server and removes its folder.
func (p *Process) Stop() error {
	return errors.Join(p.signal(syscall.SIGTERM), os.RemoveAll(p.dir))
}

func (p *Process) signal(sig os.Signal) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := p.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		if err = p.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) { // signals are not everywhere
			return fmt.Errorf("store: ending redis-server %s: %w", strconv.Itoa(p.cmd.Process.Pid), err)
		}
	}
	select {
	case <-p.done:
	case <-time.After(5 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.done
	}
	return nil
}
