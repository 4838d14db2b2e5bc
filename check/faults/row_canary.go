package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
)

const proxyPassword = "canary-proxy-password-77d1"

// canaries enrolls, runs and breaks an agent with known secrets, and searches
// everything that leaves the process for them.
func canaries(h *harness, r *row) {
	for _, level := range []string{"debug", "info", "warn", "error"} {
		c, err := h.watchLevel(level)
		if err != nil {
			r.broken(fmt.Errorf("log level %s: %w", level, err))
			return
		}
		r.add(attempt{"an agent at log level " + level, len(c.names) >= 4, c.finding()})
		r.how = fmt.Sprintf("four agents, one at each log level; %d places each: argv and environment of enroll, run and rotate, "+
			"their output, errors, metrics, status, page, the state directory, the dumps of SIGQUIT and SIGABRT, "+
			"a core file if there is one", c.places)
	}
	c, err := h.watchProxy()
	if err != nil {
		r.broken(fmt.Errorf("proxy: %w", err))
		return
	}
	r.add(attempt{"through a proxy that redirects", len(c.names) >= 4, c.finding()})
	r.how += fmt.Sprintf(", requests of a proxied agent to another origin; canaries found %d times; "+
		"the journal is not searched: it gets what run prints", r.leaks)
}

// capture notes the tokens that the sandbox issues.
func (c *cage) capture(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if !strings.HasSuffix(r.URL.Path, "/agents/enrollment") {
		next.ServeHTTP(w, r)
		return
	}
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, r)
	var response struct {
		Item struct{ AgentToken string }
	}
	if json.Unmarshal(rec.Body.Bytes(), &response) == nil && response.Item.AgentToken != "" {
		c.add(response.Item.AgentToken, "a token")
	}
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.Code)
	_, _ = io.Copy(w, bytes.NewReader(rec.Body.Bytes()))
}

// watchLevel watches one agent at one log level.
func (h *harness) watchLevel(level string) (*cage, error) {
	address, err := lab.FreeAddress()
	if err != nil {
		return nil, err
	}
	w, err := h.newWorldAt("", address, "log: {level: "+level+"}")
	if err != nil {
		return nil, err
	}
	defer w.close()
	c := newCage()
	// The agent waits for the sandbox's response while its argv and environment are read.
	w.interpose(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		c.processes(w.config)
		c.capture(rw, r, next)
	})
	if err := c.capturePrinted(w, w.enrollArgs()); err != nil {
		return nil, err
	}
	if len(c.names) < 4 {
		return nil, fmt.Errorf("no token was captured")
	}
	for _, s := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGABRT} {
		if err := c.watchDaemon(w, address, s); err != nil {
			return nil, err
		}
	}
	if err := c.dumpCommand(w); err != nil {
		return nil, err
	}
	if err := c.errors(w); err != nil {
		return nil, err
	}
	return c, c.tree("the world's directory", filepath.Dir(w.config))
}

// processes searches argv and environment of every process of this world.
func (c *cage) processes(config string) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		argv, err := os.ReadFile(dir + "/cmdline")
		if err != nil || !bytes.Contains(argv, []byte(config)) {
			continue
		}
		environ, _ := os.ReadFile(dir + "/environ")
		c.look("argv", argv)
		c.look("the environment", environ)
	}
}

// capturePrinted runs a command and searches what it prints.
func (c *cage) capturePrinted(w *world, args []string) error {
	o, err := w.runCommand(nil, args...)
	c.look("standard output of "+args[0], []byte(o.Stdout))
	c.look("standard error of "+args[0], []byte(o.Stderr))
	return err
}

// watchDaemon runs the daemon, calls every command and page, rotates, and ends the
// daemon with a signal that makes it print its goroutines; a core file is allowed.
func (c *cage) watchDaemon(w *world, address string, end syscall.Signal) error {
	d, err := w.run("GODEBUG=http2debug=2,netdns=2", "GOTRACEBACK=crash")
	if err != nil {
		return err
	}
	defer d.kill()
	if err := w.untilAdmin(); err != nil {
		return err
	}
	limits, _ := os.ReadFile(fmt.Sprintf("/proc/%d/limits", d.PID))
	if !bytes.Contains(limits, []byte("Max core file size        0")) {
		c.sighted = append(c.sighted, "run may write a core file")
	}
	if err := lab.Until(w.faults.ctx, 15*time.Second, "a heartbeat", func() bool {
		b, _ := fetch(w.faults.ctx, "http://"+address+"/readyz")
		return strings.Contains(b, "ready")
	}); err != nil {
		return err
	}
	commands := [][]string{
		w.rotateArgs(), w.enrollArgs(),
		{"status"},
		{"status", "--json"},
		{"config", "show"},
		{"config", "show", "--origin"},
		{"identity", "show"},
		{"endpoints", "check"},
	}
	for _, args := range commands {
		if err := c.capturePrinted(w, args); err != nil {
			return err
		}
	}
	for _, path := range []string{"/", "/metrics", "/status", "/readyz", "/healthz"} {
		b, err := fetch(w.faults.ctx, "http://"+address+path)
		if err != nil {
			return err
		}
		c.look("GET "+path, []byte(b))
	}
	c.processes(w.config)
	d.end(end)
	if !strings.Contains(d.Output.String(), "goroutine ") {
		return fmt.Errorf("%s printed no goroutines", end)
	}
	c.look("the output of run, with the dump of "+end.String(), []byte(d.Output.String()))
	return nil
}

