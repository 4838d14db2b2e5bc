package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

const proxyPassword = "canary-proxy-password-77d1"

// canaries enrolls, runs and breaks an agent with secrets that are known, and
// searches all that leaves the process for them.
func canaries(l *lab, r *row) {
	for _, level := range []string{"debug", "info", "warn", "error"} {
		c, err := l.watchLife(level)
		if err != nil {
			r.broken(fmt.Errorf("log level %s: %w", level, err))
			return
		}
		r.add(fmt.Sprintf("a life at log level %s", level), c.finding())
		r.how = fmt.Sprintf("four lives, one at each log level; %d places each: argv and environment of enroll, run and rotate, all they print, errors, metrics, status, page, the state directory, the dumps of SIGQUIT and SIGABRT, a core file where one appears", c.places)
	}
	c, err := l.watchProxy()
	if err != nil {
		r.broken(fmt.Errorf("proxy: %w", err))
		return
	}
	r.add("through a proxy that redirects", c.finding())
	r.how += fmt.Sprintf(", requests of a proxied agent to another origin; canaries found %d times; the journal is not searched: what goes there is what run prints", r.leaks)
}

// capture notes the tokens that the sandbox gives out.
func (c *cage) capture(w http.ResponseWriter, r *http.Request, next http.Handler) {
	if !strings.HasSuffix(r.URL.Path, "/agents/enrollment") {
		next.ServeHTTP(w, r)
		return
	}
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, r)
	var answer struct {
		Item struct{ AgentToken string }
	}
	if json.Unmarshal(rec.Body.Bytes(), &answer) == nil && answer.Item.AgentToken != "" {
		c.add(answer.Item.AgentToken, "a token")
	}
	for k, v := range rec.Header() {
		w.Header()[k] = v
	}
	w.WriteHeader(rec.Code)
	_, _ = io.Copy(w, bytes.NewReader(rec.Body.Bytes()))
}

// watchLife is one life at one log level.
func (l *lab) watchLife(level string) (*cage, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	w, err := l.newWorld("", `telemetry: {listen: "`+address+`"}`, "log: {level: "+level+"}")
	if err != nil {
		return nil, err
	}
	defer w.close()
	c := newCage()
	// The agent waits at the sandbox's door while its argv and environment are read.
	w.interpose(func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		c.processes(w.config)
		c.capture(rw, r, next)
	})
	if err := c.listen(w, w.enrollArgs()); err != nil {
		return nil, err
	}
	if len(c.names) < 4 {
		return nil, fmt.Errorf("no token was captured")
	}
	for _, s := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGABRT} {
		if err := c.daemonLife(w, address, s); err != nil {
			return nil, err
		}
	}
	if err := c.dumpVerb(w); err != nil {
		return nil, err
	}
	if err := c.errors(w); err != nil {
		return nil, err
	}
	return c, c.tree("the world's directory", filepath.Dir(w.config))
}

// processes looks at argv and environment of every process of this world.
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

// listen runs a verb and looks at what it prints.
func (c *cage) listen(w *world, args []string) error {
	o, err := w.verb(nil, args...)
	c.look("standard output of "+args[0], []byte(o.stdout))
	c.look("standard error of "+args[0], []byte(o.stderr))
	return err
}

// daemonLife runs the daemon, asks it everything, rotates, and ends it with a
// signal that makes it print its goroutines, a core file allowed.
func (c *cage) daemonLife(w *world, address string, end syscall.Signal) error {
	d, err := w.run("GODEBUG=http2debug=2,netdns=2", "GOTRACEBACK=crash")
	if err != nil {
		return err
	}
	defer d.kill()
	if err := w.answersAdmin(); err != nil {
		return err
	}
	limits, _ := os.ReadFile(fmt.Sprintf("/proc/%d/limits", d.cmd.Process.Pid))
	if !bytes.Contains(limits, []byte("Max core file size        0")) {
		c.sighted = append(c.sighted, "run may write a core file")
	}
	if err := until(w.lab.ctx, 15*time.Second, "a beat", func() bool {
		b, _ := fetch(w.lab.ctx, "http://"+address+"/readyz")
		return strings.Contains(b, "ready")
	}); err != nil {
		return err
	}
	verbs := [][]string{
		w.rotateArgs(), w.enrollArgs(),
		{"status"},
		{"status", "--json"},
		{"config", "show"},
		{"config", "show", "--origin"},
		{"identity", "show"},
		{"endpoints", "check"},
	}
	for _, args := range verbs {
		if err := c.listen(w, args); err != nil {
			return err
		}
	}
	for _, path := range []string{"/", "/metrics", "/status", "/readyz", "/healthz"} {
		b, err := fetch(w.lab.ctx, "http://"+address+path)
		if err != nil {
			return err
		}
		c.look("GET "+path, []byte(b))
	}
	c.processes(w.config)
	d.signal(end)
	if !strings.Contains(d.out.String(), "goroutine ") {
		return fmt.Errorf("%s printed no goroutines", end)
	}
	c.look("what run printed, with the dump of "+end.String(), []byte(d.out.String()))
	return nil
}

