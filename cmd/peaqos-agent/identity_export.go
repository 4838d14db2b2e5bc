package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/peaqnetwork/peaqos-agent/agent/config"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

func (a *app) identityExportCmd() *cobra.Command {
	var passphrase string
	var web3, light bool
	cmd := &cobra.Command{
		Use:   "export FILE",
		Short: "Write the stored controller key to a new file",
		Long: `Writes 0x and 64 hex digits, or with --web3 an encrypted key file that geth, eth-account
and other wallets read. The file must not exist yet and gets mode 0600; - writes to a
pipe. The key also stays on the device.`,
		Example: `  sudo peaqos-agent identity export ctl.hex
  sudo peaqos-agent identity export wallet.json --web3 --passphrase-file passphrase`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if web3 != (passphrase != "") {
				return usageProblem("--web3 needs --passphrase-file", "give both or neither")
			}
			out, err := a.openSecretOutput(args[0])
			if err != nil {
				return err
			}
			defer out.close()
			key, err := owned(cmd.Context(), a, func(_ *config.Config, o owner) (*keystore.Key, error) {
				return o.ControllerKey(cmd.Context())
			})
			if err != nil {
				return err
			}
			defer key.Wipe()
			text := []byte(key.Hex() + "\n")
			if web3 {
				if text, err = a.exportWeb3(key, passphrase, light); err != nil {
					return err
				}
			}
			defer clear(text)
			if err := out.write(text); err != nil {
				return err
			}
			out.keep = true
			switch {
			case args[0] == "-":
				return nil // standard output holds the key and nothing else
			case a.json:
				return a.result(map[string]string{"file": args[0]})
			}
			_, err = fmt.Fprintf(a.out, "Controller key exported\n  File:  %s\n", args[0])
			return err
		},
	}
	f := cmd.Flags()
	f.BoolVar(&web3, "web3", false, "write an encrypted Web3 key file, version 3")
	f.StringVar(&passphrase, "passphrase-file", "", passphraseUsage)
	f.BoolVar(&light, "light", false, "takes 4 MiB to open instead of 256 MiB, for small boards; choose a long passphrase")
	return cmd
}

// exportWeb3 encrypts the key with the passphrase in a file. A light file takes little
// memory to decrypt.
func (a *app) exportWeb3(key *keystore.Key, passphraseFile string, light bool) ([]byte, error) {
	secret, err := a.passphrase(passphraseFile)
	if err != nil {
		return nil, err
	}
	defer clear(secret)
	file, err := keystore.ExportWeb3(key, secret, light)
	return append(file, '\n'), err
}
