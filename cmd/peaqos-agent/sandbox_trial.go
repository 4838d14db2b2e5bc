package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// trialIdentity is the machine of a trial.
const trialIdentity = "did:peaq:42"

// sandboxTrial is what --with-runtime adds to the sandbox: a runtime, and a directory with the
// configuration of an agent that uses it. The directory also contains a controller key without
// --controller, and an API key without --api-key-file. It is removed at the end.
type sandboxTrial struct {
	runtime    *demoRuntime
	dir        string
	controller string // the address of the key in the directory; "" if there is none
	apiKey     string // the API key in the directory; "" if there is none
}

// newTrial creates the directory and the key; without --with-runtime it does nothing.
func (f *sandboxFlags) newTrial() (*sandboxTrial, error) {
	t := &sandboxTrial{}
	if !f.withRuntime {
		return t, nil
	}
	var err error
	if t.dir, err = trialDirectory(); err != nil {
		return nil, err
	}
	if t.runtime, err = newDemoRuntime(); err == nil && len(f.controllers) == 0 {
		err = t.createController()
	}
	if err == nil && !f.keyed {
		f.keyed, t.apiKey = true, rand.Text()
		err = t.write("api-key", t.apiKey)
	}
	if err != nil {
		t.close()
		return nil, err
	}
	return t, nil
}

// trialDirectory creates a directory below the user's cache directory, because the one for temporary
// files is often in memory, where the agent stores no token.
func trialDirectory() (string, error) {
	base, err := os.UserCacheDir()
	if err == nil {
		base = filepath.Join(base, "peaqos-agent")
		err = os.MkdirAll(base, 0o700)
	}
	if err != nil {
		base = ""
	}
	return os.MkdirTemp(base, "trial-")
}

func (t *sandboxTrial) createController() error {
	key, err := keystore.NewKey()
	if err != nil {
		return err
	}
	defer key.Wipe()
	t.controller = key.Signer().Address()
	return t.write("controller.hex", key.Hex())
}

func (t *sandboxTrial) write(name, text string) error {
	return os.WriteFile(filepath.Join(t.dir, name), []byte(text+"\n"), 0o600)
}

// begin starts the runtime, writes the configuration and returns the runtime's URL and the commands.
func (t *sandboxTrial) begin(f *sandboxFlags, at sandboxAddresses) (url string, commands []string, err error) {
	if t.runtime == nil {
		return "", []string{}, nil
	}
	if err := t.runtime.start(); err != nil {
		return "", nil, err
	}
	url = "http://" + t.runtime.addr
	ca := ""
	if at.CAFile != "" {
		if ca, err = filepath.Abs(at.CAFile); err != nil {
			return "", nil, err
		}
		ca = fmt.Sprintf(", ca_file: %q", ca)
	}
	file := filepath.Join(t.dir, "config.yaml")
	text := fmt.Sprintf(`orchestrator: {url: %q%s}
machines:
  - identity_ref: %s
    endpoints:
      - {provider_key: qvac, base_url: %q, model_alias: demo-model}
keystore: {dir: %q, volatile: true}`, at.URL, ca, trialIdentity, url, filepath.Join(t.dir, "keystore"))
	if err := t.write("config.yaml", text); err != nil {
		return "", nil, err
	}
	enroll := "peaqos-agent enroll --config " + shellWord(file)
	if t.controller != "" {
		enroll += " --controller-key-file " + shellWord(filepath.Join(t.dir, "controller.hex"))
	} else {
		enroll += " --controller-key-file CONTROLLER_KEY_FILE"
	}
	switch {
	case t.apiKey != "":
		enroll += " --api-key-file " + shellWord(filepath.Join(t.dir, "api-key"))
	case f.apiKeyFile != "":
		enroll += " --api-key-file " + shellWord(f.apiKeyFile)
	}
	return url, []string{enroll, "peaqos-agent run --config " + shellWord(file)}, nil
}

func (t *sandboxTrial) close() {
	if t.runtime != nil {
		_ = t.runtime.stop()
	}
	if t.dir != "" {
		_ = os.RemoveAll(t.dir)
	}
}

// shellWord quotes a text for a shell if it needs to be.
func shellWord(text string) string {
	if strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@%") == "" {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
