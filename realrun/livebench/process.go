package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"
)

// server is a running server process.
type server struct {
	served
	cmd *exec.Cmd
	in  io.Closer
}

// startServer starts this program as a server.
func startServer(ctx context.Context, s servers) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(ctx, self, roleServe)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	p := &server{cmd: cmd, in: in}
	if err := errors.Join(json.NewEncoder(in).Encode(s), json.NewDecoder(out).Decode(&p.served)); err != nil {
		p.stop()
		return nil, fmt.Errorf("the server did not start: %w", err)
	}
	return p, nil
}

// stop ends the server.
func (p *server) stop() {
	_ = p.in.Close() // it ends when its input does
	_ = p.cmd.Wait()
}

// truth asks the servers for their own times.
func (p *server) truth(ctx context.Context) (truth, error) {
	var t truth
	q, err := http.NewRequestWithContext(ctx, http.MethodGet, p.Control, nil)
	if err != nil {
		return t, err
	}
	resp, err := http.DefaultClient.Do(q)
	if err != nil {
		return t, err
	}
	defer resp.Body.Close()
	return t, json.NewDecoder(resp.Body).Decode(&t)
}

// driveIn runs our driver in a process of its own.
func driveIn(ctx context.Context, w work) (outcome, error) {
	self, err := os.Executable()
	if err != nil {
		return outcome{}, err
	}
	text, err := json.Marshal(w)
	if err != nil {
		return outcome{}, err
	}
	var o outcome
	out, cpu, err := call(ctx, text, self, roleDrive)
	if err != nil {
		return o, err
	}
	err = answer(out, &o)
	o.CPU = cpu
	return o, err
}

// call runs a program to its end and tells the CPU it took.
func call(ctx context.Context, in []byte, name string, args ...string) (out []byte, cpu time.Duration, err error) {
	cmd := exec.CommandContext(ctx, name, args...)
	var said, wrong bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(in), &said, &wrong
	if err := cmd.Run(); err != nil {
		return nil, 0, fmt.Errorf("%s: %w: %.400s", name, err, wrong.Bytes())
	}
	return said.Bytes(), cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime(), nil
}

// machine says where the figures are from.
func machine(ctx context.Context) string {
	commit := "unknown"
	if out, _, err := call(ctx, nil, "git", "rev-parse", "--short=12", "HEAD"); err == nil {
		commit = strings.TrimSpace(string(out))
	}
	text := fmt.Sprintf("%s/%s, %d cores, %s, commit %s", runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.Version(), commit)
	if load, err := os.ReadFile("/proc/loadavg"); err == nil {
		text += ", load average before " + strings.Join(strings.Fields(string(load))[:1], "")
	}
	return text
}
