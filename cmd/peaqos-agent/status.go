package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

func (a *app) statusCmd() *cobra.Command {
	var ask statusRequest
	var watch bool
	cmd := &cobra.Command{
		Use: "status", SuggestFor: []string{"info", "state", "health"},
		Short: "Show the agent's state, its cause and what to do",
		Long: `Shows the state of each machine in a few lines: its cause, its effect, the next command
and its endpoints. --all adds everything else that is known. Without a running agent it
shows what the store holds.

--check prints one line and gives the answer as the exit code: 0 yes, 2 no, 4 rejected or
revoked, 5 the store cannot be used. For live and ready, 8 means that no agent is running.`,
		Example: `  peaqos-agent status
  peaqos-agent status --all --watch
  peaqos-agent status --check live && echo online`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ask.check != "" && !slices.Contains(statusChecks(), ask.check) {
				return usageProblem(fmt.Sprintf("--check accepts live, ready or enrolled, not %.40q", ask.check), "give one of the three")
			}
			for {
				ask.redraw = watch && isTerminal(a.out)
				if err := a.showStatus(cmd.Context(), ask); err != nil || !watch {
					return err
				}
				select {
				case <-cmd.Context().Done():
					return nil
				case <-time.After(2 * time.Second):
				}
			}
		},
	}
	cmd.Flags().BoolVar(&ask.all, "all", false, "show everything that is known")
	cmd.Flags().StringVar(&ask.check, "check", "", "live, ready or enrolled: one line, and the answer as the exit code")
	cmd.Flags().BoolVar(&watch, "watch", false, "repeat every 2 s")
	return cmd
}

// statusChecks are the questions that --check answers.
func statusChecks() []string { return []string{"live", "ready", "enrolled"} }

// statusRequest is what the user wants to see.
type statusRequest struct {
	all    bool
	check  string // live, ready, enrolled, or empty
	redraw bool   // in place, on a terminal
}

func (a *app) showStatus(ctx context.Context, ask statusRequest) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	view, err := a.fetchStatus(ctx, cfg)
	if err != nil {
		return err
	}
	for i := range view.Machines {
		view.Machines[i].Next = status.WithFlags(view.Machines[i].Next, a.globalFlags())
	}
	const home, clearBelow = "\x1b[H", "\x1b[J"
	switch {
	case a.json:
		err = a.result(view)
	case ask.check != "":
		_, err = fmt.Fprintln(a.out, view.Headline())
	case ask.redraw:
		_, err = fmt.Fprint(a.out, home+clearBelow+view.Text(a.textOptions(ask.all)))
	default:
		_, err = fmt.Fprint(a.out, view.Text(a.textOptions(ask.all)))
	}
	if err != nil {
		return err
	}
	return checkStatus(view, ask.check)
}

// fetchStatus requests the status from the daemon over its admin socket. A user who may
// not use the socket gets /status of the telemetry listener, which serves everyone on
// this machine. Without a daemon the store itself is read, under its lock.
func (a *app) fetchStatus(ctx context.Context, cfg *config.Config) (status.View, error) {
	admin, err := agent.FindAdmin(ctx, cfg)
	if err == nil && admin != nil {
		return admin.Status(ctx)
	}
	if err != nil {
		if view, terr := statusOverHTTP(ctx, cfg); terr == nil {
			return view, nil
		}
		return status.View{}, err
	}
	exists, err := agent.StoreExists(cfg)
	if err != nil {
		return status.View{}, err
	}
	if !exists {
		return agent.ViewWithoutStore(cfg, version), nil
	}
	ag, err := agent.New(ctx, cfg, agent.Options{Version: version, NoAdmin: true})
	if err != nil {
		return status.View{}, err
	}
	defer func() { _ = ag.Close() }()
	a.progress("no agent is running; this is what the store holds")
	return ag.View(), nil
}

// statusOverHTTP reads /status of the telemetry listener.
func statusOverHTTP(ctx context.Context, cfg *config.Config) (status.View, error) {
	var view status.View
	host, port, err := net.SplitHostPort(cfg.Telemetry.Listen)
	if err != nil {
		return view, err
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/status", nil)
	if err != nil {
		return view, err
	}
	dial := func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		if err == nil && !agent.TrustedListener(cfg.Keystore.Dir, c.RemoteAddr()) {
			return nil, errors.Join(errors.New("another user listens on "+address), c.Close())
		}
		return c, err
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}}).Do(req)
	if err != nil {
		return view, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return view, fmt.Errorf("/status returned HTTP %d", res.StatusCode)
	}
	return view, json.NewDecoder(io.LimitReader(res.Body, agent.MaxStatus)).Decode(&view)
}

// checkStatus answers a question about every machine with an exit code: 0 yes, 2 no, 4
// rejected or revoked, 5 locked or quarantined, 8 no agent is running.
func checkStatus(v status.View, check string) error {
	if check == "" {
		return nil
	}
	if v.PID == 0 && check != "enrolled" {
		return exitError(status.ExitNotRunning)
	}
	for _, m := range v.Machines {
		switch status.State(m.State) {
		case status.Rejected, status.Revoked:
			return exitError(status.ExitRejected)
		case status.Locked, status.Quarantined:
			return exitError(status.ExitKeystore)
		}
		if !holds(check, v, m) {
			return exitError(status.ExitNetwork)
		}
	}
	return nil
}

// holds reports whether a machine is live, ready or enrolled.
func holds(check string, v status.View, m status.MachineView) bool {
	switch check {
	case "enrolled":
		return m.AgentID != ""
	case "live":
		return m.State == string(status.Online) || m.State == string(status.Degraded)
	case "ready":
		return v.Ready
	}
	return false
}
