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

// enrollFlags are the flags of enroll that are not fields of [agent.EnrollRequest].
type enrollFlags struct {
	apiKeyFile, controllerFile, passphraseFile string
	signWith, grantOut, grant                  string
	providerKeys                               []string
	endpoints                                  []string
	writeConfig, ifNeeded                      bool
	wait                                       time.Duration
}

func (a *app) enrollCmd() *cobra.Command {
	var req agent.EnrollRequest
	var flags enrollFlags
	cmd := &cobra.Command{
		Use: "enroll", SuggestFor: []string{"init", "setup", "login", "register", "join"},
		Short: "Register this machine if needed, enroll it and store its token",
		Long: `Finds the machine (by --machine-id, or by --identity-ref among your machines) or
registers and activates it, enrolls this device as its agent, stores the token
durably and sends the first heartbeat. Running it again changes nothing.

The API key and the controller key are used once and not stored. A machine that is
already registered needs no controller key. With --if-needed they are not read either, if
the machine is enrolled already.

On a terminal, and without a configuration file, it first asks what belongs into one:
the orchestrator, the machine, where the keys are, and which runtime of this machine to
publish. --write-config does the same with flags alone. A machine's DID is made with
"peaqos activate" of the peaq CLI; an orchestrator that is open needs no API key.

With --grant-out all of this happens on the operator's computer, and the robot receives
only a grant, which contains its token and no account key.`,
		Example: `  sudo peaqos-agent enroll --identity-ref did:peaq:42 --controller-key-file ctl.hex --api-key-file key
  sudo peaqos-agent enroll --machine-id mach_… --api-key-file key
  sudo peaqos-agent enroll --machine-id mach_… --api-key-file key --endpoint qvac=http://127.0.0.1:11435 --write-config
  peaqos-agent enroll --grant-out - --provider-key qvac … | ssh robot sudo peaqos-agent enroll --grant -`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runEnroll(cmd.Context(), req, flags) },
	}
	f := cmd.Flags()
	f.StringVar(&req.MachineID, "machine-id", "", "the machine's ID on the orchestrator (mach_…)")
	f.StringVar(&req.IdentityRef, "identity-ref", "", "the machine's identity (did:peaq:NUMBER or did:peaq:0xADDRESS)")
	f.StringVar(&req.Machine, "machine", "", machineUsage)
	f.StringVar(&req.AgentLabel, "agent-label", "", "agent label on the orchestrator")
	f.StringVar(&req.DisplayName, "display-name", "", displayNameUsage)
	f.StringVar(&flags.apiKeyFile, "api-key-file", "", apiKeyUsage)
	f.StringVar(&flags.controllerFile, "controller-key-file", "", "file with the controller's key (0x and 64 hex digits, or a Web3 key file)")
	f.StringVar(&flags.passphraseFile, "passphrase-file", "", passphraseUsage)
	f.StringVar(&flags.signWith, "sign-with", "", `"prompt" shows the text to be signed and reads a pasted signature`)
	f.StringVar(&flags.grantOut, "grant-out", "", "enroll for another device and write the grant to this new file, - for a pipe")
	f.StringSliceVar(&flags.providerKeys, "provider-key", nil, "with --grant-out: provider keys the device may publish, e.g. qvac")
	f.StringVar(&flags.grant, "grant", "", "read a grant from this file, - for standard input")
	f.BoolVar(&flags.writeConfig, "write-config", false, "write the configuration file, which must not exist yet, from the flags")
	f.StringArrayVar(&flags.endpoints, "endpoint", nil, "with --write-config: KEY=URL of a runtime to publish, or KEY=URL,MODEL (repeatable)")
	f.BoolVar(&flags.ifNeeded, "if-needed", false, "if the machine is enrolled already, read no grant and no key")
	f.BoolVar(&req.Force, "force", false, "replace an existing enrollment; the old agent is revoked")
	f.BoolVar(&req.ReplaceLostKey, "replace-lost-key", false, "with --force: "+lostKeyUsage)
	f.BoolVar(&req.DryRun, "dry-run", false, "show what would be sent and check that the store is durable; change nothing")
	f.DurationVar(&flags.wait, "wait-live", 0, "wait up to this long for an accepted heartbeat")
	cmd.MarkFlagsMutuallyExclusive("grant", "grant-out", "dry-run")
	cmd.MarkFlagsMutuallyExclusive("grant-out", "wait-live")
	cmd.MarkFlagsMutuallyExclusive("grant-out", "write-config")
	cmd.MarkFlagsMutuallyExclusive("dry-run", "write-config")
	cmd.MarkFlagsMutuallyExclusive("controller-key-file", "sign-with")
	cmd.MarkFlagsMutuallyExclusive("if-needed", "force", "grant-out", "dry-run")
	return cmd
}

