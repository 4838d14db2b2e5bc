package main

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

func (a *app) identityCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "identity", Short: "The machine's identity and the key that controls it"}
	cmd.AddCommand(a.identityShowCmd(), a.identityNewCmd(), a.identityImportCmd(), a.identityProveCmd())
	return cmd
}

// withStore runs f on the store of the configuration, under its lock. While the
// daemon runs it holds the lock, and the error says so.
func (a *app) withStore(cmd *cobra.Command, f func(*agent.Config, *keystore.Store) error) error {
	cfg, err := a.load()
	if err != nil {
		return err
	}
	store, err := keystore.Open(cmd.Context(), cfg.Keystore.Dir, keystore.Options{})
	if err != nil {
		return err
	}
	defer func() { _ = store.Close() }()
	return f(cfg, store)
}

func (a *app) identityShowCmd() *cobra.Command {
	cmd := &cobra.Command{Use: "show", Short: "Show who this machine is", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return a.withStore(cmd, func(cfg *agent.Config, s *keystore.Store) error {
			out := []map[string]any{}
			for _, m := range cfg.Machines {
				row := map[string]any{"machine": m.Name, "enrolled": false}
				if r, err := s.Agent(m.Name); err == nil {
					row = map[string]any{
						"machine": m.Name, "enrolled": true, "identity_ref": r.IdentityRef, "machine_id": r.MachineID,
						"agent_id": r.AgentID, "orchestrator": r.Origin, "enrolled_at": r.EnrolledAt.UTC().Format(time.RFC3339),
					}
				}
				if signer, err := a.signer(s); err == nil {
					row["controller_address"] = signer.Address()
				}
				out = append(out, row)
			}
			if a.json {
				return a.result(map[string]any{"items": out, "next_cursor": nil})
			}
			for _, row := range out {
				_, _ = fmt.Fprintf(a.out, "Machine %v\n", row["machine"])
				for _, f := range [][2]string{{"Identity", "identity_ref"}, {"Machine id", "machine_id"}, {"Agent id", "agent_id"}, {"Orchestrator", "orchestrator"}, {"Enrolled", "enrolled_at"}, {"Controller", "controller_address"}} {
					v := row[f[1]]
					if v == nil {
						v = "—"
					}
					_, _ = fmt.Fprintf(a.out, "  %-14s%v\n", f[0]+":", v)
				}
			}
			return nil
		})
	}}
	cmd.Flags().BoolVar(&a.json, "json", false, "print as JSON")
	return cmd
}

func (a *app) identityNewCmd() *cobra.Command {
	return &cobra.Command{Use: "new", Short: "Make a controller key and keep it on this device", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		return a.withStore(cmd, func(_ *agent.Config, s *keystore.Store) error {
			key, err := keystore.NewKey()
			if err != nil {
				return err
			}
			defer key.Wipe()
			return a.keep(s, key)
		})
	}}
}

func (a *app) identityImportCmd() *cobra.Command {
	return &cobra.Command{Use: "import FILE", Short: "Keep a controller key on this device (0x and 64 hex digits; - for standard input)", Args: cobra.ExactArgs(1), RunE: func(cmd *cobra.Command, args []string) error {
		return a.withStore(cmd, func(_ *agent.Config, s *keystore.Store) error {
			key, err := a.controllerKey(args[0])
			if err != nil {
				return err
			}
			defer key.Wipe()
			return a.keep(s, key)
		})
	}}
}

func (a *app) keep(s *keystore.Store, key *keystore.Key) error {
	if err := s.ProveDurable(); err != nil {
		return err
	}
	if err := s.PutController(key); err != nil {
		return err
	}
	signer, err := a.signer(s)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(a.out, "Controller key stored\n  Address:  %s\n", signer.Address())
	return err
}

func (a *app) identityProveCmd() *cobra.Command {
	var file, keyFile, ref string
	cmd := &cobra.Command{Use: "prove", Short: "Sign an identity challenge; the key stays on the device", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		b, err := a.secret(file)
		if err != nil {
			return err
		}
		var challenge agent.Challenge
		if err := json.Unmarshal(b, &challenge); err != nil {
			return &agent.Problem{Exit: agent.ExitUsage, Code: "challenge_file", What: "the challenge file is not a JSON object with a challenge's fields", Known: file}
		}
		return a.withStore(cmd, func(cfg *agent.Config, s *keystore.Store) error {
			signer, err := a.proveSigner(s, keyFile)
			if err != nil {
				return err
			}
			if ref == "" {
				ref = cfg.Machines[0].IdentityRef
				if r, err := s.Agent(cfg.Machines[0].Name); err == nil {
					ref = r.IdentityRef
				}
			}
			a.progress("signing this text:\n" + challenge.Message)
			signature, err := agent.Sign(challenge, signer, ref, time.Now())
			if err != nil {
				return err
			}
			return a.result(map[string]string{"challenge_id": challenge.ChallengeID, "signature": signature, "signer_address": signer.Address()})
		})
	}}
	cmd.Flags().StringVar(&file, "challenge-file", "-", "the challenge as JSON, - for standard input")
	cmd.Flags().StringVar(&keyFile, "controller-key-file", "", "use this key instead of the stored one")
	cmd.Flags().StringVar(&ref, "identity-ref", "", "our identity, if the store does not know it")
	return cmd
}

// signer is the stored controller's.
func (a *app) signer(s *keystore.Store) (*keystore.Signer, error) {
	return s.Controller()
}

func (a *app) proveSigner(s *keystore.Store, keyFile string) (*keystore.Signer, error) {
	if keyFile == "" {
		return a.signer(s)
	}
	key, err := a.controllerKey(keyFile)
	if err != nil {
		return nil, err
	}
	return key.Signer(), nil
}
