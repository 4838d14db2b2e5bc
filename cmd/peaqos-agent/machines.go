package main

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/sdk"
)

const displayNameUsage = "name of the machine for people, when it is registered"

func (a *app) machinesCmd() *cobra.Command {
	return group("machines", "List and register the machines of your account, from any computer", a.machinesListCmd(), a.machinesRegisterCmd())
}

func (a *app) machinesListCmd() *cobra.Command {
	var apiKeyFile string
	cmd := &cobra.Command{
		Use: "list", SuggestFor: []string{"ls", "show"},
		Short: "List the machines of your account",
		Long: `Lists every machine that belongs to the API key and whose identity the orchestrator
accepts. Machines that were archived are not listed.`,
		Example: "  peaqos-agent machines list --orchestrator-url https://HOST --api-key-file key",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, api, err := a.platform(apiKeyFile)
			if err != nil {
				return err
			}
			stop := a.waiting("the orchestrator")
			machines, err := agent.ListMachines(cmd.Context(), api)
			stop()
			if err != nil {
				return err
			}
			return a.showMachines(machines)
		},
	}
	cmd.Flags().StringVar(&apiKeyFile, "api-key-file", "", apiKeyUsage)
	return cmd
}

// machineRow is one machine as machines list prints it.
type machineRow struct {
	MachineID      string `json:"machine_id"`
	IdentityRef    string `json:"identity_ref"`
	DisplayName    string `json:"display_name"`
	Status         string `json:"status"`
	OwnerID        string `json:"owner_id"`
	MachineType    string `json:"machine_type"`
	RuntimeProfile string `json:"runtime_profile"`
	CreatedAt      string `json:"created_at"`
	UpdatedAt      string `json:"updated_at"`
}

func (a *app) showMachines(machines []sdk.Machine) error {
	rows := []machineRow{}
	for _, m := range machines {
		rows = append(rows, machineRow{
			m.ID, m.IdentityRef, m.DisplayName, string(m.Status), m.OwnerID, m.MachineType, m.RuntimeProfile, inSeconds(m.CreatedAt), inSeconds(m.UpdatedAt),
		})
	}
	if a.json {
		return a.list(rows)
	}
	if len(rows) == 0 {
		_, err := fmt.Fprintln(a.out, "Your account has no machines")
		return err
	}
	table := [][]string{{"Machine id", "Identity", "Status", "Name"}}
	for _, r := range rows {
		table = append(table, []string{r.MachineID, status.OrMissing(r.IdentityRef), r.Status, r.DisplayName})
	}
	_, err := fmt.Fprint(a.out, status.Table(table, a.textOptions(false)))
	return err
}

func (a *app) machinesRegisterCmd() *cobra.Command {
	var req agent.EnrollRequest
	var flags enrollFlags
	cmd := &cobra.Command{
		Use:   "register",
		Short: "Register a machine without enrolling an agent",
		Long: `Registers and activates a machine on the orchestrator, so that a device can later enroll
itself with the API key alone, and nothing else. No agent is enrolled and nothing is
stored here. A machine that is registered already is not changed.`,
		Example: "  peaqos-agent machines register --identity-ref did:peaq:42 --controller-key-file ctl.hex --api-key-file key",
		Args:    cobra.NoArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return a.registerMachine(cmd.Context(), req, flags) },
	}
	f := cmd.Flags()
	f.StringVar(&req.IdentityRef, "identity-ref", "", "the machine's identity (did:peaq:NUMBER or did:peaq:0xADDRESS)")
	f.StringVar(&req.DisplayName, "display-name", "", displayNameUsage)
	f.StringVar(&flags.apiKeyFile, "api-key-file", "", apiKeyUsage)
	f.StringVar(&flags.controllerFile, "controller-key-file", "", "file with the controller's key (0x and 64 hex digits, or a Web3 key file)")
	f.StringVar(&flags.passphraseFile, "passphrase-file", "", passphraseUsage)
	f.StringVar(&flags.signWith, "sign-with", "", `"prompt" shows the text to be signed and reads a pasted signature`)
	cmd.MarkFlagsMutuallyExclusive("controller-key-file", "sign-with")
	return cmd
}

func (a *app) registerMachine(ctx context.Context, req agent.EnrollRequest, flags enrollFlags) error {
	if err := checkSignWith(flags.signWith); err != nil {
		return err
	}
	cfg, err := a.read()
	if err != nil {
		return err
	}
	if req.IdentityRef == "" {
		return status.NewProblem(status.CodeIdentityMissing, "").Advise("give --identity-ref did:peaq:NUMBER")
	}
	if err := a.readKeys(cfg, &req, flags); err != nil {
		return err
	}
	if req.Controller != nil {
		defer req.Controller.Wipe()
	}
	r, err := agent.RegisterMachine(ctx, cfg, agent.Options{Version: version}, req, a.progress)
	if flags.signWith != "" && agent.NeedsProof(err) {
		if req.Proof, err = a.signElsewhere(ctx, cfg, req); err != nil {
			return err
		}
		r, err = agent.RegisterMachine(ctx, cfg, agent.Options{Version: version}, req, a.progress)
	}
	if err != nil {
		return err
	}
	if a.json {
		return a.result(r)
	}
	title := "Registered"
	if !r.Changed {
		title = "Already registered; nothing changed"
	}
	_, err = fmt.Fprintf(a.out, "%s\n  Machine:   %s\n  Identity:  %s\n  Name:      %s\n  Status:    %s\n",
		title, r.MachineID, r.IdentityRef, r.DisplayName, r.Status)
	return err
}
