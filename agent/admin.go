package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// The admin socket is how a command changes the store while the daemon owns it: HTTP
// on a unix socket, for root and the service's own user only, as the kernel reports
// the caller. admin_client.go is the side of the command.
//
// A command is one POST with one JSON object. Its response is a sequence of JSON
// objects, one a line: any number with "progress", as the command proceeds, then one
// with "result" or "error". When the caller disconnects, the command is canceled.

const (
	adminSocket = "admin.sock"
	// adminBody is the largest request in bytes: a grant or two secrets, and some names.
	adminBody = 16 << 10
	// commandLimit is the longest time that one command takes, on a slow link as well.
	commandLimit = 4 * time.Minute
	// progressLimit and progressBytes bound the progress of one command. It has about ten
	// lines; the longest one holds the text that is signed, escaped.
	progressLimit = 100
	progressBytes = 12 * maxChallenge
	// writeLimit is how long a caller may take to read one line.
	writeLimit = 10 * time.Second
)

// adminHello identifies the agent, so that a command with another configuration does
// not change the wrong store.
type adminHello struct {
	Dir     string `json:"dir"`
	Origin  string `json:"origin"`
	Version string `json:"version"`
	PID     int    `json:"pid"`
	// Device and Inode are those of Dir, which each process may spell in its own way.
	Device uint64 `json:"device"`
	Inode  uint64 `json:"inode"`
}

// adminLine is one line of the response to a command; one member is set.
type adminLine struct {
	Progress string          `json:"progress,omitempty"`
	Result   json.RawMessage `json:"result,omitempty"`
	Error    *status.Problem `json:"error,omitempty"`
}

// emptyRequest is the request of a command without parameters.
type emptyRequest struct{}

// adminAddress is the result of storing a controller key.
type adminAddress struct {
	Address string `json:"address"`
}

// commands are the commands on the socket, by path.
func (a *Agent) commands() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"/v1/enroll": command(func(ctx context.Context, in *EnrollRequest, progress func(string)) (EnrollResult, error) {
			if in.Controller != nil {
				defer in.Controller.Wipe()
			}
			return a.Enroll(ctx, *in, progress)
		}),
		"/v1/rotate": command(func(ctx context.Context, in *RotateRequest, progress func(string)) (RotateResult, error) {
			return a.Rotate(ctx, *in, progress)
		}),
		"/v1/grant": command(func(ctx context.Context, in *GrantRequest, progress func(string)) (EnrollResult, error) {
			return a.TakeGrant(ctx, *in, progress)
		}),
		"/v1/unenroll": command(func(ctx context.Context, in *LeaveRequest, progress func(string)) (LeaveResult, error) {
			return a.Unenroll(ctx, *in, progress)
		}),
		"/v1/reset-identity": command(func(ctx context.Context, in *ResetRequest, progress func(string)) (LeaveResult, error) {
			return a.ResetIdentity(ctx, *in, progress)
		}),
		"/v1/adopt": command(func(ctx context.Context, _ *emptyRequest, progress func(string)) (AdoptResult, error) {
			return a.Adopt(ctx, progress)
		}),
		"/v1/reload": command(func(ctx context.Context, _ *emptyRequest, _ func(string)) (ReloadResult, error) {
			return a.reloadNow(ctx)
		}),
		"/v1/identity/show": command(func(ctx context.Context, _ *emptyRequest, _ func(string)) ([]Identity, error) {
			return a.Identities(ctx)
		}),
		"/v1/identity/import": command(func(ctx context.Context, in *keyMessage, _ func(string)) (adminAddress, error) {
			if in.key == nil {
				return adminAddress{}, keystore.ErrBadKey
			}
			defer in.key.Wipe()
			address, err := a.PutController(ctx, in.key)
			return adminAddress{address}, err
		}),
		"/v1/identity/export": command(func(ctx context.Context, _ *emptyRequest, _ func(string)) (keyMessage, error) {
			key, err := a.ControllerKey(ctx)
			if err == nil {
				context.AfterFunc(ctx, key.Wipe) // when the response is written
			}
			return keyMessage{key}, err
		}),
		"/v1/identity/prove": command(func(ctx context.Context, in *ProveRequest, _ func(string)) (Proof, error) {
			return a.Prove(ctx, *in)
		}),
		"/v1/presence/sign-opt-in": command(func(ctx context.Context, in *adminOptIn, _ func(string)) (string, error) {
			return a.SignOptIn(ctx, in.Machine, []byte(in.Message))
		}),
		"/v1/find-secrets": command(func(ctx context.Context, in *adminText, _ func(string)) (SecretSearch, error) {
			return a.FindSecrets(ctx, in.Text)
		}),
		"/v1/seal": command(func(ctx context.Context, in *SealRequest, _ func(string)) (SealResult, error) {
			defer in.Credential.Wipe()
			defer in.Recovery.Wipe()
			return a.Reseal(ctx, *in)
		}),
	}
}

