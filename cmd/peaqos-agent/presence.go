package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

// presenceFlags are the flags of the presence commands.
type presenceFlags struct {
	machine, number, deployment, mcrURL string
	keyFile, passphraseFile             string
}

func (a *app) presenceCmd() *cobra.Command {
	return group("presence", "Check or change whether the presence service counts this machine",
		a.presenceStatusCmd(), a.optInCmd(true), a.optInCmd(false))
}

func (p *presenceFlags) add(f *pflag.FlagSet) {
	f.StringVar(&p.machine, "machine", "", "which configured machine, when there are several")
	f.StringVar(&p.number, "machine-number", "", "the decimal number of the machine's DID (default: of the configured or enrolled identity)")
	f.StringVar(&p.deployment, "deployment", sdk.DefaultDeployment, "the set of contracts that the machine belongs to")
	f.StringVar(&p.mcrURL, "mcr-url", "", "base URL of the MCR service (default: the deployment's)")
}

func (a *app) presenceStatusCmd() *cobra.Command {
	var given presenceFlags
	cmd := &cobra.Command{
		Use: "status", Short: "Show the opt-in, and whether the presence service lists the machine as online", Args: cobra.NoArgs,
		Example: `  peaqos-agent presence status
  peaqos-agent presence status --machine-number 42   # from any computer`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			r, err := a.presenceReport(cmd.Context(), &given)
			if err != nil {
				return err
			}
			if a.json {
				return a.result(r)
			}
			_, err = fmt.Fprint(a.out, r.text())
			return err
		},
	}
	given.add(cmd.Flags())
	return cmd
}

// presenceReport is what presence status prints as JSON.
type presenceReport struct {
	Deployment string               `json:"deployment"`
	MCR        string               `json:"mcr_url"`
	OptIn      agent.OptIn          `json:"opt_in"`
	Service    string               `json:"presence_url"`
	Online     *bool                `json:"online"`       // null: the service did not say
	LastSeen   string               `json:"last_seen_at"` // by the service
	Fault      string               `json:"fault"`
	Agent      *status.PresenceView `json:"presence"` // of this device's daemon; null: presence is off, or none runs
}

func (a *app) presenceReport(ctx context.Context, given *presenceFlags) (presenceReport, error) {
	cfg, err := a.load()
	if err != nil {
		return presenceReport{}, err
	}
	service, number, err := a.presenceService(ctx, cfg, given)
	if err != nil {
		return presenceReport{}, err
	}
	defer a.waiting("the MCR and the presence service")()
	r := presenceReport{Deployment: given.deployment, MCR: given.mcrURL, Service: cfg.Presence.URL}
	if r.OptIn, err = service.OptIn(ctx); err != nil {
		return r, err
	}
	state, err := service.Check(ctx, cmp.Or(cfg.Presence.MachineID, number))
	if err != nil {
		r.Fault = agent.Explain(err).Error()
	} else {
		r.Online, r.LastSeen = &state.Online, status.Sanitize(state.LastHeartbeatAt)
	}
	r.Agent = a.ownPresence(ctx, cfg, given.machine)
	return r, nil
}

func (r presenceReport) text() string {
	online := "not known: " + r.Fault
	if r.Online != nil {
		online = "offline"
		if *r.Online {
			online = "online"
		}
		if r.LastSeen != "" {
			online += ", last push accepted at " + r.LastSeen
		}
	}
	device := "not pushing: presence is off, or no agent runs here"
	if r.Agent != nil {
		device = r.Agent.Line()
	}
	return fmt.Sprintf("  Machine:      %s, deployment %s\n  MCR:          %s belongs to the deployment\n  Opt-in:       %s\n  Presence:     %s at %s\n  This device:  %s\n",
		r.OptIn.MachineNumber, r.Deployment, r.MCR, optInText(r.OptIn), online, r.Service, device)
}

func optInText(o agent.OptIn) string {
	if o.Signer == "" {
		return status.Sanitize(o.Status)
	}
	return status.Sanitize(o.Status) + ", signed by " + status.Sanitize(o.Signer)
}

