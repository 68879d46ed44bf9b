package actuator

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Port stands for the port of a server in the arguments of its command.
const Port = "{port}"

// process is a Server in a child process.
type process struct {
	cmd   *exec.Cmd
	url   string
	asked atomic.Bool // to end
	done  chan struct{}
	says  tail
}

// Command starts a server as a child process: of argv each {port} is replaced by a free
// port of this machine, where the server is to listen. There is no shell. note is told
// what the child said last when it fails unasked; nil = nobody.
func Command(argv []string, note func(text string)) (Server, error) {
	if len(argv) == 0 {
		return nil, errors.New("the command of a server is empty")
	}
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	args := make([]string, len(argv))
	for i, a := range argv {
		args[i] = strings.ReplaceAll(a, Port, strconv.Itoa(port))
	}
	p := &process{cmd: exec.Command(args[0], args[1:]...), url: "http://127.0.0.1:" + strconv.Itoa(port), done: make(chan struct{})}
	p.cmd.Stderr = &p.says
	p.cmd.WaitDelay = time.Second // a grandchild may hold the pipe
	own(p.cmd)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("the server %s cannot be started: %w", args[0], err)
	}
	go func() {
		defer close(p.done)
		err := p.cmd.Wait()
		var exit *exec.ExitError
		if note != nil && !p.asked.Load() && errors.As(err, &exit) && exit.Exited() && exit.ExitCode() != 0 {
			note(fmt.Sprintf("%s ended with code %d: %s", args[0], exit.ExitCode(), p.says.last()))
		}
	}()
	return p, nil
}

// URL implements Server.
func (p *process) URL() string { return p.url }

// Stop implements Server.
func (p *process) Stop() { p.send(terminate) }

// Kill implements Server.
func (p *process) Kill() { p.send(kill) }

// Done implements Server.
func (p *process) Done() <-chan struct{} { return p.done }

// send does something to the child, unless it has ended: its number may be somebody
// else's by then.
func (p *process) send(what func(*exec.Cmd)) {
	p.asked.Store(true)
	select {
	case <-p.done:
	default:
		what(p.cmd)
	}
}

// freePort finds a port that nobody listens at. Another program may take it before the
// child does; then the child ends, and its slot is tried again.
func freePort() (int, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	port := ln.Addr().(*net.TCPAddr).Port
	return port, ln.Close()
}

// tail keeps the end of what a child says.
type tail struct {
	mu  sync.Mutex
	buf []byte
}

const tailBytes = 4 << 10

func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.buf = append(t.buf, b...)
	if n := len(t.buf) - tailBytes; n > 0 {
		t.buf = append(t.buf[:0], t.buf[n:]...)
	}
	return len(b), nil
}

// last is its last line.
func (t *tail) last() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	lines := bytes.Split(bytes.TrimSpace(t.buf), []byte("\n"))
	return string(lines[len(lines)-1])
}
