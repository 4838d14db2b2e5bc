package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"peaqos-agent": main,
		"runtime":      serveHealth,
	})
}

// serveHealth is a program of the scripts: runtime HOST:PORT answers /health.
func serveHealth() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health", func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprintln(w, "ok") })
	server := &http.Server{Addr: os.Args[1], Handler: mux, ReadHeaderTimeout: time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	_ = server.ListenAndServe()
}

// TestScripts runs whole command lines, with real processes, files, signals and
// sockets. Each script reads as documentation.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			for _, name := range []string{"SANDBOX", "RUNTIME", "TELEMETRY", "CLOSED", "ADMIN"} {
				l, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					return err
				}
				env.Setenv(name, l.Addr().String())
				if err := l.Close(); err != nil {
					return err
				}
			}
			env.Values[keptSecrets{}] = &[]string{}
			return secretFiles(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"until":            until,
			"send":             send,
			"expand":           expand,
			"living":           living,
			"secrets":          secrets,
			"unseen":           unseen,
			"unseen-files":     unseenFiles,
			"unseen-processes": unseenProcesses,
			"revoke-living":    revokeLiving,
			"hangup":           signalled(syscall.SIGHUP),
			"quit":             signalled(syscall.SIGQUIT),
		},
	})
}

// secretFiles lays out what a robot maker has at hand.
func secretFiles(env *testscript.Env) error {
	for name, content := range map[string]string{
		"ctl.hex": "0x" + strings.Repeat("11", 32), "other.hex": "0x" + strings.Repeat("22", 32), "key": "platform-key-canary", "wrong": "not-the-key",
	} {
		if err := os.WriteFile(filepath.Join(env.WorkDir, name), []byte(content+"\n"), 0o600); err != nil {
			return err
		}
	}
	return os.Mkdir(filepath.Join(env.WorkDir, "state"), 0o700)
}

// expand replaces $NAME in files by the script's variables.
func expand(ts *testscript.TestScript, _ bool, files []string) {
	for _, f := range files {
		text := os.Expand(ts.ReadFile(f), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(f), []byte(text), 0o600))
	}
}

// signalled makes a command that sends a signal to the agent with this status URL.
func signalled(sig syscall.Signal) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, neg bool, args []string) {
		if neg || len(args) != 1 {
			ts.Fatalf("usage: hangup|quit URL")
		}
		_, body, _ := strings.Cut(ask(&http.Client{Timeout: 5 * time.Second}, args[0]), " ")
		var status struct{ PID int }
		ts.Check(json.Unmarshal([]byte(body), &status))
		ts.Check(syscall.Kill(status.PID, sig))
	}
}

// send METHOD URL [BODY] expects a 2xx.
func send(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: send METHOD URL [BODY]")
	}
	req, err := http.NewRequest(args[0], args[1], strings.NewReader(strings.Join(args[2:], " ")))
	ts.Check(err)
	res, err := (&http.Client{Timeout: 5 * time.Second}).Do(req)
	ts.Check(err)
	ts.Check(res.Body.Close())
	if res.StatusCode/100 != 2 {
		ts.Fatalf("%v: %s", args, res.Status)
	}
}

// until URL STATUS [TEXT] asks until the answer has the status and the text, for
// at most 20 s.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until URL STATUS [TEXT]")
	}
	client := http.Client{Timeout: time.Second}
	var last string
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		last = ask(&client, args[0])
		if strings.HasPrefix(last, args[1]) && (len(args) < 3 || strings.Contains(last, args[2])) {
			return
		}
		select {
		case <-deadline.C:
			ts.Fatalf("waited in vain for %v; the last answer was %s", args, last)
		case <-tick.C:
		}
	}
}

func ask(client *http.Client, url string) string {
	res, err := client.Get(url)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	var b strings.Builder
	fmt.Fprintf(&b, "%d ", res.StatusCode)
	buf := make([]byte, 64<<10)
	for {
		n, err := res.Body.Read(buf)
		b.Write(buf[:n])
		if err != nil {
			return b.String()
		}
	}
}