// dumpCommand aborts an enroll while it holds the API key; a core file is allowed.
func (c *cage) dumpCommand(w *world) error {
	reached := make(chan struct{}, 1)
	release := make(chan struct{})
	w.interpose(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		select {
		case reached <- struct{}{}:
			<-release
		default:
		}
		next.ServeHTTP(rw, r)
	})
	defer w.interpose(nil)
	shell := []string{"sh", "-c", `ulimit -c unlimited; exec "$@"`, "sh"}
	cmd := w.command(w.faults.ctx, shell, w.enrollArgs()...)
	cmd.Env = append(cmd.Env, "GOTRACEBACK=crash")
	cmd.Dir = filepath.Dir(w.config)
	out := &lab.Output{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		close(release)
		return err
	}
	<-reached
	err := cmd.Process.Signal(syscall.SIGABRT)
	_ = cmd.Wait()
	close(release)
	c.look("the output of enroll, with its dump", []byte(out.String()))
	return err
}

// errors makes commands fail in ways that could quote their input.
func (c *cage) errors(w *world) error {
	dir := filepath.Dir(w.config)
	wrong := filepath.Join(dir, "wrong")
	files := map[string]string{
		wrong + "1": lab.APIKey + " " + lab.APIKey + "\n", // two words
		wrong + "2": lab.ControllerKey + "00\n",           // too long
		wrong + "3": `{"crypto": "` + lab.ControllerKey + `"}`,
	}
	for path, content := range files {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return err
		}
		defer os.Remove(path)
	}
	for _, args := range [][]string{
		{"enroll", "--identity-ref", "did:peaq:42", "--api-key-file", wrong + "1"},
		{"enroll", "--identity-ref", "did:peaq:42", "--api-key-file", w.faults.lab.APIKeyFile, "--controller-key-file", wrong + "2"},
		{
			"enroll", "--identity-ref", "did:peaq:43",
			"--api-key-file", w.faults.lab.APIKeyFile, "--controller-key-file", w.faults.lab.ControllerKeyFile,
		},
		{"identity", "import", wrong + "2"},
		{"identity", "import", wrong + "3"},
		{"identity", "import", wrong + "1"},
		{"identity", "prove", "--challenge-file", wrong + "3"},
	} {
		if err := c.capturePrinted(w, args); err != nil {
			return err
		}
	}
	return nil
}

// watchProxy enrolls through a proxy whose address contains a password; then the
// proxy responds with redirects to another origin, and what is sent there is searched.
func (h *harness) watchProxy() (*cage, error) {
	w, err := h.newWorld("")
	if err != nil {
		return nil, err
	}
	defer w.close()
	machine, err := w.enroll() // directly: no challenge is signed over plain http
	if err != nil {
		return nil, err
	}
	if err := w.behindProxy(); err != nil {
		return nil, err
	}
	enroll := []string{"enroll", "--machine-id", machine.MachineID, "--api-key-file", h.lab.APIKeyFile, "--json"}
	c := newCage()
	redirecting := false
	w.interpose(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.URL.Host != "orchestrator.test" {
			all, _ := io.ReadAll(r.Body)
			c.look("a request to "+r.Host, append([]byte(fmt.Sprint(r.URL, r.Header)), all...))
			c.sighted = append(c.sighted, "a request went to "+r.Host)
			return
		}
		if redirecting {
			rw.Header().Set("Location", "http://elsewhere.test"+r.URL.Path)
			rw.WriteHeader(http.StatusTemporaryRedirect)
			return
		}
		c.capture(rw, r, next)
	})
	proxied := func(args []string) (lab.Outcome, error) {
		cmd := w.command(h.ctx, nil, args...)
		cmd.Env = append(cmd.Env, "HTTP_PROXY=http://robot:"+proxyPassword+"@"+strings.TrimPrefix(w.origin, "http://"))
		o, err := lab.Run(cmd)
		c.look("the output of "+args[0]+" behind the proxy", []byte(o.Stdout+o.Stderr))
		return o, err
	}
	o, err := proxied(enroll)
	if err != nil || o.Exit != 0 || len(c.names) < 4 {
		return nil, fmt.Errorf("enroll behind a proxy: %s, %w", o, err)
	}
	redirecting = true
	for _, args := range [][]string{enroll, w.rotateArgs(), {"status"}, {"config", "show"}} {
		if _, err := proxied(args); err != nil {
			return nil, err
		}
	}
	if err := w.server.Close(); err != nil { // the error names a proxy that does not listen
		return nil, err
	}
	_, err = proxied(append(enroll, "--force"))
	return c, err
}

// behindProxy gives the world a second store, whose orchestrator has a name that
// only a proxy can reach: the world itself is that proxy.
func (w *world) behindProxy() error {
	w.state = filepath.Join(filepath.Dir(w.config), "proxied")
	if err := os.Mkdir(w.state, 0o700); err != nil {
		return err
	}
	return w.writeConfig(lab.Config{Orchestrator: "http://orchestrator.test", OrchestratorKeys: "allow_plain_http: true"})
}

// fetch returns the body of a GET.
func fetch(ctx context.Context, url string) (string, error) {
	_, body, err := lab.Fetch(ctx, http.DefaultClient, url)
	return body, err
}
