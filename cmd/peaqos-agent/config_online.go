package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/discover"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// onlineCheck is what config check --online found.
type onlineCheck struct {
	Orchestrator onlineOrchestrator `json:"orchestrator"`
	Endpoints    []endpointRow      `json:"endpoints"`
}

// onlineOrchestrator is the result of one request to the orchestrator.
type onlineOrchestrator struct {
	URL   string      `json:"url"`
	Up    bool        `json:"up"`
	Code  status.Code `json:"code"`  // empty if it responds
	Fault string      `json:"fault"` // a sentence, with the next step
}

// checkOnline requests the orchestrator's health and every endpoint once.
func checkOnline(ctx context.Context, cfg *config.Config) *onlineCheck {
	check := &onlineCheck{Orchestrator: askHealth(ctx, cfg), Endpoints: []endpointRow{}}
	for _, m := range cfg.Machines {
		for _, e := range m.Endpoints {
			f := agent.CheckEndpoint(ctx, e)
			row := endpointRow{Machine: m.Name, ProviderKey: e.ProviderKey, BaseURL: e.BaseURL, Scope: e.NetworkScope}
			row.Up, row.Fault, row.Notice, row.Seconds = &f.Up, f.Fault, f.Notice, f.Took.Seconds()
			if row.Notice == "" {
				row.Notice = lookedAt(ctx, e)
			}
			check.Endpoints = append(check.Endpoints, row)
		}
	}
	return check
}

// askHealth asks the orchestrator for its health, as the daemon and doctor do.
func askHealth(ctx context.Context, cfg *config.Config) onlineOrchestrator {
	out := onlineOrchestrator{URL: cfg.Orchestrator.URL, Up: true}
	if cause := agent.AskHealth(ctx, cfg, version).Cause; cause != nil {
		p := cause.Problem()
		out.Up, out.Code, out.Fault = false, p.Code, p.Error()
	}
	return out
}

// lookedAt compares what responds at an endpoint with its provider key, beyond what the
// probe itself shows. Only plain HTTP without a key is asked.
func lookedAt(ctx context.Context, e config.Endpoint) string {
	base := e.BaseURL
	if e.ProbeURL != "" {
		base = e.ProbeURL
	}
	if !discover.Known(e.ProviderKey) || !strings.HasPrefix(base, "http://") || e.AuthType != "none" {
		return ""
	}
	found, err := discover.Look(ctx, strings.TrimRight(base, "/"))
	if err != nil {
		return ""
	}
	return discover.Mismatch(e.ProviderKey, found)
}

func (c *onlineCheck) text() string {
	var b strings.Builder
	state := "responds"
	if !c.Orchestrator.Up {
		state = c.Orchestrator.Fault
	}
	fmt.Fprintf(&b, "Orchestrator  %s: %s\n", c.Orchestrator.URL, state)
	for _, e := range c.Endpoints {
		line := strings.Join(e.probeText(), "")
		if e.Notice != "" && !*e.Up {
			line += "; " + e.Notice
		}
		fmt.Fprintf(&b, "Endpoint      %s at %s: %s\n", e.ProviderKey, e.BaseURL, line)
	}
	return b.String()
}

// exit is the exit code of the check: 2 if something does not respond.
func (c *onlineCheck) exit() error {
	if c == nil {
		return nil
	}
	up := c.Orchestrator.Up
	for _, e := range c.Endpoints {
		up = up && *e.Up
	}
	if !up {
		return exitError(status.ExitNetwork)
	}
	return nil
}
