package main

import (
	"context"
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
)

func (a *app) identityProveCmd() *cobra.Command {
	var file, keyFile, passphrase, ref, machine string
	cmd := &cobra.Command{Use: "prove", Short: "Sign an identity challenge; the key stays on the device", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		b, err := a.secret(file)
		if err != nil {
			return err
		}
		var challenge agent.Challenge
		if err := json.Unmarshal(b, &challenge); err != nil {
			return &agent.Problem{Exit: agent.ExitUsage, Code: "challenge_file", What: "the challenge file is not a JSON object with a challenge's fields", Known: file}
		}
		a.progress("to be signed:\n" + agent.Foreign(challenge.Message))
		proof, err := a.prove(cmd.Context(), agent.ProveRequest{Machine: machine, Challenge: challenge, IdentityRef: ref}, keyFile, passphrase)
		if err != nil {
			return err
		}
		return a.result(proof)
	}}
	f := cmd.Flags()
	f.StringVar(&file, "challenge-file", "-", "the challenge as JSON, - for standard input")
	f.StringVar(&keyFile, "controller-key-file", "", "use this key instead of the stored one")
	f.StringVar(&passphrase, "passphrase-file", "", "file with the passphrase of a Web3 key file")
	f.StringVar(&ref, "identity-ref", "", "our identity, if the store does not know it")
	f.StringVar(&machine, "machine", "", "which configured machine, when there are several")
	return cmd
}

// prove signs with the key of a file, or has the owner sign with the stored one.
func (a *app) prove(ctx context.Context, req agent.ProveRequest, keyFile, passphrase string) (agent.Proof, error) {
	if keyFile == "" {
		return owned(ctx, a, func(_ *agent.Config, o owner) (agent.Proof, error) { return o.Prove(ctx, req) })
	}
	key, err := a.controllerKey(keyFile, passphrase)
	if err != nil {
		return agent.Proof{}, err
	}
	defer key.Wipe()
	signer := key.Signer()
	defer signer.Wipe()
	if req.IdentityRef == "" {
		cfg, err := a.load()
		if err != nil {
			return agent.Proof{}, err
		}
		req.IdentityRef = cfg.Machines[0].IdentityRef
	}
	return agent.SignProof(req.Challenge, signer, req.IdentityRef)
}
