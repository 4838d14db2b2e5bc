package main

import (
	"context"
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
)

// proveFlags are the flags of identity prove.
type proveFlags struct {
	challengeFile, apiKeyFile string
	fetch                     bool
	keyFile, passphraseFile   string
	identityRef, machine      string
}

func (a *app) identityProveCmd() *cobra.Command {
	var flags proveFlags
	cmd := &cobra.Command{
		Use:   "prove",
		Short: "Sign an identity challenge; the key stays on the device",
		Long: `Signs an identity challenge with the controller key and prints the proof as JSON. Only
a complete challenge for this machine's identity is signed; the text is shown first.`,
		Example: `  peaqos-agent identity prove --challenge-file challenge.json
  peaqos-agent identity prove --fetch --api-key-file key`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			challenge, err := a.challenge(cmd.Context(), flags)
			if err != nil {
				return err
			}
			a.progress("message to sign:\n" + status.Sanitize(challenge.Message))
			req := agent.ProveRequest{Machine: flags.machine, Challenge: challenge, IdentityRef: flags.identityRef}
			proof, err := a.prove(cmd.Context(), req, flags.keyFile, flags.passphraseFile)
			if err != nil {
				return err
			}
			return a.result(proof)
		},
	}
	f := cmd.Flags()
	f.StringVar(&flags.challengeFile, "challenge-file", "", "file with the challenge as JSON, - for standard input")
	f.BoolVar(&flags.fetch, "fetch", false, "request a challenge from the orchestrator; needs the API key")
	f.StringVar(&flags.apiKeyFile, "api-key-file", "", "with --fetch: "+apiKeyUsage)
	f.StringVar(&flags.keyFile, "controller-key-file", "", "use this key instead of the stored one")
	f.StringVar(&flags.passphraseFile, "passphrase-file", "", passphraseUsage)
	f.StringVar(&flags.identityRef, "identity-ref", "", "this machine's identity, if the store has none")
	f.StringVar(&flags.machine, "machine", "", machineUsage)
	cmd.MarkFlagsOneRequired("challenge-file", "fetch")
	cmd.MarkFlagsMutuallyExclusive("challenge-file", "fetch")
	return cmd
}

// challenge fetches the challenge to sign, or reads it from the file.
func (a *app) challenge(ctx context.Context, flags proveFlags) (agent.Challenge, error) {
	if flags.fetch {
		return a.fetchChallenge(ctx, flags.machine, flags.identityRef, flags.apiKeyFile)
	}
	b, err := a.secret(flags.challengeFile)
	if err != nil {
		return agent.Challenge{}, err
	}
	var c agent.Challenge
	if err := json.Unmarshal(b, &c); err != nil {
		return agent.Challenge{}, status.NewProblem(status.CodeChallengeFile, flags.challengeFile)
	}
	return c, nil
}

// fetchChallenge requests a challenge for ref or, if ref is empty, for the identity of
// the machine that is configured or enrolled.
func (a *app) fetchChallenge(ctx context.Context, machine, ref, apiKeyFile string) (agent.Challenge, error) {
	cfg, err := a.load()
	if err != nil {
		return agent.Challenge{}, err
	}
	if err := a.trustConfig(cfg); err != nil {
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

// identityOf returns the machine's identity as the store's owner knows it.
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
	return "", status.NewProblem(status.CodeIdentityMissing, "the machine is not enrolled, and no identity is configured").
		Advise("give --identity-ref did:peaq:NUMBER")
}

// prove signs with the key in keyFile or, if keyFile is empty, has the store's owner
// sign with the stored key.
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