// runEnroll runs the command: it redeems a grant, makes one, or enrolls this device.
func (a *app) runEnroll(ctx context.Context, req agent.EnrollRequest, flags enrollFlags) error {
	if err := checkSignWith(flags.signWith); err != nil {
		return err
	}
	if err := a.prepareConfig(ctx, &req, &flags); err != nil {
		return err
	}
	if flags.ifNeeded {
		if done, err := a.enrolledAlready(ctx, req, flags.wait); done || err != nil {
			return err
		}
	}
	if flags.grant != "" {
		return a.redeemGrant(ctx, flags, req)
	}
	read := a.load
	if flags.grantOut != "" {
		read = a.read // the grant is for another machine than the one configured here
	}
	cfg, err := read()
	if err != nil {
		return err
	}
	if err := a.readKeys(cfg, &req, flags); err != nil {
		return err
	}
	if req.Controller != nil {
		defer req.Controller.Wipe()
	}
	once := func() error {
		if flags.grantOut != "" {
			return a.makeGrant(ctx, cfg, req, flags.grantOut, flags.providerKeys)
		}
		return a.enrollHere(ctx, cfg, req, flags.wait)
	}
	if err = once(); flags.signWith == "" || !agent.NeedsProof(err) {
		return err
	}
	if req.Proof, err = a.signElsewhere(ctx, cfg, req); err != nil {
		return err
	}
	return once()
}

// enrolledAlready ends an enrollment that is not needed. It is for programs that enroll at
// each start, such as an init container: the Secret with the grant or the keys may be gone
// by then, or have another grant.
func (a *app) enrolledAlready(ctx context.Context, req agent.EnrollRequest, wait time.Duration) (bool, error) {
	cfg, err := a.read()
	if err != nil {
		return false, err
	}
	ids, err := ifStored(ctx, cfg, nil, func(o owner) ([]agent.Identity, error) { return o.Identities(ctx) })
	if err != nil {
		return false, err
	}
	for _, id := range ids {
		if id.AgentID != "" && (req.Machine == "" || req.Machine == id.Machine) {
			return true, a.enrollHere(ctx, cfg, req, wait)
		}
	}
	return false, nil
}

// enrollHere enrolls this device through the store's owner and prints the result.
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
	if err := a.showEnrolled(result); err != nil || req.DryRun {
		return err
	}
	return a.showNext(ctx, cfg)
}

// enroll sends the request to the daemon, or without one enrolls in this process.
func (a *app) enroll(ctx context.Context, cfg *config.Config, req agent.EnrollRequest) (agent.EnrollResult, error) {
	return withOwner(ctx, cfg, func(o owner) (agent.EnrollResult, error) { return o.Enroll(ctx, req, a.progress) })
}

// waitLive waits until a heartbeat is accepted. A running agent sends its heartbeats
// itself, so its status is watched; otherwise enroll, which changes nothing, is repeated
// as the orchestrator allows. It returns the first result, brought up to date.
func (a *app) waitLive(
	ctx context.Context, cfg *config.Config, machine string, wait time.Duration, first agent.EnrollResult,
) (agent.EnrollResult, error) {
	deadline := time.Now().Add(wait)
	look := func() (agent.EnrollResult, error) { return a.enroll(ctx, cfg, agent.EnrollRequest{Machine: machine}) }
	if admin, err := agent.FindAdmin(ctx, cfg); err == nil && admin != nil {
		look = func() (agent.EnrollResult, error) { return liveness(ctx, admin, first.AgentID) }
	}
	last := first
	for {
		pause := max(2*time.Second, last.RetryAfter)
		if pause > time.Until(deadline) {
			if last.RetryAfter > 0 { // waiting any longer would not change the result
				return last, notLive(last)
			}
			pause = max(time.Until(deadline), 0)
		}
		select {
		case <-ctx.Done():
			return agent.EnrollResult{}, ctx.Err()
		case <-time.After(pause):
		}
		result, err := look()
		if err != nil || result.Live {
			first.Live, first.Reason, first.LeaseExpiresAt = result.Live, result.Reason, result.LeaseExpiresAt
			return first, err
		}
		if last = result; !time.Now().Before(deadline) {
			return result, notLive(result)
		}
	}
}

// liveness is what the status of a running agent says about one enrollment.
func liveness(ctx context.Context, admin *agent.Admin, agentID string) (agent.EnrollResult, error) {
	view, err := admin.Status(ctx)
	if err != nil {
		return agent.EnrollResult{}, err
	}
	out := agent.EnrollResult{Reason: "the running agent does not use this enrollment"}
	for _, m := range view.Machines {
		if m.AgentID != agentID {
			continue
		}
		out.Live, out.Reason, out.Cause = holds("live", view, m), "", m.Cause
		if m.Cause != nil {
			out.Reason = m.Cause.Text
		}
		out.RetryAfter = time.Duration(m.Heartbeat.RetryAfterSeconds * float64(time.Second))
		for _, e := range m.Endpoints {
			if e.LeaseExpiresAt != nil && (out.LeaseExpiresAt == nil || e.LeaseExpiresAt.Before(*out.LeaseExpiresAt)) {
				out.LeaseExpiresAt = e.LeaseExpiresAt
			}
		}
	}
	return out, nil
}

