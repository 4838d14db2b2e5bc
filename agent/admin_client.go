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
	"time"

	"golang.org/x/sys/unix"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// MaxStatus is the largest response in bytes that a command reads from the agent: the
// status of more machines than a configuration may have.
const MaxStatus = 16 << 20

// Admin runs commands in the daemon, over its admin socket. Its methods have the
// results and errors of the methods of [Agent] with the same names, and end with their
// context. progress receives the daemon's progress as it happens.
type Admin struct {
	path   string
	dir    string // of the store
	client *http.Client
	hello  adminHello
}

// FindAdmin looks for the daemon that owns the store of this configuration. It returns
// nil if none is running. Error: status.CodeNotPermitted if there may be one that this
// user may not use.
func FindAdmin(ctx context.Context, cfg *config.Config) (*Admin, error) {
	var refused error
	for _, path := range []string{filepath.Join(cfg.Keystore.Dir, adminSocket), filepath.Join("/run/peaqos-agent", adminSocket)} {
		a := &Admin{path: path, dir: cfg.Keystore.Dir}
		a.client = &http.Client{Transport: &http.Transport{DialContext: a.dial, DisableKeepAlives: true}}
		hello, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := a.get(hello, "/v1/hello", &a.hello)
		cancel()
		switch {
		case err == nil && a.hello.owns(cfg.Keystore.Dir):
			return a, nil
		case errors.Is(err, os.ErrPermission):
			refused = status.NewProblem(status.CodeNotPermitted, "only root or the agent's user may use "+path)
		}
		var p *status.Problem
		if errors.As(err, &p) {
			refused = p
		}
	}
	return nil, refused
}

// owns reports whether the daemon works on the store in this directory, however either of
// the two spells its path.
func (h adminHello) owns(dir string) bool {
	if h.Inode == 0 {
		return h.Dir == dir // a daemon of an earlier version
	}
	device, inode := directoryID(dir)
	return h.Device == device && h.Inode == inode
}

// directoryID is the device and inode of a directory; zeros if it cannot be looked at.
func directoryID(dir string) (device, inode uint64) {
	var st unix.Stat_t
	if unix.Stat(dir, &st) != nil {
		return 0, 0
	}
	return uint64(st.Dev), st.Ino
}

// SameOrchestrator checks that the daemon uses the orchestrator of this configuration,
// before a command changes its enrollment. Error: status.CodeOtherAgent.
func (a *Admin) SameOrchestrator(cfg *config.Config) error {
	origin, err := originOf(cfg.Orchestrator.URL)
	if err != nil || origin == a.hello.Origin {
		return err
	}
	return status.NewProblem(status.CodeOtherAgent, fmt.Sprintf("the agent uses %s, this command %s", a.hello.Origin, origin))
}

// Status returns the state of the daemon.
func (a *Admin) Status(ctx context.Context) (status.View, error) {
	var out status.View
	err := a.get(ctx, "/v1/status", &out)
	return out, err
}

// Reload makes the daemon reload its configuration.
func (a *Admin) Reload(ctx context.Context) (ReloadResult, error) {
	return ask[ReloadResult](ctx, a, "/v1/reload", &emptyRequest{}, discard)
}

// Enroll enrolls a machine; see [Agent.Enroll].
func (a *Admin) Enroll(ctx context.Context, req EnrollRequest, progress func(string)) (EnrollResult, error) {
	return ask[EnrollResult](ctx, a, "/v1/enroll", &req, progress)
}

// Rotate replaces a machine's agent and token; see [Agent.Rotate].
func (a *Admin) Rotate(ctx context.Context, req RotateRequest, progress func(string)) (RotateResult, error) {
	return ask[RotateResult](ctx, a, "/v1/rotate", &req, progress)
}

// TakeGrant stores an enrollment that was made on another computer; see
// [Agent.TakeGrant].
func (a *Admin) TakeGrant(ctx context.Context, req GrantRequest, progress func(string)) (EnrollResult, error) {
	return ask[EnrollResult](ctx, a, "/v1/grant", &req, progress)
}

// Unenroll revokes a machine's agents and deletes their tokens; see [Agent.Unenroll].
func (a *Admin) Unenroll(ctx context.Context, req LeaveRequest, progress func(string)) (LeaveResult, error) {
	return ask[LeaveResult](ctx, a, "/v1/unenroll", &req, progress)
}

// ResetIdentity deletes everything in the store; see [Agent.ResetIdentity].
func (a *Admin) ResetIdentity(ctx context.Context, req ResetRequest, progress func(string)) (LeaveResult, error) {
	return ask[LeaveResult](ctx, a, "/v1/reset-identity", &req, progress)
}

// Adopt binds the store to this host; see [Agent.Adopt].
func (a *Admin) Adopt(ctx context.Context, progress func(string)) (AdoptResult, error) {
	return ask[AdoptResult](ctx, a, "/v1/adopt", &emptyRequest{}, progress)
}

// Identities returns the identity of each machine; see [Agent.Identities].
func (a *Admin) Identities(ctx context.Context) ([]Identity, error) {
	return ask[[]Identity](ctx, a, "/v1/identity/show", &emptyRequest{}, discard)
}

// PutController stores a controller key; see [Agent.PutController].
func (a *Admin) PutController(ctx context.Context, key *keystore.Key) (string, error) {
	out, err := ask[adminAddress](ctx, a, "/v1/identity/import", &keyMessage{key}, discard)
	return out.Address, err
}

// ControllerKey returns the stored controller key; see [Agent.ControllerKey].
func (a *Admin) ControllerKey(ctx context.Context) (*keystore.Key, error) {
	out, err := ask[keyMessage](ctx, a, "/v1/identity/export", &emptyRequest{}, discard)
	if err == nil && out.key == nil {
		err = keystore.ErrBadKey
	}
	return out.key, err
}

