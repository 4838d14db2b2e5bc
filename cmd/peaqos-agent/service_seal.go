package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent"
	"github.com/peaqnetwork/peaqos-agent/agent/status"
	"github.com/peaqnetwork/peaqos-agent/deploy/systemd"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

const (
	credentialDir = "/etc/credstore.encrypted"
	sealDropIn    = "/etc/systemd/system/" + systemd.Name + ".service.d/seal.conf"
)

func (a *app) serviceSealCmd() *cobra.Command {
	var tpm2, hostKey bool
	cmd := &cobra.Command{
		Use:   "seal",
		Short: "Seal the store with a systemd credential, optionally bound to the TPM",
		Long: `Makes a credential with systemd-creds, adds it to the unit by a drop-in, reseals the store
and restarts the service. It prints a recovery passphrase once, which opens the store
(keystore.passphrase_file) if the TPM or the host's key is lost.

--tpm2 binds the credential to this machine's TPM. --host-key binds it to a key under
/var/lib/systemd, which protects a copy of the state directory, but not a copy of the
whole disk.`,
		Example: "  sudo peaqos-agent service seal --tpm2",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			key := map[bool]string{true: "tpm2", false: "host"}[tpm2]
			return a.serviceSeal(cmd.Context(), key)
		},
	}
	cmd.Flags().BoolVar(&tpm2, "tpm2", false, "bind the credential to the TPM")
	cmd.Flags().BoolVar(&hostKey, "host-key", false, "bind the credential to the host's key")
	cmd.MarkFlagsMutuallyExclusive("tpm2", "host-key")
	cmd.MarkFlagsOneRequired("tpm2", "host-key")
	return cmd
}

// serviceSeal seals the store in an order that leaves a working unit wherever it is
// interrupted: the credential is known to decrypt before the unit refers to it, the
// unit has it before the store needs it, and the recovery passphrase is printed before
// anything depends on it.
func (a *app) serviceSeal(ctx context.Context, withKey string) error {
	cfg, err := a.read()
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return status.NewProblem(status.CodeNotPermitted, "service seal changes the unit")
	}
	if view, err := a.fetchStatus(ctx, cfg); err != nil {
		return err
	} else if view.Keystore.Protector == keystore.ProtectorCredential.String() {
		return status.NewProblem(status.CodeSealedAlready, "its recovery passphrase was shown when it was sealed").
			Advise("keep " + filepath.Join(credentialDir, keystore.CredentialName) + " as it is")
	}
	credential, err := newSealSecret()
	if err != nil {
		return err
	}
	defer credential.Wipe()
	recovery, err := newSealSecret()
	if err != nil {
		return err
	}
	defer recovery.Wipe()
	file := filepath.Join(credentialDir, keystore.CredentialName)
	if err := makeCredential(ctx, withKey, file, credential); err != nil {
		return err
	}
	if err := writeDropIn(ctx, file); err != nil {
		return err
	}
	if err := a.showRecovery(string(recovery.Reveal())); err != nil {
		return err
	}
	result, err := withOwner(ctx, cfg, func(o owner) (agent.SealResult, error) {
		return o.Reseal(ctx, agent.SealRequest{Credential: credential, Recovery: recovery})
	})
	if err != nil {
		return err
	}
	if _, err := runSystemd(ctx, nil, "systemctl", "try-restart", systemd.Name); err != nil {
		return err
	}
	if a.json {
		return nil
	}
	_, err = fmt.Fprintf(a.out, "Sealed\n  Protector:  %s (%s key)\n  Drop-in:    %s\n", result.Protector, withKey, sealDropIn)
	return err
}

// showRecovery prints the recovery passphrase, which is not stored anywhere.
func (a *app) showRecovery(passphrase string) error {
	if a.json {
		return a.result(map[string]string{"recovery_passphrase": passphrase, "protector": "credential", "drop_in": sealDropIn})
	}
	_, err := fmt.Fprintf(a.out, "Recovery passphrase, shown only once; keep it off this device:\n\n  %s\n\n", passphrase)
	return err
}

// newSealSecret returns 32 random bytes in hex.
func newSealSecret() (keystore.Secret, error) {
	raw := make([]byte, 32)
	if _, err := rand.Read(raw); err != nil {
		return keystore.Secret{}, err
	}
	defer clear(raw)
	return keystore.NewSecret(hex.AppendEncode(nil, raw)), nil
}

// makeCredential encrypts the secret for this host into a file, after checking that it
// can be decrypted again.
func makeCredential(ctx context.Context, withKey, file string, secret keystore.Secret) error {
	if _, err := exec.LookPath("systemd-creds"); err != nil {
		return status.NewProblem(status.CodeNoSystemdCreds, "it comes with systemd 250 and newer").Wrap(err)
	}
	name := "--name=" + keystore.CredentialName
	encrypted, err := runSystemd(ctx, secret.Reveal(), "systemd-creds", "encrypt", name, "--with-key="+withKey, "-", "-")
	if err != nil {
		return err
	}
	back, err := runSystemd(ctx, encrypted, "systemd-creds", "decrypt", name, "-", "-")
	defer clear(back)
	if err != nil || !bytes.Equal(back, secret.Reveal()) {
		return status.NewProblem(status.CodeCredential, "").Wrap(err)
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return replaceFile(file, encrypted, 0o600)
}

// writeDropIn adds the credential to the unit and has systemd read it.
func writeDropIn(ctx context.Context, credential string) error {
	if err := os.MkdirAll(filepath.Dir(sealDropIn), 0o755); err != nil {
		return err
	}
	text := "# Written by peaqos-agent service seal. Without this credential the store is locked.\n" +
		"[Service]\nLoadCredentialEncrypted=" + keystore.CredentialName + ":" + credential + "\n"
	if err := replaceFile(sealDropIn, []byte(text), 0o644); err != nil {
		return err
	}
	_, err := runSystemd(ctx, nil, "systemctl", "daemon-reload")
	return err
}

// replaceFile replaces a file durably and atomically.
func replaceFile(path string, content []byte, mode os.FileMode) error {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+"-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(f.Name()) }()
	_, err = f.Write(content)
	if err := errors.Join(err, f.Chmod(mode), f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// runSystemd runs one of systemd's programs and returns its output. Its standard error
// becomes part of the error.
func runSystemd(ctx context.Context, in []byte, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdin = bytes.NewReader(in)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		message := name + " " + args[0] + ": " + status.Sanitize(strings.TrimSpace(stderr.String()))
		return nil, status.NewProblem(status.CodeSystemd, message).Wrap(err)
	}
	return out, nil
}
