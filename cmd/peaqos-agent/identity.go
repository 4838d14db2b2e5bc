package main

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

func (a *app) identityCmd() *cobra.Command {
	return group("identity", "Show the machine's identity and manage its controller key",
		a.identityShowCmd(), a.identityNewCmd(), a.identityImportCmd(), a.identityExportCmd(), a.identityProveCmd())
}

func (a *app) identityShowCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "show",
		Short:   "Show this machine's identity",
		Example: "  peaqos-agent identity show",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.read()
			if err != nil {
				return err
			}
			nobody := []agent.Identity{}
			for _, m := range cfg.Machines {
				nobody = append(nobody, agent.Identity{Machine: m.Name, Orchestrator: cfg.Orchestrator.URL, AllowedProviderKeys: []string{}})
			}
			ids, err := ifStored(cmd.Context(), cfg, nobody, func(o owner) ([]agent.Identity, error) {
				return o.Identities(cmd.Context())
			})
			if err != nil {
				return err
			}
			if a.json {
				return a.list(ids)
			}
			for _, id := range ids {
				a.showIdentity(id)
			}
			return nil
		},
	}
}

func (a *app) showIdentity(id agent.Identity) {
	enrolled := ""
	if id.EnrolledAt != nil {
		enrolled = id.EnrolledAt.Format(time.RFC3339)
	}
	_, _ = fmt.Fprintf(a.out, "Machine %s\n", id.Machine)
	for _, f := range [][2]string{
		{"Identity", id.IdentityRef},
		{"Machine id", id.MachineID},
		{"Agent id", id.AgentID},
		{"Orchestrator", id.Orchestrator},
		{"Enrolled", enrolled},
		{"Controller", id.ControllerAddress},
	} {
		if f[1] == "" {
			f[1] = "—"
		}
		_, _ = fmt.Fprintf(a.out, "  %-14s%s\n", f[0]+":", f[1])
	}
}

func (a *app) identityNewCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "new",
		Short:   "Create and store a controller key",
		Example: "  sudo peaqos-agent identity new",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key, err := keystore.NewKey()
			if err != nil {
				return err
			}
			return a.storeController(cmd, key)
		},
	}
}

func (a *app) identityImportCmd() *cobra.Command {
	var passphrase string
	cmd := &cobra.Command{
		Use:   "import FILE",
		Short: "Store a controller key on this device",
		Long: `Reads 0x and 64 hex digits, or a Web3 key file (version 3) with --passphrase-file; - is
standard input. A Web3 file is decrypted in this process, not in the running agent. One
of standard strength takes 256 MiB, so free memory is checked first.`,
		Example: `  sudo peaqos-agent identity import ctl.hex
  sudo peaqos-agent identity import wallet.json --passphrase-file passphrase`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := a.controllerKey(args[0], passphrase)
			if err != nil {
				return err
			}
			return a.storeController(cmd, key)
		},
	}
	cmd.Flags().StringVar(&passphrase, "passphrase-file", "", passphraseUsage)
	return cmd
}

// storeController has the store's owner store the key, and prints its address.
func (a *app) storeController(cmd *cobra.Command, key *keystore.Key) error {
	defer key.Wipe()
	address, err := owned(cmd.Context(), a, func(_ *config.Config, o owner) (string, error) {
		return o.PutController(cmd.Context(), key)
	})
	switch {
	case err != nil:
		return err
	case a.json:
		return a.result(map[string]string{"controller_address": address})
	}
	_, err = fmt.Fprintf(a.out, "Controller key stored\n  Address:  %s\n", address)
	return err
}
