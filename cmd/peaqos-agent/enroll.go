package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// enrollFlags are the flags of enroll beside the request's own.
type enrollFlags struct {
	apiKeyFile, controllerFile, passphraseFile string
	signWith, grantOut, grant                  string
	providerKeys                               []string
	wait                                       time.Duration
}

func (a *app) enrollCmd() *cobra.Command {
	var req agent.EnrollRequest
	var with enrollFlags
	cmd := &cobra.Command{
		Use:   "enroll",
		Short: "Register this machine if it is new, get its token once, and keep it",
		Long: `Finds the machine (by --machine-id, or by --identity-ref among your machines) or
registers and activates it, enrolls this device as its agent, stores the token
durably, and sends the first beat. Running it again changes nothing.

The API key and the controller key are read, used and dropped. A machine that
exists already needs no controller key.

With --grant-out it is all done on this computer, for a robot that gets no account key:

  peaqos-agent enroll --grant-out - … | ssh robot sudo peaqos-agent enroll --grant -`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.enrollVerb(cmd.Context(), req, with) },
	}
	f := cmd.Flags()
	f.StringVar(&req.MachineID, "machine-id", "", "the machine's id on the orchestrator (mach_…)")
	f.StringVar(&req.IdentityRef, "identity-ref", "", "the machine's identity, did:peaq:NUMBER")
	f.StringVar(&req.Machine, "machine", "", "which configured machine, when there are several")
	f.StringVar(&req.AgentLabel, "agent-label", "", "how the agent is named on the server")
	f.StringVar(&with.apiKeyFile, "api-key-file", "", "file with the platform API key, - for standard input")
	f.StringVar(&with.controllerFile, "controller-key-file", "", "file with the controller's key (0x and 64 hex digits, or a Web3 key file)")
	f.StringVar(&with.passphraseFile, "passphrase-file", "", "file with the passphrase of a Web3 key file, - for standard input")
	f.StringVar(&with.signWith, "sign-with", "", "prompt: show the text to be signed and take a pasted signature")
	f.StringVar(&with.grantOut, "grant-out", "", "enroll for another device and write the grant to this new file, - for a pipe")
	f.StringSliceVar(&with.providerKeys, "provider-key", nil, "with --grant-out: what the device may publish, as qvac")
	f.StringVar(&with.grant, "grant", "", "take the grant in this file, - for standard input")
	f.BoolVar(&req.Force, "force", false, "enroll anew over a living identity; the old agent is revoked")
	f.BoolVar(&req.DryRun, "dry-run", false, "show what would be sent and prove the store durable; spend nothing")
	f.DurationVar(&with.wait, "wait-live", 0, "wait so long for an accepted beat, for scripts")
	f.BoolVar(&a.json, "json", false, "print the result as JSON")
	cmd.MarkFlagsMutuallyExclusive("grant", "grant-out", "dry-run")
	cmd.MarkFlagsMutuallyExclusive("grant-out", "wait-live")
	cmd.MarkFlagsMutuallyExclusive("controller-key-file", "sign-with")
	return cmd
}

func (a *app) enrollVerb(ctx context.Context, req agent.EnrollRequest, with enrollFlags) error {
	if with.grant != "" {
		return a.takeGrant(ctx, with.grant, req.Machine, req.Force, with.wait)
	}
	if with.signWith != "" && with.signWith != "prompt" {
		return usageProblem(fmt.Sprintf("--sign-with accepts only \"prompt\", not %.40q", with.signWith), "give --sign-with prompt, or --controller-key-file FILE")
	}
	read := a.load
	if with.grantOut != "" {
		read = a.read // the machine that is configured here, if any, is not the one that is meant
	}
	cfg, err := read()
	if err != nil {
		return err
	}
	if req.IdentityRef != "" {
		if fault := config.IdentityRefFault(req.IdentityRef, cfg.Orchestrator.IdentityRefs); fault != "" {
			return status.NewProblem(status.CodeIdentityRef, fmt.Sprintf("%.100q %s", req.IdentityRef, fault))
		}
	}
	if req.APIKey, err = a.apiKey(with.apiKeyFile); err != nil {
		return err
	}
	if req.Controller, err = a.controllerKey(with.controllerFile, with.passphraseFile); err != nil {
		return err
	}
	if req.Controller != nil {
		defer req.Controller.Wipe()
	}
	once := func() error {
		if with.grantOut != "" {
			return a.grantOut(ctx, cfg, req, with.grantOut, with.providerKeys)
		}
		return a.enrollHere(ctx, cfg, req, with.wait)
	}
	if err = once(); with.signWith == "" || !agent.NeedsProof(err) {
		return err
	}
	if req.Proof, err = a.signElsewhere(ctx, cfg, req); err != nil {
		return err
	}
	return once()
}

