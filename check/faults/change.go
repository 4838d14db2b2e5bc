package main

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"github.com/peaqnetwork/peaqos-agent/check/lab"
	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// change is a command that changes the store.
type change struct {
	needs   func() string                 // the reason why this machine cannot; nil for none
	prepare func(*world) error            // what happened before it
	args    func(*world) []string         // the command
	acked   bool                          // a token was acknowledged before it, which it keeps or replaces
	gives   bool                          // its success acknowledges a token
	recover func(*world) []string         // a command that must work after the fault; nil for none
	after   func(*world) (finding, error) // further checks after the last enroll; nil for none
}

// check checks the world after a fault in the command; done reports that the command
// succeeded in spite of it.
func (c change) check(w *world, done bool) (finding, error) {
	acked := c.acked || done && c.gives
	var f finding
	if c.recover != nil {
		o, err := w.runCommand(nil, c.recover(w)...)
		if err != nil {
			return f, err
		}
		if o.Exit != 0 {
			f.manual, f.why = 1, fmt.Sprintf("%s after the fault: %s", c.recover(w)[0], o)
		}
	}
	settled, err := w.settle(acked)
	if err == nil && settled.good() && c.after != nil {
		settled, err = c.after(w)
	}
	if f.good() {
		f = settled
	}
	return f, err
}

// enrolled is the state before most commands.
func enrolled(w *world) error {
	_, err := w.enroll()
	return err
}

func ofEnroll() change {
	return change{gives: true, prepare: func(*world) error { return nil }, args: (*world).enrollArgs}
}

func ofRotate() change {
	return change{prepare: enrolled, args: (*world).rotateArgs, acked: true}
}

// ofGrant is a device that redeems a grant. The grant keeps its token, so the fault may
// leave an agent that only the grant names.
func ofGrant() change {
	grant := func(w *world) string { return filepath.Join(filepath.Dir(w.config), "grant") }
	return change{
		gives: true,
		prepare: func(w *world) error {
			o, err := w.runCommand(nil, append(w.enrollArgs(), "--grant-out", grant(w), "--provider-key", "demo")...)
			if err == nil && o.Exit != 0 {
				err = fmt.Errorf("enroll --grant-out: %s", o)
			}
			for _, a := range w.active() {
				w.elsewhere = append(w.elsewhere, a.Label)
			}
			w.again = []string{"enroll", "--grant", grant(w), "--json"}
			return err
		},
		args: func(w *world) []string { return w.again },
	}
}

func ofUnenroll() change {
	args := func(w *world) []string {
		return []string{"unenroll", "--api-key-file", w.faults.lab.APIKeyFile, "--json"}
	}
	return change{prepare: enrolled, args: args, recover: args}
}

// ofImport stores the controller key next to a token.
func ofImport() change {
	args := func(w *world) []string {
		return []string{"identity", "import", w.faults.lab.ControllerKeyFile, "--json"}
	}
	return change{
		prepare: enrolled, args: args, acked: true, recover: args,
		after: func(w *world) (f finding, err error) {
			o, err := w.runCommand(nil, "identity", "show", "--json")
			if err == nil && (o.Exit != 0 || !strings.Contains(o.Stdout, lab.ControllerAddress)) {
				f.lost, f.why = 1, "the controller key is not in the store: "+o.String()
			}
			return f, err
		},
	}
}

// ofReseal gives an enrolled store a passphrase: the next command reseals it, as service
// seal does with a credential.
func ofReseal() change {
	return change{
		prepare: func(w *world) error {
			if _, err := w.enroll(); err != nil {
				return err
			}
			w.options.PassphraseFile = filepath.Join(filepath.Dir(w.config), "passphrase")
			if err := os.WriteFile(w.options.PassphraseFile, []byte("a passphrase of the fault table\n"), 0o600); err != nil {
				return err
			}
			return w.writeConfig(lab.Config{Orchestrator: w.origin, KeystoreKeys: "passphrase_file: " + w.options.PassphraseFile})
		},
		args: (*world).enrollArgs, acked: true,
		after: func(w *world) (f finding, err error) {
			keyless := w.options
			w.options = keystore.Options{}
			left, err := w.look()
			w.options = keyless
			if err == nil && left.err == nil {
				f.leaks, f.why = 1, "the store opens without its passphrase"
			}
			return f, nil
		},
	}
}

// ofReset makes a copied store forget whose it was. The agent of the original stays.
func ofReset() change {
	args := func(*world) []string { return []string{"reset-identity", "--yes", "--json"} }
	return change{
		prepare: func(w *world) error {
			_, err := w.enroll()
			w.original = w.active()
			return err
		},
		args: args, recover: args,
		after: func(w *world) (f finding, err error) {
			for _, a := range w.original {
				if left, err := w.look(); err != nil || left.tokens[a.ID] != nil {
					f.lost, f.why = 1, fmt.Sprintf("the store still has the original's token: %v", err)
				}
			}
			return f, nil
		},
	}
}

// ofAdopt is a store that is moved to another machine and bound to it.
func ofAdopt() change {
	args := func(*world) []string { return []string{"adopt", "--json"} }
	return change{
		needs: func() string { return cmp.Or(notRoot(), missing("unshare", "mount", "cp")) },
		prepare: func(w *world) error {
			err := w.writeConfig(lab.Config{Orchestrator: w.origin, KeystoreKeys: "bind_host: \"true\""})
			if err != nil {
				return err
			}
			if w.front, err = w.faults.machine("1"); err != nil {
				return err
			}
			if _, err = w.enroll(); err != nil {
				return err
			}
			if w.front, err = w.faults.machine("2"); err != nil {
				return err
			}
			o, err := w.runCommand(nil, w.rotateArgs()...)
			if err == nil && (o.Exit == 0 || !strings.Contains(o.Stderr, "adopt")) {
				err = fmt.Errorf("the moved store is not quarantined: %s", o)
			}
			return err
		},
		args: args, acked: true, recover: args,
	}
}

// machine returns the front of a command that runs it on another computer, as far as the
// agent can see: with a machine id and a network interface of its own.
func (h *harness) machine(name string) ([]string, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	dir := filepath.Join(h.root, "machine-"+name)
	if err := os.Mkdir(dir, 0o700); err == nil {
		if err := h.makeMachine(dir, name); err != nil {
			return nil, err
		}
	}
	const enter = `mount --bind "$1/etc" /etc && mount --bind "$1/net" /sys/class/net && shift && exec "$@"`
	return []string{"unshare", "-m", "sh", "-c", enter, "sh", dir}, nil
}

func (h *harness) makeMachine(dir, name string) error {
	if err := os.CopyFS(filepath.Join(dir, "etc"), os.DirFS("/etc")); err != nil {
		return err
	}
	id := filepath.Join(dir, "etc", "machine-id")
	_ = os.Remove(id)
	nic := filepath.Join(dir, "net", "eth0")
	if err := os.MkdirAll(filepath.Join(nic, "device"), 0o755); err != nil {
		return err
	}
	facts := map[string]string{
		id: strings.Repeat("a"+name, 16), nic + "/type": "1", nic + "/addr_assign_type": "0", nic + "/address": "b8:27:eb:00:00:0" + name,
	}
	for path := range maps.Keys(facts) {
		if err := os.WriteFile(path, []byte(facts[path]+"\n"), 0o644); err != nil {
			return err
		}
	}
	return nil
}
