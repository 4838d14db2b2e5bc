package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"runtime": serveRuntime})
}

// serveRuntime is a program of the scripts: runtime HOST:PORT responds to /health.
func serveRuntime() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	server, err := lab.StartRuntime(os.Args[1])
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	<-ctx.Done()
	server.Stop()
}

// TestScripts runs whole command lines of the agent as it is released, with real
// processes, files, signals and sockets. Each script reads as documentation.
func TestScripts(t *testing.T) {
	binary, err := lab.Build(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	goldenJSON, err := filepath.Abs(filepath.Join("testdata", "json"))
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "script"),
		Setup: func(env *testscript.Env) error {
			env.Setenv("PATH", filepath.Dir(binary)+string(filepath.ListSeparator)+env.Getenv("PATH"))
			for _, name := range []string{"SANDBOX", "RUNTIME", "TELEMETRY", "CLOSED", "ADMIN"} {
				address, err := lab.FreeAddress()
				if err != nil {
					return err
				}
				env.Setenv(name, address)
			}
			env.Values[keptSecrets{}] = &[]string{}
			return secretFiles(env)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"until":            until,
			"send":             send,
			"expand":           expand,
			"active-agents":    activeAgents,
			"secrets":          secrets,
			"unseen":           unseen,
			"unseen-files":     unseenFiles,
			"unseen-processes": unseenProcesses,
			"revoke-active":    revokeActive,
			"json":             sameJSON(goldenJSON),
			"hangup":           signalled(syscall.SIGHUP),
			"quit":             signalled(syscall.SIGQUIT),
		},
	})
}

// secretFiles writes the key files of a robot maker.
func secretFiles(env *testscript.Env) error {
	files := map[string]string{
		"ctl.hex": "0x" + strings.Repeat("11", 32), "other.hex": "0x" + strings.Repeat("22", 32),
		"key": "platform-key-canary", "wrong": "not-the-key",
	}
	if err := lab.WriteSecrets(env.WorkDir, files); err != nil {
		return err
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

// signalled returns a script command that sends a signal to the agent with this
// status URL.
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

// until URL STATUS [TEXT] sends requests until the response has the status and the
// text, for at most 20 s.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until URL STATUS [TEXT]")
	}
	client := http.Client{Timeout: time.Second}
	var last string
	err := lab.UntilEvery(context.Background(), 50*time.Millisecond, 20*time.Second, strings.Join(args, " "), func() bool {
		last = ask(&client, args[0])
		return strings.HasPrefix(last, args[1]) && (len(args) < 3 || strings.Contains(last, args[2]))
	})
	if err != nil {
		ts.Fatalf("%v; the last response was %s", err, last)
	}
}

// ask returns "STATUS BODY" of a GET, or the error.
func ask(client *http.Client, url string) string {
	status, body, err := lab.Fetch(context.Background(), client, url)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", status, body)
}
