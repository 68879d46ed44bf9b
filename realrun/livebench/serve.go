package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"

	"taillab/realrun/emulator"
	"taillab/scenarios"
	"taillab/sim/gpu"
)

// servers says what a server process serves.
type servers struct {
	Count  int // replicas
	Slots  int // of each
	Slow   int // how many of them are half as fast
	Freeze bool
	Bare   bool // answer at once, with as little work as can be: for the CPU of a client
}

// A freeze stops the server for a tenth of the time.
const (
	freezeEvery = 5 * time.Second
	freezeFor   = 500 * time.Millisecond
)

// served is what a server process says when it is ready.
type served struct {
	URLs    []string
	Control string // GET gives truth
}

// truth is the servers' own time from arrival to reply, of all replicas.
type truth struct {
	Requests      int64
	P50, P95, P99 float64 // ms
}

// serve is the server process: it ends when its input does.
func serve(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(in)
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return err
	}
	var s servers
	if err := answer(line, &s); err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	go func() {
		_, _ = io.Copy(io.Discard, lines)
		stop()
	}()
	if s.Bare {
		return serveBare(ctx, out)
	}
	f, err := fleet(ctx, s)
	if err != nil {
		return err
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	control := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h := f.Truth()
		_ = json.NewEncoder(w).Encode(truth{h.Count(), h.Quantile(500) / 1e6, h.Quantile(950) / 1e6, h.Quantile(990) / 1e6})
	})}
	var wg sync.WaitGroup
	wg.Go(func() { _ = control.Serve(ln) }) // ends with ErrServerClosed
	if err := json.NewEncoder(out).Encode(served{f.URLs(), "http://" + ln.Addr().String()}); err != nil {
		return err
	}
	if s.Freeze {
		wg.Go(func() { freeze(ctx, f) })
	}
	<-ctx.Done()
	_ = control.Close()
	wg.Wait()
	return f.Close()
}

// fleet starts replicas whose requests take Exp(5 ms), twice that on the slow ones.
func fleet(ctx context.Context, s servers) (*emulator.Fleet, error) {
	spec := gpu.Defaults(gpu.Service)
	spec.Slots = s.Slots
	model, problems := gpu.New(spec)
	if len(problems) > 0 {
		return nil, problems[0]
	}
	cfg := emulator.Config{Seed: 1, Replicas: slices.Repeat([]emulator.Replica{{Model: model}}, s.Count)}
	for i := range s.Slow {
		cfg.Replicas[s.Count-1-i].Speed = 0.5
	}
	return emulator.Start(ctx, cfg)
}

// freeze stops all replicas again and again.
func freeze(ctx context.Context, f *emulator.Fleet) {
	on := true
	for at := time.NewTimer(freezeEvery / 2); ; on = !on {
		select {
		case <-ctx.Done():
			return
		case <-at.C:
		}
		_ = f.Fault(-1, scenarios.FaultFreeze, 0, 0, 0, on)
		at.Reset(map[bool]time.Duration{true: freezeFor, false: freezeEvery - freezeFor}[on])
	}
}

const bareReply = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"

// serveBare answers every request with the same bytes. It reads no more of HTTP than
// where a request with a body ends.
func serveBare(ctx context.Context, out io.Writer) error {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
	if err := json.NewEncoder(out).Encode(served{URLs: []string{"http://" + ln.Addr().String()}}); err != nil {
		return err
	}
	for {
		c, err := ln.Accept()
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		go bare(c)
	}
}

func bare(c net.Conn) {
	defer c.Close()
	in := bufio.NewReader(c)
	for {
		length := 0
		for {
			line, err := in.ReadSlice('\n')
			if err != nil {
				return
			}
			if len(line) <= 2 {
				break
			}
			if line[0] == 'C' || line[0] == 'c' {
				_, _ = fmt.Sscanf(string(line[1:]), "ontent-Length: %d", &length)
			}
		}
		if _, err := in.Discard(length); err != nil {
			return
		}
		if _, err := io.WriteString(c, bareReply); err != nil {
			return
		}
	}
}