// notLive names the true cause, and what helps against that.
func notLive(r agent.EnrollResult) error {
	detail := r.Reason
	if r.Cause != nil {
		detail = r.Cause.Text
	}
	if r.RetryAfter > 0 {
		detail += fmt.Sprintf("; the orchestrator asked to wait %s", r.RetryAfter.Round(time.Second))
	}
	p := status.NewProblem(status.CodeNotLive, detail)
	if r.Cause != nil {
		switch m := status.Lookup(r.Cause.Code); {
		case m.Advice != "":
			p.Next = m.Advice
		case strings.HasPrefix(m.Command, "peaqos-agent "):
			p.Next = "run " + m.Command
		}
	}
	return p
}

func (a *app) showEnrolled(r agent.EnrollResult) error {
	if a.json {
		r.Revoked, r.LeftBehind, r.Warnings, r.OtherAgents = list(r.Revoked), list(r.LeftBehind), list(r.Warnings), list(r.OtherAgents)
		return a.result(r)
	}
	var b strings.Builder
	switch {
	case r.DryRun != nil:
		b.WriteString("Dry run: nothing was changed\n")
		if m := r.DryRun.Register; m != nil {
			fmt.Fprintf(&b, "  Would register:  %s (%s, %s), owner %s\n", m.DisplayName, m.MachineType, m.RuntimeProfile, m.OwnerID)
		}
		store := "durable (checked)"
		if !r.DryRun.StoreProved {
			store = "in memory: lost at a restart"
		}
		fmt.Fprintf(&b, "  Agent label:     %s\n  Provider keys:   %s\n  Store:           %s\n",
			r.DryRun.AgentLabel, strings.Join(r.DryRun.Allowed, ", "), store)
		_, err := fmt.Fprint(a.out, b.String())
		return err
	case r.Changed:
		b.WriteString("Enrolled\n")
	default:
		b.WriteString("Already enrolled; nothing changed\n")
	}
	b.WriteString(describeAgent(r.MachineID, r.IdentityRef, r.AgentID, r.Live, r.Reason, r.LeaseExpiresAt))
	for _, id := range r.Revoked {
		fmt.Fprintf(&b, "  Revoked:   %s, an earlier agent of this device\n", id)
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "  Warning:   %s\n", w)
	}
	b.WriteString(describeOthers(r.MachineID, r.OtherAgents))
	b.WriteString(describeLeftBehind(r.LeftBehind))
	_, err := fmt.Fprint(a.out, b.String())
	return err
}

// maxOthers is how many of the machine's other agents are listed.
const maxOthers = 10

// describeOthers lists the machine's other active agents, with the command that revokes
// one of them.
func describeOthers(machineID string, others []agent.OtherAgent) string {
	var b strings.Builder
	for i, o := range others {
		if i == maxOthers {
			fmt.Fprintf(&b, "  Also active: %d more; see peaqos-agent agents list\n", len(others)-i)
			break
		}
		seen := "never seen"
		if o.LastSeenAt != nil {
			seen = "last heartbeat " + o.LastSeenAt.Format(time.RFC3339)
		}
		fmt.Fprintf(&b, "  Also active: %s (%s), %s. If nothing uses it any more, run\n"+
			"    peaqos-agent agents revoke %[1]s --machine-id %[4]s --api-key-file FILE\n", o.AgentID, o.Label, seen, machineID)
	}
	return b.String()
}

// describeAgent is the machine and its agent after enroll or rotate, and whether it
// is live.
func describeAgent(machineID, identityRef, agentID string, isLive bool, reason string, until *time.Time) string {
	live := "yes"
	switch {
	case !isLive:
		live = "no: " + reason
	case until != nil:
		live = "yes, lease until " + until.UTC().Format(time.RFC3339)
	}
	return fmt.Sprintf("  Machine:   %s\n  Identity:  %s\n  Agent:     %s\n  Live:      %s\n", machineID, identityRef, agentID, live)
}

// readKeys checks the identity of a request and reads its API key and controller key, once
// it is known that nobody else decides where they are sent.
func (a *app) readKeys(cfg *config.Config, req *agent.EnrollRequest, flags enrollFlags) (err error) {
	if req.IdentityRef != "" {
		if fault := config.IdentityRefFault(req.IdentityRef, cfg.Orchestrator.IdentityRefs); fault != "" {
			return status.NewProblem(status.CodeIdentityRef, fmt.Sprintf("%.100q %s", req.IdentityRef, fault))
		}
	}
	if err := a.trustConfig(cfg); err != nil {
		return err
	}
	if req.APIKey, err = a.apiKey(flags.apiKeyFile); err != nil {
		return err
	}
	req.Controller, err = a.controllerKey(flags.controllerFile, flags.passphraseFile)
	return err
}

// checkSignWith accepts the one way to sign elsewhere.
func checkSignWith(way string) error {
	if way == "" || way == "prompt" {
		return nil
	}
	return usageProblem(fmt.Sprintf("--sign-with accepts only \"prompt\", not %.40q", way), "give --sign-with prompt, or --controller-key-file FILE")
}
