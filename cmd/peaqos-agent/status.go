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
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

func (a *app) statusCmd() *cobra.Command {
	var ask statusRequest
	var watch, market bool
	var account agentsFlags
	cmd := &cobra.Command{
		Use: "status", SuggestFor: []string{"info", "state", "health"},
		Short: "Show the agent's state, its cause and what to do",
		Long: `Shows the state of each machine in a few lines: its cause, its effect, the next command
and its endpoints. --all adds everything else that is known. Without a running agent it
shows what the store holds.

--check prints one line and gives the answer as the exit code: 0 yes, 2 no, 4 rejected or
revoked, 5 the store cannot be used. For live and ready, 8 means that no agent is running.

--from-market shows what the orchestrator lists of this machine, or of the one that
--machine-id or --identity-ref names, beside what this device believes. It needs the API
key, and works from any computer. The exit code is 2 if the two differ.`,
		Example: `  peaqos-agent status
  peaqos-agent status --all --watch
  peaqos-agent status --check live && echo online
  peaqos-agent status --from-market --machine-id mach_… --api-key-file key`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if ask.check != "" && !slices.Contains(statusChecks(), ask.check) {
				return usageProblem(fmt.Sprintf("--check accepts live, ready or enrolled, not %.40q", ask.check), "give one of the three")
			}
			if market {
				return a.showMarket(cmd.Context(), account)
			}
			if account != (agentsFlags{}) {
				return usageProblem("--api-key-file, --machine-id and --identity-ref need --from-market", "add --from-market, or drop them")
			}
			if watch {
				return a.watchStatus(cmd.Context(), ask)
			}
			return a.showStatus(cmd.Context(), ask)
		},
	}
	cmd.Flags().BoolVar(&ask.all, "all", false, "show everything that is known")
	cmd.Flags().StringVar(&ask.check, "check", "", "live, ready or enrolled: one line, and the answer as the exit code")
	cmd.Flags().BoolVar(&watch, "watch", false, "show it again every 2 s: in place on a terminal, below each other elsewhere")
	cmd.Flags().BoolVar(&market, "from-market", false, "show what the orchestrator lists, and whether it agrees")
	account.add(cmd)
	for _, other := range []string{"all", "check", "watch"} {
		cmd.MarkFlagsMutuallyExclusive("from-market", other)
	}
	return cmd
}

// statusChecks are the questions that --check answers.
func statusChecks() []string { return []string{"live", "ready", "enrolled"} }

// statusRequest is what the user wants to see.
type statusRequest struct {
	all   bool
	check string // live, ready, enrolled, or empty
}

func (a *app) showStatus(ctx context.Context, ask statusRequest) error {
	var view status.View
	cfg, err := a.load()
	if err == nil {
		view, err = a.statusForReader(ctx, cfg)
	} else {
		view, err = a.statusDespite(ctx, err)
	}
	if err != nil {
		return err
	}
	if a.json {
		err = a.result(view)
	} else {
		_, err = fmt.Fprint(a.out, a.statusText(view, ask))
	}
	if err != nil {
		return err
	}
	return checkStatus(view, ask.check)
}

// statusText is the status for a person: one line with --check.
func (a *app) statusText(view status.View, ask statusRequest) string {
	if ask.check == "" {
		return view.Text(a.textOptions(ask.all))
	}
	return view.Line(a.textOptions(false))
}

// statusForReader fetches the status, with commands that can be run from here.
func (a *app) statusForReader(ctx context.Context, cfg *config.Config) (status.View, error) {
	view, err := a.fetchStatus(ctx, cfg)
	if err != nil {
		return view, err
	}
	reader := a.reader()
	for i := range view.Machines {
		m := &view.Machines[i]
		if view.PID == 0 && m.AgentID != "" {
			m.Next = startCommand(reader.Flags != "")
		}
		m.Next = status.ForReader(m.Next, reader)
	}
	for i := range view.Warnings {
		view.Warnings[i] = status.ForReader(view.Warnings[i], reader)
	}
	return view, nil
}

// statusDespite is the status of an agent that runs although the configuration on disk is
// not valid now, which is invalid; the error is invalid if there is no such agent.
func (a *app) statusDespite(ctx context.Context, invalid error) (status.View, error) {
	var bad *config.Error
	if !errors.As(invalid, &bad) || a.config != "" && a.dir == "" { // another configuration has a store of its own
		return status.View{}, invalid
	}
	cfg, err := config.Load(config.Source{NoFile: true, Env: a.env, Flags: a.flags()})
	if err != nil {
		return status.View{}, invalid
	}
	admin, err := agent.FindAdmin(ctx, cfg)
	var view status.View
	switch {
	case admin != nil:
		view, err = admin.Status(ctx)
	case err != nil:
		view, err = statusOverHTTP(ctx, cfg)
	}
	if err != nil || view.PID == 0 {
		return status.View{}, invalid
	}
	for i := range view.Machines {
		view.Machines[i].Next = status.ForReader(view.Machines[i].Next, a.reader())
	}
	view.Warnings = append(view.Warnings, "the configuration on disk is not valid, and the agent does not start again with it: "+bad.Problems[0].String())
	return view, nil
}

// startCommand starts an agent: the service, or the daemon itself where there is no
// systemd, or where the service would use another configuration.
func startCommand(ownConfiguration bool) string {
	switch {
	case ownConfiguration || !systemdRuns():
		return "peaqos-agent run"
	case !unitInstalled():
		return "peaqos-agent service install"
	}
	return "peaqos-agent service start"
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
		view, terr := statusOverHTTP(ctx, cfg)
		if terr == nil {
			return view, nil
		}
		var p *status.Problem
		if errors.As(err, &p) && p.Code == status.CodeNotPermitted && errors.Is(terr, syscall.ECONNREFUSED) {
			return view, status.NewProblem(p.Code, "no agent responds on "+cfg.Telemetry.Listen+", and only root may look into its store")
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
	return ag.View(), nil
}

// statusOverHTTP reads /status of the telemetry listener.
func statusOverHTTP(ctx context.Context, cfg *config.Config) (status.View, error) {
	var view status.View
	body, err := fromListener(ctx, cfg, "/status")
	if err != nil {
		return view, err
	}
	return view, json.Unmarshal(body, &view)
}

// fromListener reads a page of the telemetry listener, if it is that of the agent.
func fromListener(ctx context.Context, cfg *config.Config, path string) ([]byte, error) {
	host, port, err := net.SplitHostPort(cfg.Telemetry.Listen)
	if err != nil {
		return nil, err
	}
	if ip := net.ParseIP(host); ip == nil || ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+path, nil)
	if err != nil {
		return nil, err
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
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s returned HTTP %d", path, res.StatusCode)
	}
	return io.ReadAll(io.LimitReader(res.Body, agent.MaxStatus))
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
