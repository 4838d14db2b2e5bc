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
	return group("identity", "Show the machine's identity, and keep the key that controls it",
		a.identityShowCmd(), a.identityNewCmd(), a.identityImportCmd(), a.identityExportCmd(), a.identityProveCmd())
}

func (a *app) identityShowCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "show", Short: "Show who this machine is", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		ids, err := owned(cmd.Context(), a, func(_ *config.Config, o owner) ([]agent.Identity, error) { return o.Identities(cmd.Context()) })
		if err != nil {
			return err
		}
		if a.json {
			return a.result(map[string]any{"items": ids, "next_cursor": nil})
		}
		for _, id := range ids {
			at := ""
			if id.EnrolledAt != nil {
				at = id.EnrolledAt.Format(time.RFC3339)
			}
			_, _ = fmt.Fprintf(a.out, "Machine %s\n", id.Machine)
			for _, f := range [][2]string{{"Identity", id.IdentityRef}, {"Machine id", id.MachineID}, {"Agent id", id.AgentID}, {"Orchestrator", id.Orchestrator}, {"Enrolled", at}, {"Controller", id.ControllerAddress}} {
				if f[1] == "" {
					f[1] = "—"
				}
				_, _ = fmt.Fprintf(a.out, "  %-14s%s\n", f[0]+":", f[1])
			}
		}
		return nil
	}}
	cmd.Flags().BoolVar(&a.json, "json", false, "print as JSON")
	return cmd
}

func (a *app) identityNewCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "new", Short: "Make a controller key and keep it on this device", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		key, err := keystore.NewKey()
		if err != nil {
			return err
		}
		return a.keepController(cmd, key)
	}}
	cmd.Flags().BoolVar(&a.json, "json", false, "print as JSON")
	return cmd
}

func (a *app) identityImportCmd() *cobra.Command {
	var passphrase string
	cmd := &cobra.Command{
		Use: "import FILE", Short: "Keep a controller key on this device", Args: cobra.ExactArgs(1),
		Long: `Reads 0x and 64 hex digits, or a Web3 key file (version 3) with --passphrase-file; - is
standard input. A Web3 file is decrypted in this process, not in the running agent; one
of standard strength takes 256 MiB, so free memory is looked at first.`,
		RunE: func(cmd *cobra.Command, args []string) error {
			key, err := a.controllerKey(args[0], passphrase)
			if err != nil {
				return err
			}
			return a.keepController(cmd, key)
		},
	}
	cmd.Flags().StringVar(&passphrase, "passphrase-file", "", "file with the passphrase of a Web3 key file, - for standard input")
	cmd.Flags().BoolVar(&a.json, "json", false, "print as JSON")
	return cmd
}

func (a *app) keepController(cmd *cobra.Command, key *keystore.Key) error {
	defer key.Wipe()
	address, err := owned(cmd.Context(), a, func(_ *config.Config, o owner) (string, error) { return o.PutController(cmd.Context(), key) })
	switch {
	case err != nil:
		return err
	case a.json:
		return a.result(map[string]string{"controller_address": address})
	}
	_, err = fmt.Fprintf(a.out, "Controller key stored\n  Address:  %s\n", address)
	return err
}
