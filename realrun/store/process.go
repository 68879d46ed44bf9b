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
)

// inside is a server in this process.
type inside struct{ *miniredis.Miniredis }

// Kill implements process.
func (i inside) Kill() error {
	i.Close()
	i.FlushAll()
	return nil
}

// Start implements process: it listens where it did.
func (i inside) Start() error { return i.Restart() }

// Process is a redis-server that this program started. It keeps nothing on disk.
type Process struct {
	Address string

	path, port, dir string
	mu              sync.Mutex
	cmd             *exec.Cmd
	done            chan struct{}
	stopped         bool
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
	if p.stopped {
		return fmt.Errorf("store: the redis-server at %s was stopped for good", p.Address)
	}
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

// Stop ends the server for good and removes its folder.
func (p *Process) Stop() error {
	p.mu.Lock()
	p.stopped = true
	p.mu.Unlock()
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