// dumpVerb ends an enroll that holds the API key in the middle, a core allowed.
func (c *cage) dumpVerb(w *world) error {
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
	cmd := w.command(w.lab.ctx, shell, w.enrollArgs()...)
	cmd.Env = append(cmd.Env, "GOTRACEBACK=crash")
	cmd.Dir = filepath.Dir(w.config)
	out := &output{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		close(release)
		return err
	}
	<-reached
	err := cmd.Process.Signal(syscall.SIGABRT)
	_ = cmd.Wait()
	close(release)
	c.look("what enroll printed, with its dump", []byte(out.String()))
	return err
}

// errors makes the verbs fail in ways that quote what they were given.
func (c *cage) errors(w *world) error {
	dir := filepath.Dir(w.config)
	wrong := filepath.Join(dir, "wrong")
	files := map[string]string{
		wrong + "1": apiKey + " " + apiKey + "\n", // two words
		wrong + "2": controllerKey + "00\n",       // too long
		wrong + "3": `{"crypto": "` + controllerKey + `"}`,
	}
	for path, content := range files {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return err
		}
		defer os.Remove(path)
	}
	for _, args := range [][]string{
		{"enroll", "--identity-ref", "did:peaq:42", "--api-key-file", wrong + "1"},
		{"enroll", "--identity-ref", "did:peaq:42", "--api-key-file", w.lab.keyFile, "--controller-key-file", wrong + "2"},
		{"enroll", "--identity-ref", "did:peaq:43", "--api-key-file", w.lab.keyFile, "--controller-key-file", w.lab.ctlFile},
		{"identity", "import", wrong + "2"},
		{"identity", "import", wrong + "3"},
		{"identity", "import", wrong + "1"},
		{"identity", "prove", "--challenge-file", wrong + "3"},
	} {
		if err := c.listen(w, args); err != nil {
			return err
		}
	}
	return nil
}

// watchProxy enrolls through a proxy whose address holds a password; then the
// proxy answers with redirects to another origin, and looks at what goes there.
func (l *lab) watchProxy() (*cage, error) {
	w, err := l.newWorld("")
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
	enroll := []string{"enroll", "--machine-id", machine.MachineID, "--api-key-file", l.keyFile, "--json"}
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
	proxied := func(args []string) (outcome, error) {
		cmd := w.command(l.ctx, nil, args...)
		cmd.Env = append(cmd.Env, "HTTP_PROXY=http://robot:"+proxyPassword+"@"+strings.TrimPrefix(w.origin, "http://"))
		o, err := finish(cmd)
		c.look("what "+args[0]+" printed behind the proxy", []byte(o.stdout+o.stderr))
		return o, err
	}
	o, err := proxied(enroll)
	if err != nil || o.exit != 0 || len(c.names) < 4 {
		return nil, fmt.Errorf("enroll behind a proxy: %s, %w", o, err)
	}
	redirecting = true
	for _, args := range [][]string{enroll, w.rotateArgs(), {"status"}, {"config", "show"}} {
		if _, err := proxied(args); err != nil {
			return nil, err
		}
	}
	if err := w.server.Close(); err != nil { // a proxy that is gone is named in an error
		return nil, err
	}
	_, err = proxied(append(enroll, "--force"))
	return c, err
}

// behindProxy gives the world a second store, whose orchestrator has a name that
// only a proxy can reach: the world itself is that proxy.
func (w *world) behindProxy() error {
	text, err := os.ReadFile(w.config)
	if err != nil {
		return err
	}
	former := w.state
	w.state = filepath.Join(filepath.Dir(w.config), "proxied")
	changed := strings.Replace(string(text), `orchestrator: {url: "`+w.origin+`"}`, `orchestrator: {url: "http://orchestrator.test", allow_plain_http: true}`, 1)
	changed = strings.Replace(changed, former, w.state, 1)
	return errors.Join(os.Mkdir(w.state, 0o700), os.WriteFile(w.config, []byte(changed), 0o600))
}