// command returns the handler of one command: it reads the request, runs the command
// until it ends, the caller disconnects or commandLimit has passed, and writes its
// progress and its result or error.
func command[In, Out any](run func(context.Context, *In, func(string)) (Out, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s := &adminStream{w: w, control: http.NewResponseController(w)}
		in := new(In)
		if err := readRequest(w, r, in); err != nil {
			s.fail(err)
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), commandLimit)
		defer cancel()
		out, err := run(ctx, in, s.progress)
		if err != nil {
			s.fail(err)
			return
		}
		result, err := json.Marshal(onSocket(&out))
		if err != nil {
			s.fail(err)
			return
		}
		s.send(http.StatusOK, adminLine{Result: result})
		clear(result)
	}
}

// readRequest decodes one bounded JSON object, with its secrets. It reads the body to
// its end: only then the server notices that the caller disconnects.
func readRequest(w http.ResponseWriter, r *http.Request, in any) error {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, adminBody))
	defer clear(body)
	if err != nil {
		return status.NewProblem(status.CodeBadRequest, "")
	}
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	err = dec.Decode(onSocket(in))
	var secret *wireSecretError
	switch {
	case errors.As(err, &secret):
		return secret.err
	case err != nil || dec.More():
		return status.NewProblem(status.CodeBadRequest, "")
	}
	return nil
}

// onSocket returns what encodes a message for the socket, or decodes into it.
func onSocket(message any) any {
	if m, ok := message.(wireRequest); ok {
		return m.onSocket()
	}
	return message
}

// adminStream writes the response to a command.
type adminStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	lines   int
}

func (s *adminStream) progress(line string) {
	if len(line) > progressBytes {
		line = line[:progressBytes]
	}
	if s.lines < progressLimit {
		s.send(http.StatusOK, adminLine{Progress: line})
	}
}

func (s *adminStream) fail(err error) {
	s.send(http.StatusUnprocessableEntity, adminLine{Error: Explain(err)})
}

// send writes one line at once. httpStatus is that of the response if this is its first
// line. A line that cannot be written is dropped: the caller is gone, or does not
// read.
func (s *adminStream) send(httpStatus int, line adminLine) {
	if s.lines == 0 {
		s.w.Header().Set("Content-Type", "application/x-ndjson")
		s.w.WriteHeader(httpStatus)
	}
	s.lines++
	_ = s.control.SetWriteDeadline(time.Now().Add(writeLimit))
	if json.NewEncoder(s.w).Encode(line) == nil {
		_ = s.control.Flush()
	}
}

// adminPath is where this process binds its socket: in systemd's runtime directory if
// there is one, otherwise in the directory of the store.
func adminPath(dir string, getenv func(string) string) string {
	if run := getenv("RUNTIME_DIRECTORY"); filepath.IsAbs(run) {
		return filepath.Join(run, adminSocket)
	}
	return filepath.Join(dir, adminSocket)
}

