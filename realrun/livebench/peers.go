package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// vegeta sends at an even rate, open loop, as `vegeta attack` does.
func vegeta(ctx context.Context, w work) (outcome, error) {
	path, err := exec.LookPath("vegeta")
	if err != nil {
		return outcome{}, absent("vegeta")
	}
	results, cpu, err := call(ctx, []byte("POST "+w.URLs[0]+"\n"), path, "attack", fmt.Sprintf("-rate=%g", w.Rate), "-duration="+w.Length.String(),
		fmt.Sprintf("-connections=%d", 16_384), "-max-workers=16384", "-timeout=30s")
	if err != nil {
		return outcome{}, err
	}
	text, _, err := call(ctx, results, path, "report", "-type=json")
	if err != nil {
		return outcome{}, err
	}
	o, err := vegetaReport(text)
	o.Scheduled, o.CPU = int64(w.Rate*w.Length.Seconds()), cpu
	return o, err
}

// vegetaReport reads `vegeta report -type=json`; its times are in ns.
func vegetaReport(text []byte) (outcome, error) {
	var r struct {
		Latencies struct {
			P50 float64 `json:"50th"`
			P95 float64 `json:"95th"`
			P99 float64 `json:"99th"`
		} `json:"latencies"`
		StatusCodes map[string]int64 `json:"status_codes"`
	}
	if err := json.Unmarshal(text, &r); err != nil {
		return outcome{}, fmt.Errorf("vegeta's report cannot be read: %w", err)
	}
	return outcome{Completed: r.StatusCodes["200"], P50: r.Latencies.P50 / 1e6, P95: r.Latencies.P95 / 1e6, P99: r.Latencies.P99 / 1e6}, nil
}

// nginx starts one worker in front of backends; rule is its line in the upstream block.
func nginx(ctx context.Context, backends []string, rule string) (string, func(), error) {
	return proxy(ctx, "nginx", backends, func(dir, listen string, hosts []string) (string, []string) {
		var conf strings.Builder
		fmt.Fprintf(&conf, "daemon off;\nworker_processes 1;\npid %[1]s/pid;\nerror_log %[1]s/error.log;\nevents { worker_connections 8192; }\n"+
			"http {\naccess_log off;\nupstream backends {\nzone backends 256k;\n%[2]s\nkeepalive 512;\n", dir, rule)
		for _, h := range hosts {
			fmt.Fprintf(&conf, "server %s max_fails=0;\n", h)
		}
		conf.WriteString("}\n")
		for _, kind := range []string{"client_body", "proxy", "fastcgi", "uwsgi", "scgi"} {
			fmt.Fprintf(&conf, "%s_temp_path %s/%s;\n", kind, dir, kind)
		}
		fmt.Fprintf(&conf, "server {\nlisten %s;\nkeepalive_requests 1000000000;\nlocation / {\nproxy_pass http://backends;\nproxy_http_version 1.1;\nproxy_set_header Connection \"\";\n}\n}\n}\n", listen)
		return conf.String(), []string{"-p", dir, "-c", filepath.Join(dir, "conf"), "-e", filepath.Join(dir, "error.log")}
	})
}

// haproxy starts one thread in front of backends; rule is its way to balance.
func haproxy(ctx context.Context, backends []string, rule string) (string, func(), error) {
	return proxy(ctx, "haproxy", backends, func(dir, listen string, hosts []string) (string, []string) {
		var conf strings.Builder
		fmt.Fprintf(&conf, "global\n nbthread 1\n maxconn 8192\ndefaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n option http-keep-alive\n http-reuse always\n retries 0\n"+
			"frontend in\n bind %s\n default_backend out\nbackend out\n balance %s\n", listen, rule)
		for i, h := range hosts {
			fmt.Fprintf(&conf, " server s%d %s\n", i, h)
		}
		return conf.String(), []string{"-db", "-f", filepath.Join(dir, "conf")}
	})
}

// proxy starts a program with a configuration of its own and waits until it listens.
func proxy(ctx context.Context, name string, backends []string, configure func(dir, listen string, hosts []string) (conf string, args []string)) (string, func(), error) {
	path, err := exec.LookPath(name)
	if err != nil {
		return "", nil, absent(name)
	}
	var hosts []string
	for _, b := range backends {
		u, err := url.Parse(b)
		if err != nil {
			return "", nil, err
		}
		hosts = append(hosts, u.Host)
	}
	listen, err := freeAddress()
	if err != nil {
		return "", nil, err
	}
	dir, err := os.MkdirTemp("", "livebench")
	if err != nil {
		return "", nil, err
	}
	conf, args := configure(dir, listen, hosts)
	if err := os.WriteFile(filepath.Join(dir, "conf"), []byte(conf), 0o600); err != nil {
		return "", nil, err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	if err := cmd.Start(); err != nil {
		return "", nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	stop := func() {
		_ = cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		_ = os.RemoveAll(dir)
	}
	for try := 0; ; try++ {
		c, err := net.Dial("tcp", listen)
		if err == nil {
			_ = c.Close()
			return "http://" + listen, stop, nil
		}
		select {
		case err := <-ended:
			_ = os.RemoveAll(dir)
			return "", nil, fmt.Errorf("%s ended at once: %w", name, err)
		case <-time.After(20 * time.Millisecond):
		}
		if try == 250 {
			stop()
			return "", nil, fmt.Errorf("%s did not listen within 5s: %w", name, err)
		}
	}
}

// freeAddress is an address of this host where nothing listens.
func freeAddress() (string, error) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer ln.Close()
	return ln.Addr().String(), nil
}