// enrollHere has the store's owner enroll, and shows what came of it.
func (a *app) enrollHere(ctx context.Context, cfg *config.Config, req agent.EnrollRequest, wait time.Duration) error {
	result, err := a.enroll(ctx, cfg, req)
	if err != nil {
		return err
	}
	if wait > 0 && !result.Live && !req.DryRun {
		if result, err = a.waitLive(ctx, cfg, req.Machine, wait, result); err != nil {
			return err
		}
	}
	return a.showEnrolled(result)
}

// enroll asks the daemon that owns the store, or does it here under the lock.
func (a *app) enroll(ctx context.Context, cfg *config.Config, req agent.EnrollRequest) (agent.EnrollResult, error) {
	return withOwner(ctx, cfg, func(o owner) (agent.EnrollResult, error) { return o.Enroll(ctx, req, a.progress) })
}

// waitLive repeats enroll, which changes nothing, until a beat is accepted; what the
// first one did stays in the result.
func (a *app) waitLive(ctx context.Context, cfg *config.Config, machine string, wait time.Duration, first agent.EnrollResult) (agent.EnrollResult, error) {
	deadline := time.Now().Add(wait)
	for {
		select {
		case <-ctx.Done():
			return agent.EnrollResult{}, ctx.Err()
		case <-time.After(min(2*time.Second, max(time.Until(deadline), 0))):
		}
		result, err := a.enroll(ctx, cfg, agent.EnrollRequest{Machine: machine})
		if err != nil || result.Live {
			first.Live, first.Reason, first.LeaseExpiresAt = result.Live, result.Reason, result.LeaseExpiresAt
			return first, err
		}
		if !time.Now().Before(deadline) {
			return result, status.NewProblem(status.CodeNotLive, result.Reason)
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
		b.WriteString("Dry run: nothing was changed\n")
		if m := r.DryRun.Machine; m != nil {
			fmt.Fprintf(&b, "  Would register:  %s (%s, %s), owner %s\n", m.DisplayName, m.MachineType, m.RuntimeProfile, m.OwnerID)
		}
		store := "proved durable"
		if !r.DryRun.StoreProved {
			store = "in memory: lost at a restart"
		}
		fmt.Fprintf(&b, "  Agent label:     %s\n  Provider keys:   %s\n  Store:           %s\n", r.DryRun.AgentLabel, strings.Join(r.DryRun.Allowed, ", "), store)
		_, err := fmt.Fprint(a.out, b.String())
		return err
	case r.Changed:
		b.WriteString("Enrolled\n")
	default:
		b.WriteString("Enrolled already; nothing changed\n")
	}
	b.WriteString(whoLives(r.MachineID, r.IdentityRef, r.AgentID, r.Live, r.Reason, r.LeaseExpiresAt))
	for _, id := range r.Revoked {
		fmt.Fprintf(&b, "  Revoked:   %s, an earlier agent of this device\n", id)
	}
	b.WriteString(leftBehind(r.LeftBehind))
	_, err := fmt.Fprint(a.out, b.String())
	return err
}

// whoLives is who the machine is after enroll or rotate, and whether it is live.
func whoLives(machineID, identityRef, agentID string, isLive bool, reason string, until *time.Time) string {
	live := "yes"
	switch {
	case !isLive:
		live = "no: " + reason
	case until != nil:
		live = "yes, lease until " + until.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("  Machine:   %s\n  Identity:  %s\n  Agent:     %s\n  Live:      %s\n", machineID, identityRef, agentID, live)
}
