package main

import (
	"context"
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

func (a *app) identityProveCmd() *cobra.Command {
	var file, keyFile, passphrase, ref, machine, apiKeyFile string
	var fetch bool
	cmd := &cobra.Command{Use: "prove", Short: "Sign an identity challenge; the key stays on the device", Args: cobra.NoArgs, RunE: func(cmd *cobra.Command, _ []string) error {
		challenge, err := a.challengeOf(file)
		if fetch {
			challenge, err = a.fetchChallenge(cmd.Context(), machine, ref, apiKeyFile)
		}
		if err != nil {
			return err
		}
		a.progress("to be signed:\n" + status.Sanitize(challenge.Message))
		proof, err := a.prove(cmd.Context(), agent.ProveRequest{Machine: machine, Challenge: challenge, IdentityRef: ref}, keyFile, passphrase)
		if err != nil {
			return err
		}
		return a.result(proof)
	}}
	f := cmd.Flags()
	f.StringVar(&file, "challenge-file", "", "the challenge as JSON, - for standard input")
	f.BoolVar(&fetch, "fetch", false, "ask the orchestrator for a challenge; needs the API key")
	f.StringVar(&apiKeyFile, "api-key-file", "", "file with the platform API key, for --fetch")
	cmd.MarkFlagsOneRequired("challenge-file", "fetch")
	cmd.MarkFlagsMutuallyExclusive("challenge-file", "fetch")
	f.StringVar(&keyFile, "controller-key-file", "", "use this key instead of the stored one")
	f.StringVar(&passphrase, "passphrase-file", "", "file with the passphrase of a Web3 key file, - for standard input")
	f.StringVar(&ref, "identity-ref", "", "our identity, if the store does not know it")
	f.StringVar(&machine, "machine", "", "which configured machine, when there are several")
	return cmd
}

// challengeOf reads a challenge file; no name is no challenge.
func (a *app) challengeOf(file string) (c agent.Challenge, err error) {
	if file == "" {
		return c, nil
	}
	b, err := a.secret(file)
	if err != nil {
		return c, err
	}
	if err := json.Unmarshal(b, &c); err != nil {
		return c, status.NewProblem(status.CodeChallengeFile, file)
	}
	return c, nil
}

// fetchChallenge asks for a challenge of this machine's identity: the one that is
// named, or configured, or enrolled.
func (a *app) fetchChallenge(ctx context.Context, machine, ref, apiKeyFile string) (agent.Challenge, error) {
	cfg, err := a.load()
	if err != nil {
		return agent.Challenge{}, err
	}
	key, err := a.apiKey(apiKeyFile)
	if err != nil {
		return agent.Challenge{}, err
	}
	if ref == "" {
		if ref, err = a.identityOf(ctx, machine); err != nil {
			return agent.Challenge{}, err
		}
	}
	api, err := agent.NewClient(cfg, version, key)
	if err != nil {
		return agent.Challenge{}, err
	}
	c, _, err := agent.FetchChallenge(ctx, api, cfg.Orchestrator.URL, ref)
	return c, err
}

// identityOf asks the store's owner who the machine is.
func (a *app) identityOf(ctx context.Context, machine string) (string, error) {
	all, err := owned(ctx, a, func(_ *config.Config, o owner) ([]agent.Identity, error) { return o.Identities(ctx) })
	if err != nil {
		return "", err
	}
	for _, i := range all {
		if (machine == "" || i.Machine == machine) && i.IdentityRef != "" {
			return i.IdentityRef, nil
		}
	}
	return "", status.NewProblem(status.CodeIdentityMissing, "the machine is not enrolled, and no identity is configured").Advise("give --identity-ref did:peaq:NUMBER")
}

// prove signs with the key of a file, or has the owner sign with the stored one.
func (a *app) prove(ctx context.Context, req agent.ProveRequest, keyFile, passphrase string) (agent.Proof, error) {
	if keyFile == "" {
		return owned(ctx, a, func(_ *config.Config, o owner) (agent.Proof, error) { return o.Prove(ctx, req) })
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
		req.IdentityRef = configuredIdentity(cfg, req.Machine)
	}
	return agent.SignProof(req.Challenge, signer, req.IdentityRef)
}
