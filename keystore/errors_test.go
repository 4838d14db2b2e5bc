package keystore_test

import (
	"strings"
	"testing"

	"github.com/peaqnetwork/peaqos-agent/keystore"
)

// TestErrorsAreFacts: every reason and problem has words of its own, and none of them
// names a command or a configuration key.
func TestErrorsAreFacts(t *testing.T) {
	texts := map[string]bool{}
	check := func(text string) {
		t.Helper()
		for _, advice := range []string{"peaqos-agent ", "keystore.", "chmod", "chown", "run ", "unknown reason", "cannot be used"} {
			if strings.Contains(text, advice) {
				t.Errorf("%q contains %q", text, advice)
			}
		}
		if texts[text] {
			t.Errorf("%q is the text of two errors", text)
		}
		texts[text] = true
	}
	one := &keystore.SealError{Reason: keystore.SealNoCredential, Protector: keystore.ProtectorCredential}
	two := &keystore.SealError{Reason: keystore.SealWrongSecret, Protector: keystore.ProtectorPassphrase}
	for reason := keystore.SealKeyMissing; reason <= keystore.SealSeveral; reason++ {
		check((&keystore.SealError{
			Reason: reason, Protector: keystore.ProtectorPassphrase, Weaker: keystore.ProtectorKeyFile, Path: "/s/seal.a",
			Each: []*keystore.SealError{one, two},
		}).Error())
	}
	for problem := keystore.FileMissing; problem <= keystore.FileEmpty; problem++ {
		facts := keystore.FileFacts{
			Path: "/etc/key", Problem: problem, Component: "/etc/link", UID: 5, GID: 6, WantUID: 7, Mode: 0o644, Size: 70000,
		}
		check((&keystore.SecretFileError{FileFacts: facts}).Error())
		check((&keystore.UnsafeError{FileFacts: facts}).Error())
	}
	check((&keystore.InUseError{Path: "/s", PID: 9}).Error())
	check((&keystore.InUseError{Path: "/s"}).Error())
	check((&keystore.ForeignHostError{Factors: []string{"machine id", "serial number"}}).Error())
	for _, want := range []string{
		"the store cannot be unsealed: wrong passphrase",
		"secret file /etc/key belongs to user 5, neither root nor the current user (7)",
		"/etc/key is not safe to use: it belongs to user 5, neither root nor user 7",
		"process 9 holds the store /s",
	} {
		if !texts[want] {
			t.Errorf("no error has the text %q", want)
		}
	}
}
