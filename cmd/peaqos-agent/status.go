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
	var check string
	var watch bool
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Say how the agent is, why, and what to do",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains([]string{"", "live", "ready", "enrolled"}, check) {
				return usageProblem(fmt.Sprintf("--check accepts live, ready and enrolled, not %.40q", check), "give one of the three")
			}
			for {
				if err := a.showStatus(cmd.Context(), check); err != nil || !watch {
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
	cmd.Flags().BoolVar(&a.json, "json", false, "print as JSON")
	cmd.Flags().StringVar(&check, "check", "", "live, ready or enrolled: say it with the exit code, too")
	cmd.Flags().BoolVar(&watch, "watch", false, "print again every 2 s")
	return cmd
}

func (a *app) showStatus(ctx context.Context, check string) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	view, err := a.fetchStatus(ctx, cfg)
	if err != nil {
		return err
	}
	if a.json {
		err = a.result(view)
	} else {
		_, err = fmt.Fprint(a.out, view.Text(status.TextOptions{All: true}))
	}
	if err != nil {
		return err
	}
	return checkStatus(view, check)
}

// fetchStatus asks the daemon that owns the store on its admin socket; a user who
// may not use that gets what the telemetry listener tells everyone on this
// machine; with no daemon the store itself is read, under the lock.
func (a *app) fetchStatus(ctx context.Context, cfg *config.Config) (status.View, error) {
	admin, err := agent.FindAdmin(ctx, cfg)
	if err == nil && admin != nil {
		return admin.Status(ctx)
	}
	if err != nil {
		if view, terr := statusOver(ctx, cfg); terr == nil {
			return view, nil
		}
		return status.View{}, err
	}
	ag, err := agent.New(ctx, cfg, agent.Options{Version: version, NoAdmin: true})
	if err != nil {
		return status.View{}, err
	}
	defer func() { _ = ag.Close() }()
	a.progress("no agent runs here: this is what the store holds")
	return ag.View(), nil
}

// statusOver reads /status of the telemetry listener.
func statusOver(ctx context.Context, cfg *config.Config) (status.View, error) {
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
	res, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(req)
	if err != nil {
		return view, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return view, errors.New("no status there")
	}
	return view, json.NewDecoder(io.LimitReader(res.Body, agent.MaxStatus)).Decode(&view)
}

// checkStatus turns a question into an exit code: 0 yes, 4 rejected or revoked,
// 5 locked or quarantined, 2 no.
func checkStatus(v status.View, check string) error {
	if check == "" {
		return nil
	}
	for _, m := range v.Machines {
		ok := false
		switch check {
		case "enrolled":
			ok = m.AgentID != ""
		case "live":
			ok = m.State == string(status.Online) || m.State == string(status.Degraded)
		case "ready":
			ok = v.Ready
		}
		switch status.State(m.State) {
		case status.Rejected, status.Revoked:
			return exitError(status.ExitRejected)
		case status.Locked, status.Quarantined:
			return exitError(status.ExitKeystore)
		}
		if !ok {
			return exitError(status.ExitNetwork)
		}
	}
	return nil
}