// Prove signs a challenge with the stored controller key; see [Agent.Prove].
func (a *Admin) Prove(ctx context.Context, req ProveRequest) (Proof, error) {
	return ask[Proof](ctx, a, "/v1/identity/prove", &req, discard)
}

// FindSecrets looks for the store's secrets in a text; see [Agent.FindSecrets]. A long
// text is sent in parts that overlap.
func (a *Admin) FindSecrets(ctx context.Context, text []byte) (SecretSearch, error) {
	out := SecretSearch{Found: []string{}}
	for from := 0; ; from += maxSecretText - secretOverlap {
		part := text[from:min(from+maxSecretText, len(text))]
		some, err := ask[SecretSearch](ctx, a, "/v1/find-secrets", &adminText{part}, discard)
		if err != nil {
			return out, err
		}
		out.Unread = some.Unread
		for _, name := range some.Found {
			if !slices.Contains(out.Found, name) {
				out.Found = append(out.Found, name)
			}
		}
		if from+maxSecretText >= len(text) {
			return out, nil
		}
	}
}

// Reseal gives the store another protection; see [Agent.Reseal].
func (a *Admin) Reseal(ctx context.Context, req SealRequest) (SealResult, error) {
	return ask[SealResult](ctx, a, "/v1/seal", &req, discard)
}

// discard ignores the progress of a command.
func discard(string) {}

// ask runs one command in the daemon. in is a pointer to its request.
func ask[Out any](ctx context.Context, a *Admin, path string, in any, progress func(string)) (Out, error) {
	progress(fmt.Sprintf("asking the running agent (process %d)", a.hello.PID))
	var out Out
	body, err := json.Marshal(onSocket(in))
	if err != nil {
		return out, err
	}
	defer clear(body)
	ctx, cancel := context.WithTimeout(ctx, commandLimit+30*time.Second) // the daemon ends it before
	defer cancel()
	res, err := a.send(ctx, http.MethodPost, path, body)
	if err != nil {
		return out, err
	}
	defer res.Body.Close()
	lines := json.NewDecoder(io.LimitReader(res.Body, MaxStatus))
	for {
		var line adminLine
		if err := lines.Decode(&line); err != nil {
			return out, badResponse(res, err)
		}
		switch {
		case line.Error != nil:
			return out, line.Error
		case line.Progress != "":
			progress(line.Progress)
		default:
			defer clear(line.Result)
			return out, json.Unmarshal(line.Result, onSocket(&out))
		}
	}
}

// get reads one JSON value from the daemon.
func (a *Admin) get(ctx context.Context, path string, out any) error {
	res, err := a.send(ctx, http.MethodGet, path, nil)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	body := json.NewDecoder(io.LimitReader(res.Body, MaxStatus))
	if res.StatusCode == http.StatusOK {
		return body.Decode(out)
	}
	var line adminLine
	if err := body.Decode(&line); err != nil || line.Error == nil {
		return badResponse(res, err)
	}
	return line.Error
}

func (a *Admin) send(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://admin"+path, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	return a.client.Do(req)
}

// badResponse returns the error of a response that ended early or cannot be read.
func badResponse(res *http.Response, err error) error {
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the agent responded with HTTP %d on its admin socket", res.StatusCode)
	}
	return fmt.Errorf("the response of the running agent ended before its result: %w", err)
}

func (a *Admin) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	short, closeDir, err := shortPath(a.path)
	if err != nil {
		return nil, err
	}
	defer closeDir()
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", short)
	if err != nil {
		return nil, err
	}
	if uid := peerUser(c); !trustedServer(a.dir, a.path, uid) {
		return nil, errors.Join(status.NewProblem(status.CodeUntrustedSocket, fmt.Sprintf("user %d serves %s", uid, a.path)), c.Close())
	}
	return c, nil
}

// nobody owns, on the disk, the state directory of a dynamic user from systemd 257 on:
// only the service's own mount shows it as the service user's.
const nobody = 65534

// trustedServer reports whether the process of this user may be the daemon of a store:
// root, ourselves or the owner of the store, if nobody else could have put the store
// there. If the store of a service does not name its user, the directory of the socket
// does, under the same condition.
func trustedServer(dir, socket string, uid int) bool {
	owner := storeOwner(dir)
	if real, err := filepath.EvalSymlinks(socket); err == nil && owner == nobody {
		owner = storeOwner(filepath.Dir(real))
	}
	return uid == 0 || uid == os.Geteuid() || (uid > 0 && uid == owner)
}

// storeOwner is the user to whom a store belongs; -1 if that says nothing, because
// somebody else can write to a directory above it, or it cannot be looked at.
func storeOwner(dir string) int {
	named, err := filepath.Abs(dir)
	if err != nil {
		return -1
	}
	real, err := filepath.EvalSymlinks(named)
	if err != nil {
		return -1
	}
	for _, path := range []string{named, real} {
		for parent := filepath.Dir(path); ; parent = filepath.Dir(parent) {
			// What root or we put into a sticky directory stays as it is; the store itself
			// may belong to somebody else.
			var st unix.Stat_t
			if unix.Stat(parent, &st) != nil || (st.Uid != 0 && int(st.Uid) != os.Geteuid()) ||
				(st.Mode&0o022 != 0 && (st.Mode&unix.S_ISVTX == 0 || parent == filepath.Dir(path))) {
				return -1
			}
			if parent == filepath.Dir(parent) {
				break
			}
		}
	}
	var st unix.Stat_t
	if unix.Stat(real, &st) != nil {
		return -1
	}
	return int(st.Uid)
}
