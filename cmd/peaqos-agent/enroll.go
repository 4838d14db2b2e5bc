package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
)

func (a *app) enrollCmd() *cobra.Command {
	var req agent.EnrollRequest
	var apiKeyFile, controllerFile string
	var wait time.Duration
	cmd := &cobra.Command{
		Use:   "enroll",
		Short: "Register this machine if it is new, get its token once, and keep it",
		Long: `Finds the machine (by --machine-id, or by --identity-ref among your machines) or
registers and activates it, enrolls this device as its agent, stores the token
durably, and sends the first beat. Running it again changes nothing.

The API key and the controller key are read, used and dropped. A machine that
exists already needs no controller key.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.load()
			if err != nil {
				return err
			}
			if req.IdentityRef != "" && !agent.ValidIdentityRef(req.IdentityRef) {
				return &agent.Problem{Exit: agent.ExitUsage, Code: "identity_ref", What: "--identity-ref is not an identity", Known: fmt.Sprintf("%.100q", req.IdentityRef), Next: "write did:peaq:NUMBER or peaqos:machine:NUMBER"}
			}
			if req.APIKey, err = a.apiKey(apiKeyFile); err != nil {
				return err
			}
			if req.Controller, err = a.controllerKey(controllerFile); err != nil {
				return err
			}
			if req.Controller != nil {
				defer req.Controller.Wipe()
			}
			result, err := a.enroll(cmd.Context(), cfg, req)
			if err != nil {
				return err
			}
			if wait > 0 && !result.Live && !req.DryRun {
				if result, err = a.waitLive(cmd.Context(), cfg, req, wait); err != nil {
					return err
				}
			}
			return a.showEnrolled(result)
		},
	}
	f := cmd.Flags()
	f.StringVar(&req.MachineID, "machine-id", "", "the machine's id on the orchestrator (mach_…)")
	f.StringVar(&req.IdentityRef, "identity-ref", "", "the machine's identity, did:peaq:NUMBER")
	f.StringVar(&req.Machine, "machine", "", "which configured machine, when there are several")
	f.StringVar(&req.AgentLabel, "agent-label", "", "how the agent is named on the server")
	f.StringVar(&apiKeyFile, "api-key-file", "", "file with the platform API key, - for standard input")
	f.StringVar(&controllerFile, "controller-key-file", "", "file with the controller's key (0x and 64 hex digits)")
	f.BoolVar(&req.Force, "force", false, "enroll anew over a living identity; the old agent is revoked")
	f.BoolVar(&req.DryRun, "dry-run", false, "show what would be sent and prove the store durable; spend nothing")
	f.DurationVar(&wait, "wait-live", 0, "wait so long for an accepted beat, for scripts")
	f.BoolVar(&a.json, "json", false, "print the result as JSON")
	return cmd
}

// enroll asks the daemon that owns the store, or does it here under the lock.
func (a *app) enroll(ctx context.Context, cfg *agent.Config, req agent.EnrollRequest) (agent.EnrollResult, error) {
	return withOwner(ctx, cfg, func(o owner) (agent.EnrollResult, error) { return o.Enroll(ctx, req, a.progress) })
}

// waitLive repeats enroll, which changes nothing, until a beat is accepted.
func (a *app) waitLive(ctx context.Context, cfg *agent.Config, req agent.EnrollRequest, wait time.Duration) (agent.EnrollResult, error) {
	deadline := time.Now().Add(wait)
	req = agent.EnrollRequest{Machine: req.Machine}
	for {
		select {
		case <-ctx.Done():
			return agent.EnrollResult{}, ctx.Err()
		case <-time.After(2 * time.Second):
		}
		result, err := a.enroll(ctx, cfg, req)
		if err != nil || result.Live {
			result.Changed = true
			return result, err
		}
		if time.Now().After(deadline) {
			return result, &agent.Problem{Exit: agent.ExitNetwork, Code: "not_live", What: "enrolled, but not live yet", Known: result.Reason, Next: "start the runtime, then look at peaqos-agent status"}
		}
	}
}

func (a *app) showEnrolled(r agent.EnrollResult) error {
	if a.json {
		return a.result(r)
	}
	var b strings.Builder
	switch {
	case r.DryRun != nil:
		b.WriteString("Dry run: nothing was sent\n")
		if m := r.DryRun.Machine; m != nil {
			fmt.Fprintf(&b, "  Would register:  %s (%s, %s), owner %s\n", m.DisplayName, m.MachineType, m.RuntimeProfile, m.OwnerID)
		}
		fmt.Fprintf(&b, "  Agent label:     %s\n  Provider keys:   %s\n  Store:           proved durable\n", r.DryRun.AgentLabel, strings.Join(r.DryRun.Allowed, ", "))
		_, err := fmt.Fprint(a.out, b.String())
		return err
	case r.Changed:
		b.WriteString("Enrolled\n")
	default:
		b.WriteString("Enrolled already; nothing changed\n")
	}
	live := "yes"
	if !r.Live {
		live = "no: " + r.Reason
	} else if r.LeaseExpiresAt != nil {
		live = "yes, lease until " + r.LeaseExpiresAt.UTC().Format(time.RFC3339)
	}
	fmt.Fprintf(&b, "  Machine:   %s\n  Identity:  %s\n  Agent:     %s\n  Live:      %s\n", r.MachineID, r.IdentityRef, r.AgentID, live)
	for _, id := range r.Revoked {
		fmt.Fprintf(&b, "  Revoked:   %s, left by an earlier attempt\n", id)
	}
	_, err := fmt.Fprint(a.out, b.String())
	return err
}
