package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// MaxStatus bounds what a verb reads of the agent's answer: the status of more
// machines than a configuration may name.
const MaxStatus = 16 << 20

// Admin is the verbs' side of the socket.
type Admin struct {
	path   string
	client *http.Client
	Hello  adminHello
}

// FindAdmin looks for the daemon that owns the store of this configuration. It
// returns nil when none runs. A socket of another store is passed over.
func FindAdmin(ctx context.Context, cfg *config.Config) (*Admin, error) {
	var refused error
	for _, path := range []string{filepath.Join(cfg.Keystore.Dir, adminSocket), filepath.Join("/run/peaqos-agent", adminSocket)} {
		a := &Admin{path: path}
		a.client = &http.Client{Transport: &http.Transport{DialContext: a.dial, DisableKeepAlives: true}}
		hello, cancel := context.WithTimeout(ctx, 5*time.Second)
		err := a.call(hello, http.MethodGet, "/v1/hello", nil, &a.Hello)
		cancel()
		switch {
		case err == nil && a.Hello.Dir == cfg.Keystore.Dir:
			return a, nil
		case errors.Is(err, os.ErrPermission):
			refused = status.NewProblem(status.CodeNotPermitted, "only root or the agent's user may use "+path)
		}
		var p *status.Problem
		if errors.As(err, &p) {
			refused = err
		}
	}
	return nil, refused
}

// SameOrchestrator keeps a verb that was told of another orchestrator from changing the
// daemon's enrollment.
func (a *Admin) SameOrchestrator(cfg *config.Config) error {
	origin, err := originOf(cfg.Orchestrator.URL)
	if err != nil || origin == a.Hello.Origin {
		return err
	}
	return status.NewProblem(status.CodeOtherAgent, fmt.Sprintf("the agent uses %s, this command %s", a.Hello.Origin, origin))
}

func (a *Admin) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	short, closeDir, err := shortPath(a.path)
	if err != nil {
		return nil, err
	}
	defer closeDir()
	var d net.Dialer
	return d.DialContext(ctx, "unix", short)
}

// Status is the daemon's own view, for a user who may use the socket.
func (a *Admin) Status(ctx context.Context) (status.View, error) {
	var out status.View
	err := a.call(ctx, http.MethodGet, "/v1/status", nil, &out)
	return out, err
}

func (a *Admin) call(ctx context.Context, method, path string, in, out any) error {
	pr, pw := io.Pipe()
	go func() {
		var err error
		if in != nil {
			err = json.NewEncoder(pw).Encode(in)
		}
		pw.CloseWithError(err)
	}()
	req, err := http.NewRequestWithContext(ctx, method, "http://admin"+path, pr)
	if err != nil {
		return err
	}
	res, err := a.client.Do(req)
	if err != nil {
		_ = pr.CloseWithError(err)
		return err
	}
	defer res.Body.Close()
	body := io.LimitReader(res.Body, MaxStatus)
	if res.StatusCode == http.StatusOK {
		return json.NewDecoder(body).Decode(out)
	}
	var failed struct {
		Error status.Problem `json:"error"`
	}
	if err := json.NewDecoder(body).Decode(&failed); err != nil || failed.Error.Message == "" {
		return fmt.Errorf("the agent responded with HTTP %d on its admin socket", res.StatusCode)
	}
	return &failed.Error
}
