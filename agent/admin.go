package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
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
)

// The admin socket is how a verb changes the store while the daemon owns it: a
// unix socket that asks the kernel who is calling, and answers root, the
// service's own user, and nobody else. Requests are bounded and few.

const (
	adminSocket = "admin.sock"
	// adminBody bounds a request: two secrets and a handful of names.
	adminBody = 16 << 10
	// enrollLimit bounds one enrollment, answers of a slow link included.
	enrollLimit = 4 * time.Minute
)

// adminHello says whose socket this is, so that a verb with another
// configuration does not enroll the wrong store.
type adminHello struct {
	Dir     string `json:"dir"`
	Origin  string `json:"origin"`
	Version string `json:"version"`
	PID     int    `json:"pid"`
}

// adminPath is where this process binds its socket: systemd's runtime directory
// when there is one, else beside the store.
func adminPath(dir string, getenv func(string) string) string {
	if run := getenv("RUNTIME_DIRECTORY"); filepath.IsAbs(run) {
		return filepath.Join(run, adminSocket)
	}
	return filepath.Join(dir, adminSocket)
}

// listenAdmin binds the socket. Holding the store's lock, we know that a socket
// file which is there already belongs to nobody.
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

// bindAdmin is the socket, or nil: without one no verb can change the store, which
// is told, and stops no beat.
func (a *Agent) bindAdmin() net.Listener {
	if a.opts.NoAdmin {
		return nil
	}
	path := adminPath(a.cfg.Keystore.Dir, os.Getenv)
	l, err := listenAdmin(path)
	if err != nil {
		fault := fmt.Sprintf("the admin socket cannot be bound, so no verb reaches this agent (%v); check that %s is writable, then restart", err, filepath.Dir(path))
		a.state.UpdateProcess(func(s *status.Process) { s.AdminFault = fault })
		a.log.Error(fault, code(status.CodeAdminSocket))
		return nil
	}
	return l
}

// shortPath works around the 108 bytes of a unix address: a long path is reached
// through an open descriptor of its directory.
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

// callerKey marks the context of a connection with the peer's user.
type callerKey struct{}

func (a *Agent) serveAdmin(ctx context.Context, l net.Listener) error {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/hello", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, http.StatusOK, adminHello{a.cfg.Keystore.Dir, a.origin, a.opts.Version, os.Getpid()})
	})
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, a.View()) })
	mux.HandleFunc("POST /v1/reload", onSocket(func(ctx context.Context, _ nothingAsked) (ReloadResult, error) { return a.Reload(ctx) }))
	a.adminVerbs(mux)
	server := &http.Server{
		Handler: a.onlyOurs(mux), ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second,
		WriteTimeout: enrollLimit + 30*time.Second, MaxHeaderBytes: 8 << 10, ErrorLog: zap.NewStdLog(a.log),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			return context.WithValue(ctx, callerKey{}, peerUser(c))
		},
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	defer func() { _ = os.Remove(adminPath(a.cfg.Keystore.Dir, os.Getenv)) }()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return context.Cause(ctx)
}

// peerUser is the user behind a connection, -1 when the kernel does not say.
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

// onlyOurs lets in root and the user the service runs as.
func (a *Agent) onlyOurs(next http.Handler) http.Handler {
	ours := []int{0, os.Geteuid(), os.Getuid()}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if uid, ok := r.Context().Value(callerKey{}).(int); !ok || !slices.Contains(ours, uid) {
			fault(w, status.NewProblem(status.CodeNotPermitted, fmt.Sprintf("only root or the agent's user may use this command; the caller's user id is %d", uid)))
			return
		}
		next.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

func fault(w http.ResponseWriter, err error) {
	p := Explain(err)
	answer(w, http.StatusUnprocessableEntity, map[string]*status.Problem{"error": p})
}