// listenAdmin binds the socket. Because this process holds the store's lock, a socket
// file that exists already is not in use.
func listenAdmin(path string) (net.Listener, error) {
	short, closeDir, err := shortPath(path)
	if err != nil {
		return nil, err
	}
	defer closeDir()
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", short)
	if err != nil {
		return nil, err
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false) // short may name a closed descriptor by then
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// bindAdmin returns the socket, or nil. Without one no command can change the store;
// that is logged and shown in the status, and does not affect heartbeats.
func (a *Agent) bindAdmin() net.Listener {
	if a.opts.NoAdmin {
		return nil
	}
	path := adminPath(a.cfg.Keystore.Dir, os.Getenv)
	l, err := listenAdmin(path)
	if err != nil {
		fault := fmt.Sprintf("the admin socket cannot be bound, so commands cannot reach this agent (%v); "+
			"check that %s is writable, then restart", err, filepath.Dir(path))
		a.state.UpdateProcess(func(s *status.Process) { s.AdminFault = fault })
		a.log.Error(fault, code(status.CodeAdminSocket))
		return nil
	}
	if link := filepath.Join(a.cfg.Keystore.Dir, adminSocket); link != path {
		// Commands find the socket from the store, whatever the runtime directory is. A
		// command that cannot still tries the usual one.
		_ = os.Remove(link)
		_ = os.Symlink(path, link)
	}
	return l
}

// shortPath works around the limit of 108 bytes for a unix address: a long path is
// reached through an open descriptor of its directory.
func shortPath(path string) (string, func(), error) {
	if len(path) < 100 {
		return path, func() {}, nil
	}
	fd, err := unix.Open(filepath.Dir(path), unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", nil, &os.PathError{Op: "open", Path: filepath.Dir(path), Err: err}
	}
	return filepath.Join("/proc/self/fd", strconv.Itoa(fd), filepath.Base(path)), func() { _ = unix.Close(fd) }, nil
}

// callerKey is the context key of the peer's user id.
type callerKey struct{}

func (a *Agent) serveAdmin(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/hello", func(w http.ResponseWriter, _ *http.Request) {
		device, inode := directoryID(a.cfg.Keystore.Dir)
		respond(w, adminHello{a.cfg.Keystore.Dir, a.origin, a.opts.Version, os.Getpid(), device, inode})
	})
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { respond(w, a.View()) })
	for path, handler := range a.commands() {
		mux.HandleFunc("POST "+path, handler)
	}
	server := &http.Server{
		Handler: a.permittedOnly(mux), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: commandLimit + 30*time.Second, MaxHeaderBytes: 8 << 10, ErrorLog: zap.NewStdLog(a.log),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, callerKey{}, peerUser(c))
		},
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	defer func() {
		_ = os.Remove(adminPath(a.cfg.Keystore.Dir, os.Getenv))
		_ = os.Remove(filepath.Join(a.cfg.Keystore.Dir, adminSocket))
	}()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return context.Cause(ctx)
}

// keepAdmin serves the socket. If that fails, the agent continues without it and
// reports that until it is restarted.
func (a *Agent) keepAdmin(ctx context.Context, l net.Listener) error {
	if err := a.serveAdmin(ctx, l); err != nil && ctx.Err() == nil {
		fault := fmt.Sprintf("the admin socket failed, so commands cannot reach this agent (%v); restart it", err)
		a.state.UpdateProcess(func(s *status.Process) { s.AdminFault = fault })
		a.log.Error(fault, code(status.CodeAdminSocket))
	}
	<-ctx.Done()
	return context.Cause(ctx)
}

// peerUser is the user id of the process behind a connection, -1 if it is unknown.
func peerUser(c net.Conn) int {
	uid := -1
	if u, ok := c.(*net.UnixConn); ok {
		if raw, err := u.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) {
				if cred, err := unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); err == nil {
					uid = int(cred.Uid)
				}
			})
		}
	}
	return uid
}

// permittedOnly lets root and the user of the service pass.
func (a *Agent) permittedOnly(next http.Handler) http.Handler {
	permitted := []int{0, os.Geteuid(), os.Getuid()}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if uid, ok := r.Context().Value(callerKey{}).(int); !ok || !slices.Contains(permitted, uid) {
			s := &adminStream{w: w, control: http.NewResponseController(w)}
			s.fail(status.NewProblem(status.CodeNotPermitted,
				fmt.Sprintf("only root or the agent's user may use this command; the caller's user id is %d", uid)))
			return
		}
		next.ServeHTTP(w, r)
	})
}

// respond writes one JSON value. It is encoded first, so that a value that cannot be
// encoded is an error and not an empty response.
func respond(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "the response cannot be encoded", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(body, '\n'))
}