// ownPresence is what this device's daemon says of its pushes; nil when there is none.
func (a *app) ownPresence(ctx context.Context, cfg *config.Config, machine string) *status.PresenceView {
	admin, err := agent.FindAdmin(ctx, cfg)
	if err != nil || admin == nil {
		return nil
	}
	view, err := admin.Status(ctx)
	if err != nil {
		return nil
	}
	for _, m := range view.Machines {
		if machine == "" || m.Name == machine {
			return m.Presence
		}
	}
	return nil
}

func (a *app) optInCmd(in bool) *cobra.Command {
	var given presenceFlags
	cmd := &cobra.Command{
		Use: "opt-in", Short: "Let the presence service count this machine", Args: cobra.NoArgs,
		Example: `  sudo peaqos-agent presence opt-in                  # the stored key signs
  peaqos-agent presence opt-in --machine-number 42 --controller-key-file ctl.hex`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			result, err := a.changeOptIn(cmd.Context(), &given, in)
			if err != nil {
				return err
			}
			if a.json {
				return a.result(result)
			}
			what := "unchanged"
			if result.Changed {
				what = "changed"
			}
			_, err = fmt.Fprintf(a.out, "machine %s: %s (%s)\n", result.MachineNumber, optInText(result), what)
			return err
		},
	}
	if !in {
		cmd.Use, cmd.Short = "opt-out", "Stop the presence service from counting this machine"
		cmd.Example = strings.ReplaceAll(cmd.Example, "opt-in ", "opt-out ")
	}
	f := cmd.Flags()
	given.add(f)
	f.StringVar(&given.keyFile, "controller-key-file", "", "file with the key of the machine's owner or controller; without it the stored key signs")
	f.StringVar(&given.passphraseFile, "passphrase-file", "", passphraseUsage)
	return cmd
}

func (a *app) changeOptIn(ctx context.Context, given *presenceFlags, in bool) (agent.OptIn, error) {
	cfg, err := a.load()
	if err != nil {
		return agent.OptIn{}, err
	}
	service, _, err := a.presenceService(ctx, cfg, given)
	if err != nil {
		return agent.OptIn{}, err
	}
	key, err := a.controllerKey(given.keyFile, given.passphraseFile)
	if err != nil {
		return agent.OptIn{}, err
	}
	if key != nil {
		defer key.Wipe()
	}
	return service.SetOptIn(ctx, in, func(ctx context.Context, message []byte) (string, error) {
		a.progress("to be signed:\n" + string(message)) // made here: nothing in it is foreign
		if key != nil {
			signer := key.Signer()
			defer signer.Wipe()
			return signer.SignText(string(message))
		}
		return withOwner(ctx, cfg, func(o owner) (string, error) { return o.SignOptIn(ctx, given.machine, message) })
	})
}

// presenceService is what to ask, and the number of the machine to ask about. It fills in
// the default of --mcr-url.
func (a *app) presenceService(ctx context.Context, cfg *config.Config, given *presenceFlags) (*agent.PresenceService, string, error) {
	d, err := sdk.LookupDeployment(given.deployment)
	if err != nil {
		return nil, "", status.NewProblem(status.CodeDeployment, err.Error())
	}
	given.mcrURL = cmp.Or(given.mcrURL, d.MCRURL)
	if given.mcrURL == "" {
		return nil, "", status.NewProblem(status.CodeDeployment, d.ID+" has no MCR")
	}
	number := given.number
	if number == "" {
		ref := configuredIdentity(cfg, given.machine)
		if ref == "" {
			if ref, err = a.identityOf(ctx, given.machine); err != nil {
				return nil, "", err
			}
		}
		if number, err = sdk.MachineNumber(ref); err != nil {
			return nil, "", status.NewProblem(status.CodeIdentityMissing, "the identity has no decimal number").Advise("give --machine-number NUMBER")
		}
	}
	service, err := agent.NewPresenceService(cfg, version, d, given.mcrURL, number)
	return service, number, err
}
